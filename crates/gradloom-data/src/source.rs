//! [`Source`]: bytes to parse, from a file, memory or any reader; gzip is recognised and unpacked.
//!
//! A source knows the name that errors give it and how far it has been read, and stops at a limit, so
//! that a small hostile file cannot unpack to fill the memory. Buffers grow with the bytes that are
//! really there, never with what a header claims.

use std::io::{BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use crate::{Error, Result, error};

/// Bytes to parse. Readers take `impl Into<Source>`: a path, or [`Source::from_bytes`] and the like.
pub struct Source<'a> {
    name: String,
    origin: Origin<'a>,
    limit: u64,
}

enum Origin<'a> {
    Path(PathBuf, String),
    Reader(Box<dyn Read + Send + 'a>),
}

impl<'a> Source<'a> {
    /// The most bytes, after unpacking, that are read unless [`limit`](Source::limit) says otherwise.
    pub const LIMIT_DEFAULT: u64 = 1 << 30;

    /// A file. It is opened when it is read.
    pub fn from_path(path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        let name = path.display().to_string();
        Source::new(name, Origin::Path(path.to_owned(), "check the path".to_owned()))
    }

    /// Bytes in memory, and the name that errors shall give them.
    pub fn from_bytes(name: impl Into<String>, bytes: &'a [u8]) -> Self {
        Source::from_reader(name, bytes)
    }

    /// Anything that can be read, and the name that errors shall give it.
    pub fn from_reader(name: impl Into<String>, reader: impl Read + Send + 'a) -> Self {
        Source::new(name.into(), Origin::Reader(Box::new(reader)))
    }

    fn new(name: String, origin: Origin<'a>) -> Self {
        Source { name, origin, limit: Source::LIMIT_DEFAULT }
    }

    /// Refuses data of more than `bytes`, counted after unpacking.
    #[must_use]
    pub fn limit(mut self, bytes: u64) -> Self {
        self.limit = bytes;
        self
    }

    /// The published file `name` or `name.gz` in a folder; `advice` says how to get it.
    pub(crate) fn published(folder: &Path, name: &str, advice: &str) -> Result<Source<'static>> {
        let candidates = [folder.join(name), folder.join(format!("{name}.gz"))];
        match candidates.into_iter().find(|path| path.is_file()) {
            Some(path) => Ok(Source::from_path(path)),
            None => Err(error::not_found(
                folder.join(name).display().to_string(),
                format!("neither plain nor as .gz; {advice}"),
            )),
        }
    }

    pub(crate) fn open(self) -> Result<Input<'a>> {
        let mut reader = match self.origin {
            Origin::Reader(reader) => reader,
            Origin::Path(path, advice) => match std::fs::File::open(path) {
                Ok(file) => Box::new(BufReader::with_capacity(1 << 16, file)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    return Err(error::not_found(self.name, advice));
                }
                Err(error) => return Err(error::io(&self.name, 0, error)),
            },
        };
        let mut magic = Vec::with_capacity(2);
        let head = (&mut reader).take(2).read_to_end(&mut magic);
        head.map_err(|error| error::io(&self.name, 0, error))?;
        let compressed = magic == [0x1f, 0x8b];
        let whole = Cursor::new(magic).chain(reader);
        let reader: Box<dyn Read + Send + 'a> = if compressed {
            Box::new(flate2::read::MultiGzDecoder::new(whole))
        } else {
            Box::new(whole)
        };
        Ok(Input { name: self.name, reader, position: 0, limit: self.limit, compressed })
    }
}

impl From<&Path> for Source<'static> {
    fn from(path: &Path) -> Self {
        Source::from_path(path)
    }
}

impl From<&PathBuf> for Source<'static> {
    fn from(path: &PathBuf) -> Self {
        Source::from_path(path)
    }
}

impl From<PathBuf> for Source<'static> {
    fn from(path: PathBuf) -> Self {
        Source::from_path(path)
    }
}

impl From<&str> for Source<'static> {
    fn from(path: &str) -> Self {
        Source::from_path(path)
    }
}

/// An open source: unpacked bytes, counted.
pub(crate) struct Input<'a> {
    name: String,
    reader: Box<dyn Read + Send + 'a>,
    position: u64,
    limit: u64,
    compressed: bool,
}

impl Input<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    #[cfg(feature = "pictures")]
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Up to `count` bytes; fewer only at the end.
    pub(crate) fn up_to(&mut self, count: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(count).read_to_end(&mut bytes);
        self.position += bytes.len() as u64;
        match read {
            Ok(_) => Ok(bytes),
            Err(error) => Err(self.failure(error)),
        }
    }

    /// The next bytes, at most `count` of them, within the limit; none at the end.
    pub(crate) fn piece(&mut self, count: u64) -> Result<Vec<u8>> {
        let bytes = self.up_to(count)?;
        if self.position > self.limit {
            return Err(self.over_limit());
        }
        Ok(bytes)
    }

    fn over_limit(&self) -> Error {
        let message =
            format!("holds more than the limit of {} bytes; raise Source::limit", self.limit);
        error::too_large(&self.name, message)
    }

    /// Exactly `count` bytes, which `what` describes: `the header declares 47040016 bytes`.
    pub(crate) fn exactly(&mut self, count: u64, what: &dyn Fn() -> String) -> Result<Vec<u8>> {
        if count > self.limit.saturating_sub(self.position) {
            let limit = self.limit;
            return Err(error::too_large(
                &self.name,
                format!("{}, more than the limit of {limit} bytes; raise Source::limit", what()),
            ));
        }
        let bytes = self.up_to(count)?;
        if (bytes.len() as u64) < count {
            return Err(error::truncated(&self.name, self.position, what()));
        }
        Ok(bytes)
    }

    /// All bytes that are left, within the limit.
    pub(crate) fn rest(&mut self) -> Result<Vec<u8>> {
        let bytes = self.up_to(self.limit.saturating_sub(self.position).saturating_add(1))?;
        if self.position > self.limit {
            return Err(self.over_limit());
        }
        Ok(bytes)
    }

    /// Fails if there is anything after what was read.
    pub(crate) fn end(&mut self, what: &dyn Fn() -> String) -> Result<()> {
        let position = self.position;
        if self.up_to(1)?.is_empty() {
            return Ok(());
        }
        let message = format!("more data follow, but {}", what());
        Err(error::malformed(&self.name, position, message))
    }

    fn failure(&self, error: std::io::Error) -> Error {
        let position = self.position;
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof if self.compressed => {
                error::truncated(&self.name, position, "the gzip stream goes on")
            }
            std::io::ErrorKind::InvalidInput | std::io::ErrorKind::InvalidData
                if self.compressed =>
            {
                let message = format!("damaged gzip stream ({error}); get the file again");
                error::malformed(&self.name, position, message)
            }
            _ => error::io(&self.name, position, error),
        }
    }
}
