//! [`Region`]: some bytes of memory whose reader and writer a plan decides, and [`Blocks`], regions of one
//! block.
#![expect(
    unsafe_code,
    reason = "parts of several blocks are read and written at once, as the plan says"
)]

use crate::memory::Temporary;

/// Regions begin at cache lines.
const ALIGNMENT: usize = 64;

/// Some bytes of a block that somebody keeps alive.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) pointer: *mut u8,
    pub(super) bytes: usize,
}

impl Region {
    /// All of these.
    pub(super) fn of(bytes: &[u8]) -> Region {
        Region { pointer: bytes.as_ptr().cast_mut(), bytes: bytes.len() }
    }

    /// All of these, to be written.
    pub(super) fn of_mut(bytes: &mut [u8]) -> Region {
        Region { pointer: bytes.as_mut_ptr(), bytes: bytes.len() }
    }

    /// Part `index` of equal parts of `bytes` bytes.
    pub(super) fn part(self, index: usize, bytes: usize) -> Region {
        assert!((index + 1) * bytes <= self.bytes, "loop: a step beyond the end of a sequence");
        // SAFETY: the part lies in the region.
        Region { pointer: unsafe { self.pointer.add(index * bytes) }, bytes }
    }

    /// The bytes for reading.
    ///
    /// # Safety
    /// The block lives for `'a` and nobody writes to these bytes meanwhile.
    pub(super) unsafe fn read<'a>(self) -> &'a [u8] {
        // SAFETY: the region lies in a block of initialised bytes; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts(self.pointer, self.bytes) }
    }

    /// The bytes for writing.
    ///
    /// # Safety
    /// The block lives for `'a` and nobody else reads or writes these bytes meanwhile.
    pub(super) unsafe fn write<'a>(self) -> &'a mut [u8] {
        // SAFETY: as in `read`.
        unsafe { std::slice::from_raw_parts_mut(self.pointer, self.bytes) }
    }

    /// Copies all bytes of another region of the same size.
    pub(super) fn copy_from(self, other: Region) {
        assert_eq!(self.bytes, other.bytes, "loop: a value changes its size");
        // SAFETY: both regions have these bytes and no kernel runs; they may be the same.
        unsafe { std::ptr::copy(other.pointer, self.pointer, self.bytes) };
    }
}

/// Hands out parts of one block.
pub(super) struct Blocks {
    block: Temporary,
    used: usize,
}

impl Blocks {
    /// Parts of a block.
    pub(super) fn new(block: Temporary) -> Blocks {
        Blocks { block, used: 0 }
    }

    /// Bytes that a part of `bytes` bytes takes.
    pub(super) fn padded(bytes: usize) -> usize {
        bytes.next_multiple_of(ALIGNMENT)
    }

    /// The next part.
    pub(super) fn take(&mut self, bytes: usize) -> Region {
        let region = Region::of_mut(&mut self.block.get_mut()[self.used..self.used + bytes]);
        self.used += Blocks::padded(bytes);
        region
    }
}
