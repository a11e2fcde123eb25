//! [`Output`]: what a template writes, and how much it may be.

use std::io;

/// No conversation is longer than this, in bytes.
pub(super) const OUTPUT_BYTES_MAX: usize = 64 << 20;

/// Takes text up to the limit.
#[derive(Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_BYTES_MAX {
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
