//! [`Deflated`]: a compressed part of a file, inflated when it is first asked for.

use std::io::Read;
use std::ops::Range;
use std::sync::OnceLock;

use crate::error::Fault;

/// How many times its size a file may grow by inflating. Weights hardly shrink at all.
pub(crate) const GROWTH_MAX: usize = 64;

/// A compressed part of a file.
pub(crate) struct Deflated {
    range: Range<usize>,
    len: usize,
    inflated: OnceLock<Vec<u8>>,
}

impl Deflated {
    /// A range within the file that is to become `len` bytes.
    pub(crate) fn new(range: Range<usize>, len: usize) -> Self {
        Deflated { range, len, inflated: OnceLock::new() }
    }

    /// Bytes when inflated.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The inflated bytes.
    pub(crate) fn bytes(&self, file: &[u8]) -> Result<&[u8], Fault> {
        if let Some(bytes) = self.inflated.get() {
            return Ok(bytes);
        }
        let compressed = file.get(self.range.clone()).ok_or("a compressed part is out of range")?;
        let mut bytes = Vec::new();
        flate2::read::DeflateDecoder::new(compressed)
            .take(self.len as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| format!("a compressed part is damaged: {error}"))?;
        if bytes.len() != self.len {
            return Err(format!(
                "a compressed part does not hold the {} bytes it declares",
                self.len
            )
            .into());
        }
        // Another thread may have been faster; its bytes are the same.
        Ok(self.inflated.get_or_init(|| bytes))
    }
}
