//! [`Pool`]: the caching allocator. A fresh page costs several times the arithmetic of a memory-bound
//! kernel, so blocks go to a free list by size class and come back at the next step.
//!
//! Blocks are not zeroed when reused.
#![expect(unsafe_code, reason = "blocks come from the global allocator by hand, to see failures")]

use std::alloc::Layout;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gradloom_tensor::{Error, Result};

use crate::kept::Keeper;

/// Alignment of every block: a cache line, and the widest vector.
const ALIGNMENT: usize = 64;
/// Size classes per doubling, which bounds the waste of a block to an eighth.
const CLASSES_PER_OCTAVE: usize = 8;
/// Cached bytes that are kept whatever the peak was.
const CACHE_MIN_BYTES: u64 = 1 << 30;
/// How many classes above the fitting one a free block may be taken from.
const CLASSES_ABOVE: usize = 3;

/// Blocks of memory, in use or free.
#[derive(Default)]
pub(crate) struct Pool {
    state: Mutex<State>,
    keeper: Arc<Keeper>,
}

#[derive(Default)]
struct State {
    /// Free blocks by class.
    free: Vec<Vec<Block>>,
    usage: Usage,
    /// Most bytes in use and cached together.
    budget: Option<u64>,
}

/// What the pool holds.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) in_use: u64,
    pub(crate) cached: u64,
    pub(crate) peak: u64,
    pub(crate) system_allocations: u64,
}

/// One allocation of the system, aligned by hand.
pub(crate) struct Block {
    pointer: NonNull<u8>,
    base: NonNull<u8>,
    class: usize,
}

// SAFETY: a block is the only owner of its allocation.
unsafe impl Send for Block {}
// SAFETY: a shared block only tells its address.
unsafe impl Sync for Block {}

impl Block {
    /// The first byte.
    pub(crate) fn pointer(&self) -> NonNull<u8> {
        self.pointer
    }

    /// Size in bytes.
    pub(crate) fn bytes(&self) -> usize {
        class_bytes(self.class)
    }

    /// A block from the system, `None` if it has no memory.
    fn allocate(class: usize) -> Option<Block> {
        let layout = Block::layout(class)?;
        // The allocator clears fresh pages for free at this alignment; a larger one would touch them.
        // SAFETY: the layout has a size of at least one cache line.
        let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) })?;
        let offset = base.as_ptr().align_offset(ALIGNMENT);
        // SAFETY: the layout has `ALIGNMENT` bytes more than the class.
        let pointer = unsafe { base.add(offset) };
        Some(Block { pointer, base, class })
    }

    fn layout(class: usize) -> Option<Layout> {
        Layout::from_size_align(class_bytes(class).checked_add(ALIGNMENT)?, 16).ok()
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if let Some(layout) = Block::layout(self.class) {
            // SAFETY: `base` came from the same allocator with the same layout.
            unsafe { std::alloc::dealloc(self.base.as_ptr(), layout) };
        }
    }
}

/// The smallest class of at least `bytes` bytes.
fn class_of(bytes: usize) -> usize {
    let lines = bytes.div_ceil(ALIGNMENT).max(1);
    if lines <= CLASSES_PER_OCTAVE {
        return lines - 1;
    }
    let octave = (lines - 1).ilog2() as usize - CLASSES_PER_OCTAVE.ilog2() as usize;
    let step = (lines - 1) >> octave;
    octave * CLASSES_PER_OCTAVE + step
}

/// Bytes of a class.
fn class_bytes(class: usize) -> usize {
    let octave = (class / CLASSES_PER_OCTAVE).saturating_sub(1);
    let step = class - octave * CLASSES_PER_OCTAVE;
    ((step + 1) << octave) * ALIGNMENT
}

