//! [`Ahead`]: what the next tile reads, asked for while this one is computed.
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

/// An operand that tiles read in order.
#[derive(Clone, Debug)]
pub(super) struct Ahead {
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

impl Ahead {
    /// Element `offset + i` of an operand at element `i` of the space.
    pub(super) fn neighbours(input: usize, size: usize, offset: isize) -> Ahead {
        Ahead { input, size, place: Place::Offset(offset) }
    }

    /// Through an access, if it has runs of neighbours.
    pub(super) fn runs(input: usize, size: usize, access: &Access) -> Option<Ahead> {
        access.has_runs().then(|| Ahead {
            input,
            size,
            place: Place::Runs(Box::new(access.clone())),
        })
    }

    /// True if both ask for the same.
    pub(super) fn same(&self, other: &Ahead) -> bool {
        let neighbours = |ahead: &Ahead| match ahead.place {
            Place::Offset(offset) => Some((ahead.input, offset)),
            Place::Runs(_) => None,
        };
        neighbours(self).is_some() && neighbours(self) == neighbours(other)
    }

    /// Asks for elements `start..start + len` of the space, as far as there are such.
    #[inline]
    pub(super) fn ask(&self, inputs: &[&[u8]], start: usize, len: usize) {
        let bytes = inputs[self.input];
        let elements = |first: isize, len: usize| {
            let first = usize::try_from(first).unwrap_or(usize::MAX).saturating_mul(self.size);
            let end = first.saturating_add(len * self.size).min(bytes.len());
            fetch(bytes.get(first..end).unwrap_or_default());
        };
        match &self.place {
            Place::Offset(offset) => elements(offset + start as isize, len),
            Place::Runs(access) => {
                for run in access.runs(start, len) {
                    elements(run.index + run.exists.start as isize, run.exists.len());
                }
            }
        }
    }
}

/// Asks for some bytes.
#[inline]
pub(super) fn fetch(bytes: &[u8]) {
    bytes.chunks(LINE).for_each(prefetch);
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
