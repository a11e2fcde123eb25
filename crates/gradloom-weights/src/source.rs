//! [`Source`]: the bytes of a file, in memory or mapped.
//!
//! Mapping is the only unsafe code of this crate: it hands out a file's bytes as a slice, and the
//! operating system lets others change the file meanwhile. So it is only for callers who promise that
//! nobody does; everyone else's files are read.

use std::fs::File;
use std::io::{Error as IoError, Read};
use std::path::Path;
use std::sync::Arc;

use gradloom_tensor::outside::HostMemory;

use crate::mapped::Mapped;
use crate::{Result, error};

/// The bytes of a file.
pub(crate) enum Source {
    Mapped(Arc<Mapped>),
    Owned(Vec<u8>),
}

/// How the files of a checkpoint get into a [`Source`]. Copied for each file of a set.
#[derive(Clone, Copy)]
pub(crate) struct Opening(fn(&str, File) -> std::io::Result<Source>);

impl Opening {
    /// Files are read as a whole.
    pub(crate) const READ: Opening = Opening(read);

    /// Files are mapped, so that only the pages that are used come into memory.
    ///
    /// # Safety
    /// Nothing may write to the files that are opened, or cut them, while their sources live or a tensor
    /// that uses them in place does.
    #[expect(unsafe_code, reason = "what is made here may be used without another promise")]
    pub(crate) unsafe fn mapped() -> Opening {
        Opening(|name, file| {
            if file.metadata()?.len() == 0 {
                // Some systems refuse to map nothing.
                return Ok(Source::Owned(Vec::new()));
            }
            // SAFETY: the map is read-only and its slice lives no longer than the map. Who has made this
            // opening promised that the file does not change meanwhile.
            let map = unsafe { memmap2::Mmap::map(&file) }?;
            Ok(Source::Mapped(Arc::new(Mapped::new(name.to_owned(), file, map))))
        })
    }

    /// The bytes of the file at a path.
    pub(crate) fn open(self, path: &Path) -> Result<Source> {
        let name = path.display().to_string();
        let opened = File::open(path).and_then(|file| (self.0)(&name, file));
        opened.map_err(|error| error::io(&name, "reading", error))
    }
}

/// The whole file, in one allocation that may fail.
fn read(_name: &str, mut file: File) -> std::io::Result<Source> {
    let length = usize::try_from(file.metadata()?.len()).map_err(IoError::other)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(IoError::other)?;
    file.read_to_end(&mut bytes)?;
    Ok(Source::Owned(bytes))
}

/// Files one after another, with the first one's name. One alone stays as it is; several are copied.
pub(crate) fn joined(mut parts: Vec<(String, Source)>) -> std::io::Result<(String, Source)> {
    let name = parts.first().map_or_else(String::new, |(name, _)| name.clone());
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return Ok(only);
    }
    let length = parts.iter().map(|(_, part)| part.len()).sum();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(IoError::other)?;
    for (_, part) in parts {
        bytes.extend_from_slice(&part);
    }
    Ok((name, Source::Owned(bytes)))
}

impl std::ops::Deref for Source {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Source::Mapped(mapped) => mapped.bytes(),
            Source::Owned(bytes) => bytes,
        }
    }
}
