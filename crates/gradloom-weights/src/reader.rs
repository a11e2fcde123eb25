//! [`Reader`]: a place in a slice of bytes that never goes past its end.

/// Reads little-endian numbers one after another.
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// From a place on; past the end, nothing can be read.
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Self {
        Reader { bytes, at: at.min(bytes.len()) }
    }

    /// Bytes read so far, or skipped at the start.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Bytes that are left.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, count: u64) -> Result<&'a [u8], String> {
        let (at, left) = (self.at, self.left());
        let count = usize::try_from(count).ok().filter(|&count| count <= left).ok_or_else(|| {
            format!("{count} bytes should follow byte {at}, but {left} are left: damaged or cut short; get it again")
        })?;
        self.at += count;
        Ok(&self.bytes[at..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    /// The bytes before the next line feed, which is skipped.
    pub(crate) fn line(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| format!("the line at byte {} does not end", self.at))?;
        self.at += end + 1;
        Ok(&rest[..end])
    }

    pub(crate) fn u8(&mut self) -> Result<u8, String> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, String> {
        self.array().map(i32::from_le_bytes)
    }

    /// The one number that is big-endian: pickle's float.
    pub(crate) fn f64_big_endian(&mut self) -> Result<f64, String> {
        self.array().map(f64::from_be_bytes)
    }
}
