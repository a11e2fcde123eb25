//! [`Mapped`]: a file whose bytes are used where the system has mapped them, and [`Region`], a tensor's
//! part of it.
//!
//! What is copied is read through the file's handle, not the map: a file that was cut then gives an
//! error. What is used in place is not copied; its length is looked at before each evaluation.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;

use gradloom_tensor::outside::{BytesSource, HostMemory, Lent};
use gradloom_tensor::{Error, Result};

/// A mapped file.
pub(crate) struct Mapped {
    name: String,
    file: File,
    map: memmap2::Mmap,
}

impl Mapped {
    pub(crate) fn new(name: String, file: File, map: memmap2::Mmap) -> Mapped {
        Mapped { name, file, map }
    }

    /// What is wrong with the file, if it is not as long any more as it was.
    pub(crate) fn damage(&self) -> Option<String> {
        let (file, len) = (&self.name, self.map.len());
        match self.file.metadata() {
            Ok(metadata) if metadata.len() >= len as u64 => None,
            Ok(metadata) => Some(format!(
                "{file} was cut to {} of its {len} bytes while it was in use; get it again and open it anew",
                metadata.len()
            )),
            Err(error) => Some(format!("{file} cannot be looked at any more: {error}")),
        }
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        read_at(&self.file, offset as u64, bytes).map_err(|error| {
            let reason = match self.damage() {
                Some(damage) => damage,
                None => format!("reading {} at byte {offset} failed: {error}", self.name),
            };
            Error::backend(reason)
        })
    }
}

#[cfg(unix)]
fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
}

#[cfg(windows)]
fn read_at(file: &File, mut offset: u64, mut bytes: &mut [u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = std::os::windows::fs::FileExt::seek_read(file, bytes, offset)?;
        if count == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes = &mut bytes[count..];
        offset += count as u64;
    }
    Ok(())
}

#[cfg(not(any(unix, windows)))]
fn read_at(_file: &File, _offset: u64, _bytes: &mut [u8]) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

impl HostMemory for Mapped {
    fn bytes(&self) -> &[u8] {
        &self.map
    }

    fn check(&self) -> Result<()> {
        self.damage().map_or(Ok(()), |damage| Err(Error::backend(damage)))
    }
}

/// A part of a mapped file.
pub(crate) struct Region {
    mapped: Arc<Mapped>,
    range: Range<usize>,
}

impl Region {
    /// A part of a file; `None` if the file is shorter.
    pub(crate) fn new(mapped: &Arc<Mapped>, range: &Range<usize>) -> Option<Region> {
        mapped.map.get(range.clone())?;
        Some(Region { mapped: Arc::clone(mapped), range: range.clone() })
    }
}

impl BytesSource for Region {
    fn byte_count(&self) -> usize {
        self.range.len()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
        assert!(offset + bytes.len() <= self.range.len(), "{}", self.mapped.name);
        self.mapped.read(self.range.start + offset, bytes)
    }

    fn lent(&self) -> Option<Lent> {
        let memory: Arc<dyn HostMemory> = Arc::<Mapped>::clone(&self.mapped);
        Some(Lent::new(memory, self.range.clone()))
    }
}
