//! GGUF, versions 2 and 3: typed metadata, then tensors at aligned places, many of them in blocks.
//!
//! Dimensions are listed fastest first in the file and outermost first here. Big-endian files and
//! version 1 are absent on purpose: nobody publishes them.

mod types;
mod read;
mod write;

pub(crate) use read::parse;
pub use write::Writer;

/// Where tensors begin, unless the metadata say otherwise: at multiples of so many bytes.
const ALIGNMENT: u32 = 32;

/// The key of another alignment.
const ALIGNMENT_KEY: &str = "general.alignment";

/// The version that is written.
const VERSION: u32 = 3;
