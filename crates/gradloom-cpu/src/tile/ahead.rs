//! [`Ahead`]: what the next tile reads and writes, asked for while this one is computed.
//!
//! A tile reads little of each of many operands, so the processor sees no stream long enough to follow by
//! itself, least of all across pages.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "an intrinsic that takes a pointer and reads nothing")
)]

use super::access::Access;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What a program reads and writes in order, tile after tile.
#[derive(Clone, Debug, Default)]
pub(super) struct Ahead {
    pub(super) read: Vec<Read>,
    /// Outputs, and the bytes of their elements.
    pub(super) written: Vec<(usize, usize)>,
}

impl Ahead {
    /// Asks for the `len` elements from `start` of the space on, and for their place in the outputs.
    #[inline]
    pub(super) fn ask(
        &self,
        inputs: &[&[u8]],
        outputs: &[&mut [u8]],
        [start, position]: [usize; 2],
        len: usize,
    ) {
        for read in &self.read {
            read.ask(inputs[read.input], start, len);
        }
        for &(output, size) in &self.written {
            fetch(&*outputs[output], size, position as isize, len);
        }
    }
}

/// An operand that tiles read in order.
#[derive(Clone, Debug)]
pub(super) struct Read {
    input: usize,
    /// Bytes of an element.
    size: usize,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    /// Neighbours from an element on.
    Offset(isize),
    /// Runs of neighbours.
    Runs(Box<Access>),
}

impl Read {
    /// Element `offset + i` of an operand at element `i` of the space.
    pub(super) fn neighbours(input: usize, size: usize, offset: isize) -> Read {
        Read { input, size, place: Place::Offset(offset) }
    }

    /// Through an access, if it has runs of neighbours.
    pub(super) fn runs(input: usize, size: usize, access: &Access) -> Option<Read> {
        access.has_runs().then(|| Read {
            input,
            size,
            place: Place::Runs(Box::new(access.clone())),
        })
    }

    /// True if both ask for the same.
    pub(super) fn same(&self, other: &Read) -> bool {
        let neighbours = |read: &Read| match read.place {
            Place::Offset(offset) => Some((read.input, offset)),
            Place::Runs(_) => None,
        };
        neighbours(self).is_some() && neighbours(self) == neighbours(other)
    }

    fn ask(&self, bytes: &[u8], start: usize, len: usize) {
        match &self.place {
            Place::Offset(offset) => fetch(bytes, self.size, offset + start as isize, len),
            Place::Runs(access) => {
                for run in access.runs(start, len) {
                    let first = run.index + run.exists.start as isize;
                    fetch(bytes, self.size, first, run.exists.len());
                }
            }
        }
    }
}

/// Asks for `len` elements of `size` bytes from `first` on, as far as there are such.
#[inline]
fn fetch(bytes: &[u8], size: usize, first: isize, len: usize) {
    let first = usize::try_from(first).unwrap_or(usize::MAX).saturating_mul(size);
    let end = first.saturating_add(len * size).min(bytes.len());
    bytes.get(first..end).unwrap_or_default().chunks(LINE).for_each(prefetch);
}

/// Asks for the first line of some bytes.
#[inline]
fn prefetch(line: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, a hint that reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    let _ = line;
}
