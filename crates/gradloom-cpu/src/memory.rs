//! [`Storage`]: one block of the pool, given back when its last holder goes, and [`Memory`], the
//! address of one.
//!
//! Blocks are 64-byte aligned and were zero when the system gave them, so every byte is initialised;
//! a reused block holds what its last user left.
#![expect(unsafe_code, reason = "tensors share raw memory whose exclusive writer the plan decides")]

use std::ptr::NonNull;
use std::sync::Arc;

use gradloom_tensor::Result;

use crate::pool::{Block, Pool};

impl Pool {
    /// Memory of at least `bytes` bytes with arbitrary contents.
    ///
    /// # Errors
    /// When the system has no memory, also after the cache was given back to it.
    pub(crate) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Storage> {
        Ok(Storage { block: Some(self.take(bytes)?), pool: Arc::clone(self) })
    }

    /// Memory for the time of one kernel.
    ///
    /// # Errors
    /// As [`Pool::allocate`].
    pub(crate) fn temporary(self: &Arc<Self>, bytes: usize) -> Result<Temporary> {
        Ok(Temporary(self.allocate(bytes)?, bytes))
    }
}

/// A block of memory behind a [`Buffer`](gradloom_tensor::Buffer).
pub(crate) struct Storage {
    block: Option<Block>,
    pool: Arc<Pool>,
}

impl Storage {
    /// Where the elements are.
    pub(crate) fn memory(&self) -> Memory {
        match &self.block {
            Some(block) => Memory { pointer: block.pointer(), bytes: block.bytes() },
            None => Memory { pointer: NonNull::dangling(), bytes: 0 },
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.pool.give_back(block);
        }
    }
}

/// A block that one kernel uses for itself, never shared.
pub(crate) struct Temporary(Storage, usize);

impl Temporary {
    /// Its bytes.
    pub(crate) fn get(&self) -> &[u8] {
        // SAFETY: this is the only holder, and writing needs `&mut self`.
        unsafe { self.0.memory().read(self.1) }
    }

    /// Its bytes, to write.
    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        // SAFETY: this is the only holder, borrowed exclusively.
        unsafe { self.0.memory().write(self.1) }
    }
}

/// The address and size of a block that somebody keeps alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pointer: NonNull<u8>,
    bytes: usize,
}

// SAFETY: an address is plain data; dereferencing it is the unsafe step and has its own contract.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Its first `bytes` bytes for reading.
    ///
    /// # Panics
    /// If the block is smaller.
    ///
    /// # Safety
    /// The block lives for `'a` and nobody writes to it meanwhile.
    pub(crate) unsafe fn read<'a>(self, bytes: usize) -> &'a [u8] {
        assert!(bytes <= self.bytes, "memory: {bytes} bytes asked of a block of {}", self.bytes);
        // SAFETY: the block has these bytes, all initialised; the caller vouches for the rest.
        unsafe { std::slice::from_raw_parts(self.pointer.as_ptr(), bytes) }
    }

    /// Its first `bytes` bytes for writing.
    ///
    /// # Panics
    /// If the block is smaller.
    ///
    /// # Safety
    /// The block lives for `'a` and nobody else reads or writes it meanwhile.
    pub(crate) unsafe fn write<'a>(self, bytes: usize) -> &'a mut [u8] {
        assert!(bytes <= self.bytes, "memory: {bytes} bytes asked of a block of {}", self.bytes);
        // SAFETY: as in `read`.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), bytes) }
    }

    /// True if both are the same block.
    pub(crate) fn same(self, other: Memory) -> bool {
        self.bytes > 0 && self.pointer == other.pointer
    }
}
