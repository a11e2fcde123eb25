//! Memory of one thread for the time of one task: kept between tasks, so taking it is free.

use std::cell::RefCell;

use bytemuck::{Pod, Zeroable};

/// A cache line; vectors that are aligned to it never straddle two.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([u64; 8]);

/// Aligned memory that goes back to its thread when dropped. Contents are arbitrary.
pub(crate) struct Scratch {
    lines: Vec<Line>,
    bytes: usize,
}

thread_local! {
    static FREE: RefCell<Vec<Vec<Line>>> = const { RefCell::new(Vec::new()) };
}

/// Most blocks that a thread keeps.
const KEPT_MAX: usize = 64;

impl Scratch {
    /// Memory for `count` values of type `T`.
    pub(crate) fn take<T: Pod>(count: usize) -> Scratch {
        let bytes = count * size_of::<T>();
        let needed = bytes.div_ceil(size_of::<Line>());
        let mut lines = FREE.with_borrow_mut(|free| {
            // The smallest that fits, else the largest, which grows.
            let fitting = (0..free.len())
                .filter(|&index| free[index].len() >= needed)
                .min_by_key(|&index| free[index].len());
            let largest = (0..free.len()).max_by_key(|&index| free[index].len());
            fitting.or(largest).map(|index| free.swap_remove(index)).unwrap_or_default()
        });
        if lines.len() < needed {
            lines.resize(needed, Line([0; 8]));
        }
        Scratch { lines, bytes }
    }

    /// No memory: what stands in while a block is borrowed elsewhere.
    pub(crate) const fn empty() -> Scratch {
        Scratch { lines: Vec::new(), bytes: 0 }
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory as values.
    pub(crate) fn get<T: Pod>(&self) -> &[T] {
        bytemuck::cast_slice(&bytemuck::cast_slice::<Line, u8>(&self.lines)[..self.bytes])
    }

    /// The memory as values, to write.
    pub(crate) fn get_mut<T: Pod>(&mut self) -> &mut [T] {
        bytemuck::cast_slice_mut(
            &mut bytemuck::cast_slice_mut::<Line, u8>(&mut self.lines)[..self.bytes],
        )
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() {
            return;
        }
        // A thread that is ending has no list any more; then the memory is simply freed.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < KEPT_MAX {
                free.push(lines);
            }
        });
    }
}