impl Pool {
    /// A block of at least `bytes` bytes with arbitrary contents, to be given back.
    ///
    /// # Errors
    /// When the system has no memory, also after the cache was given back to it.
    pub(crate) fn take(&self, bytes: usize) -> Result<Block> {
        if bytes > isize::MAX as usize / 2 {
            return Err(out_of_memory(bytes, self.usage()));
        }
        let class = class_of(bytes);
        let mut state = self.lock();
        let found = (class..=class + CLASSES_ABOVE)
            .find_map(|class| state.free.get_mut(class).and_then(Vec::pop));
        let block = match found {
            Some(block) => {
                state.usage.cached -= block.bytes() as u64;
                block
            }
            None => {
                state.make_room(class_bytes(class) as u64)?;
                let fresh = Block::allocate(class).or_else(|| {
                    state.clear();
                    Block::allocate(class)
                });
                let Some(fresh) = fresh else {
                    return Err(out_of_memory(bytes, state.usage));
                };
                state.usage.system_allocations += 1;
                fresh
            }
        };
        state.usage.in_use += block.bytes() as u64;
        state.usage.peak = state.usage.peak.max(state.usage.in_use);
        Ok(block)
    }

    /// Keeps the block for the next allocation, or frees it if enough is kept.
    pub(crate) fn give_back(&self, block: Block) {
        let mut state = self.lock();
        let bytes = block.bytes() as u64;
        state.usage.in_use -= bytes;
        if state.usage.cached + bytes > state.usage.peak.max(CACHE_MIN_BYTES) {
            drop(state);
            drop(block);
            return;
        }
        state.usage.cached += bytes;
        if state.free.len() <= block.class {
            state.free.resize_with(block.class + 1, Vec::new);
        }
        let class = block.class;
        state.free[class].push(block);
    }

    /// Frees what is cached and kept.
    pub(crate) fn trim(&self) {
        self.keeper.free(false);
        self.lock().clear();
    }

    /// Sets the most bytes that it may hold.
    pub(crate) fn set_budget(&self, budget: Option<u64>) {
        self.lock().budget = budget;
        self.keeper.resume();
    }

    /// Who keeps what kernels have made of the elements of buffers.
    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// What the pool holds now.
    pub(crate) fn usage(&self) -> Usage {
        self.lock().usage
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn clear(&mut self) {
        self.free.clear();
        self.usage.cached = 0;
    }

    /// Gives back what is cached if so many bytes more are over the budget, and fails if that is not enough.
    fn make_room(&mut self, bytes: u64) -> Result<()> {
        let Some(budget) = self.budget else { return Ok(()) };
        let over = |held: u64| held.saturating_add(bytes) > budget;
        if over(self.usage.in_use + self.usage.cached) {
            self.clear();
        }
        if over(self.usage.in_use) {
            return Err(Error::out_of_memory(format!(
                "cpu: {bytes} bytes more are over the memory budget of {budget} bytes ({} are in use); use \
                 smaller batches, free tensors, or raise the budget",
                self.usage.in_use
            )));
        }
        Ok(())
    }
}

fn out_of_memory(bytes: usize, usage: Usage) -> Error {
    Error::out_of_memory(format!(
        "cpu: the system has no memory for a buffer of {bytes} bytes ({} bytes are in use, {} cached); \
         use smaller batches or free tensors",
        usage.in_use, usage.cached
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_hold_their_sizes_and_waste_at_most_an_eighth() {
        for bytes in (1..100_000).chain([1 << 20, (1 << 20) + 1, 123_456_789, 1 << 40]) {
            let class = class_of(bytes);
            assert!(class_bytes(class) >= bytes);
            assert!(class == 0 || class_bytes(class - 1) < bytes, "{bytes} fits a smaller class");
            assert!(bytes < 512 || class_bytes(class) <= bytes + bytes / 8 + 64);
        }
    }

    #[test]
    fn blocks_come_back_without_the_system() {
        let pool = Arc::new(Pool::default());
        for _ in 0..10 {
            let first = pool.allocate(1000).expect("memory");
            let second = pool.allocate(5000).expect("memory");
            assert!(!first.memory().same(second.memory()));
        }
        let usage = pool.usage();
        assert_eq!(usage.system_allocations, 2);
        assert_eq!(usage.in_use, 0);
        assert!(usage.cached >= 6000);
        pool.trim();
        assert_eq!(pool.usage().cached, 0);
    }

    #[test]
    fn an_impossible_size_is_an_error() {
        let pool = Arc::new(Pool::default());
        let error = pool.allocate(1 << 60).err().expect("no such memory");
        assert!(error.is_out_of_memory());
        assert!(pool.allocate(usize::MAX).is_err());
    }
}
