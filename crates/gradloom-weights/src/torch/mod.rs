//! PyTorch checkpoints: a pickle that describes objects, and the bytes of the tensors among them.
//!
//! Newer files are zip archives, older ones pickles one after another. Pickles are programs; here a
//! [machine](machine) that knows no functions walks through them, so nothing of a file is executed.

mod value;
mod machine;
mod rebuild;
mod state;
mod archive;
mod legacy;

use crate::contents::Contents;
use crate::error::Fault;

/// True for both kinds of files.
pub(crate) fn recognise(bytes: &[u8]) -> bool {
    archive::recognise(bytes) || legacy::recognise(bytes)
}

/// Lists the tensors of a file, or of the object at a place in it.
pub(crate) fn parse(bytes: &[u8], part: Option<&str>) -> Result<Contents, Fault> {
    if archive::recognise(bytes) { archive::parse(bytes, part) } else { legacy::parse(bytes, part) }
}
