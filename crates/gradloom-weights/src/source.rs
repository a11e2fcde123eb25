//! [`Source`]: the bytes of a file, mapped or in memory.
//!
//! Mapping is the only unsafe code of this crate: it hands out a file's bytes as a slice, and the
//! operating system lets others change the file meanwhile.

use std::path::Path;

use crate::{Error, Result};

/// The bytes of a file.
pub(crate) enum Source {
    Mapped(memmap2::Mmap),
    Owned(Vec<u8>),
}

impl Source {
    /// Maps a file, so that only the pages that are read come into memory.
    pub(crate) fn map(path: &Path) -> Result<Source> {
        let name = path.display().to_string();
        let failed = |error| Error::io(&name, "reading", error);
        let file = std::fs::File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.len() == 0 {
            // Some systems refuse to map nothing.
            return Ok(Source::Owned(Vec::new()));
        }
        map(&file).map(Source::Mapped).map_err(failed)
    }
}

#[expect(unsafe_code, reason = "mapping a file is unsafe, whoever does it")]
fn map(file: &std::fs::File) -> std::io::Result<memmap2::Mmap> {
    // SAFETY: the map is read-only and the slice lives no longer than the map. That nobody else changes
    // or truncates the file meanwhile is what `Checkpoint::open` asks of its caller.
    unsafe { memmap2::Mmap::map(file) }
}

impl std::ops::Deref for Source {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Source::Mapped(map) => map,
            Source::Owned(bytes) => bytes,
        }
    }
}
