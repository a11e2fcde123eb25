//! [`Storage`]: one block of the pool, given back when its last holder goes, or memory that others have
//! lent for reading, such as a mapped file; and [`Memory`], the address of one.
//!
//! Blocks are 64-byte aligned and were zero when the system gave them, so every byte is initialised;
//! a reused block holds what its last user left. Lent memory is aligned to its elements.
#![expect(unsafe_code, reason = "tensors share raw memory whose exclusive writer the plan decides")]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use gradloom_tensor::outside::{BytesSource, Counted, Deferred, HostMemory, Lent};
use gradloom_tensor::{Buffer, DType, Error, Result};
use rayon::prelude::*;

use crate::kept::Kept;
use crate::pool::{Block, Pool};

impl Pool {
    /// Memory of at least `bytes` bytes with arbitrary contents.
    ///
    /// # Errors
    /// When the system has no memory, also after the cache was given back to it, and what was kept.
    pub(crate) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Storage> {
        let block = match self.take(bytes) {
            Err(error) if error.is_out_of_memory() && self.keeper().free(true) => {
                self.take(bytes)?
            }
            taken => taken?,
        };
        Ok(Storage::new(Kind::Block { block: Some(block), pool: Arc::clone(self) }))
    }

    /// Memory for the time of one kernel.
    ///
    /// # Errors
    /// As [`Pool::allocate`].
    pub(crate) fn temporary(self: &Arc<Self>, bytes: usize) -> Result<Temporary> {
        Ok(Temporary(self.allocate(bytes)?, bytes))
    }
}

/// The memory behind a [`Buffer`].
pub(crate) struct Storage {
    kind: Kind,
    kept: Kept<Temporary>,
}

enum Kind {
    Block { block: Option<Block>, pool: Arc<Pool> },
    Lent { lent: Lent, alignment: usize, _counted: Counted },
}

impl Storage {
    fn new(kind: Kind) -> Storage {
        Storage { kind, kept: Kept::default() }
    }

    /// What is kept of its elements.
    pub(crate) fn kept(&self) -> &Kept<Temporary> {
        &self.kept
    }

    /// Where the elements are.
    pub(crate) fn memory(&self) -> Memory {
        let none = Memory { pointer: NonNull::dangling(), bytes: 0, writable: true };
        match &self.kind {
            Kind::Block { block: None, .. } => none,
            Kind::Block { block: Some(block), .. } => {
                Memory { pointer: block.pointer(), bytes: block.bytes(), writable: true }
            }
            Kind::Lent { lent, alignment, .. } => {
                let bytes = lent.bytes();
                // Kernels read whole elements; who lends has only promised that nothing moves.
                assert!(is_aligned(bytes, *alignment), "memory: what was lent has moved");
                // Only read through: `write` looks at the flag.
                let pointer = NonNull::from(bytes).cast();
                Memory { pointer, bytes: bytes.len(), writable: false }
            }
        }
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Kind::Block { block, pool } = &mut self.kind
            && let Some(block) = block.take()
        {
            pool.give_back(block);
        }
    }
}

/// A leaf whose elements stay outside: used where they are if they lie in memory as they are needed,
/// otherwise copied at the first use. `outside` counts their bytes. Neither is written in place.
pub(crate) fn adopt(
    dtype: DType,
    source: Arc<dyn BytesSource>,
    outside: &Arc<AtomicU64>,
) -> Buffer {
    let len = source.byte_count() / dtype.size();
    let alignment = dtype.size();
    match source.lent().filter(|lent| is_aligned(lent.bytes(), alignment)) {
        Some(lent) => {
            let _counted = Counted::new(outside, lent.bytes().len());
            let kind = Kind::Lent { lent, alignment, _counted };
            Buffer::fixed(Arc::new(Storage::new(kind)), dtype, len)
        }
        None => Buffer::fixed(Arc::new(Deferred::<Storage>::new(source, outside)), dtype, len),
    }
}

fn is_aligned(bytes: &[u8], alignment: usize) -> bool {
    bytes.as_ptr().addr().is_multiple_of(alignment)
}

/// The memory of buffers of this backend, as one evaluation finds them.
pub(crate) struct Finder<'a> {
    pool: &'a Arc<Pool>,
    /// The lent memory that was looked at last: parts of one file mostly come together.
    checked: Option<Arc<dyn HostMemory>>,
}

impl<'a> Finder<'a> {
    /// Copies what is needed and not copied yet to this pool.
    pub(crate) fn new(pool: &'a Arc<Pool>) -> Finder<'a> {
        Finder { pool, checked: None }
    }

    /// Copies all that is needed and not copied yet, on several threads. What fails is left for
    /// [`Finder::memory_of`], which says so.
    pub(crate) fn copy_all(&self, buffers: &[Buffer]) {
        if !buffers.iter().filter_map(deferred).any(Deferred::is_outside) {
            return;
        }
        let pool = self.pool;
        buffers.par_iter().with_max_len(1).filter_map(deferred).for_each(|deferred| {
            drop(deferred.memory(|source| copy(pool, source)));
        });
    }

    /// The memory of a buffer.
    ///
    /// # Errors
    /// If it is another device's, or outside and cannot be read any more, or cannot be copied.
    pub(crate) fn memory_of(&mut self, buffer: &Buffer) -> Result<Memory> {
        if let Some(storage) = buffer.storage::<Storage>() {
            if let Kind::Lent { lent, .. } = &storage.kind {
                self.check(lent)?;
            }
            return Ok(storage.memory());
        }
        let Some(deferred) = deferred(buffer) else {
            return Err(Error::backend(
                "cpu: a buffer belongs to another device; move the tensor with `to_device`",
            ));
        };
        // The buffer keeps the copy from now on.
        Ok(deferred.memory(|source| copy(self.pool, source))?.memory())
    }

    fn check(&mut self, lent: &Lent) -> Result<()> {
        let memory = lent.memory();
        if !self.checked.as_ref().is_some_and(|checked| Arc::ptr_eq(checked, memory)) {
            memory.check().map_err(named)?;
            self.checked = Some(Arc::clone(memory));
        }
        Ok(())
    }
}

fn deferred(buffer: &Buffer) -> Option<&Deferred<Storage>> {
    buffer.storage()
}

fn copy(pool: &Arc<Pool>, source: &dyn BytesSource) -> Result<Arc<Storage>> {
    let bytes = source.byte_count();
    let storage = pool.allocate(bytes)?;
    // SAFETY: the storage was just made, so this is its only use.
    source.read(0, unsafe { storage.memory().write(bytes) }).map_err(named)?;
    Ok(Arc::new(storage))
}

fn named(error: Error) -> Error {
    error.on_device("cpu")
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

impl AsRef<[u8]> for Temporary {
    fn as_ref(&self) -> &[u8] {
        self.get()
    }
}

/// The address and size of a block that somebody keeps alive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    pointer: NonNull<u8>,
    bytes: usize,
    writable: bool,
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

    /// False for memory that was lent for reading.
    pub(crate) fn is_writable(self) -> bool {
        self.writable
    }

    /// Its first `bytes` bytes for writing.
    ///
    /// # Panics
    /// If the block is smaller, or was lent for reading.
    ///
    /// # Safety
    /// The block lives for `'a` and nobody else reads or writes it meanwhile.
    pub(crate) unsafe fn write<'a>(self, bytes: usize) -> &'a mut [u8] {
        assert!(bytes <= self.bytes, "memory: {bytes} bytes asked of a block of {}", self.bytes);
        assert!(self.writable, "memory: what was lent for reading is to be written");
        // SAFETY: as in `read`.
        unsafe { std::slice::from_raw_parts_mut(self.pointer.as_ptr(), bytes) }
    }

    /// True if both are the same block.
    pub(crate) fn same(self, other: Memory) -> bool {
        self.bytes > 0 && self.pointer == other.pointer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(Vec<u8>);

    impl HostMemory for Bytes {
        fn bytes(&self) -> &[u8] {
            &self.0
        }

        fn check(&self) -> Result<()> {
            Ok(())
        }
    }

    struct Part(Lent);

    impl BytesSource for Part {
        fn byte_count(&self) -> usize {
            self.0.bytes().len()
        }

        fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()> {
            bytes.copy_from_slice(&self.0.bytes()[offset..][..bytes.len()]);
            Ok(())
        }

        fn lent(&self) -> Option<Lent> {
            Some(self.0.clone())
        }
    }

    #[test]
    fn lent_memory_is_used_where_it_lies_unless_it_is_not_aligned() {
        let (pool, outside) = (Arc::new(Pool::default()), Arc::default());
        let memory: Arc<dyn HostMemory> = Arc::new(Bytes((0..64).collect()));
        let first = memory.bytes().as_ptr().align_offset(4);
        for shift in 0..8 {
            let range = first + shift..first + shift + 16;
            let lent = Lent::new(Arc::clone(&memory), range.clone());
            let buffer = adopt(DType::F32, Arc::new(Part(lent)), &outside);
            assert_eq!((buffer.len(), outside.load(std::sync::atomic::Ordering::Relaxed)), (4, 16));
            assert!(!buffer.is_held_only_by(1));
            let found = Finder::new(&pool).memory_of(&buffer).expect("memory");
            let there = NonNull::from(&memory.bytes()[range.clone()]).cast();
            assert_eq!(found.pointer == there, shift % 4 == 0);
            assert_eq!(found.is_writable(), shift % 4 != 0);
            // SAFETY: the buffer lives, and nobody writes.
            assert_eq!(unsafe { found.read(16) }, &memory.bytes()[range]);
        }
        assert_eq!(pool.usage().in_use, 0);
    }

    #[test]
    #[should_panic = "what was lent for reading is to be written"]
    fn lent_memory_is_never_written() {
        let lent = Lent::new(Arc::new(Bytes(vec![0; 64])), 0..64);
        let buffer = adopt(DType::U8, Arc::new(Part(lent)), &Arc::default());
        let found = Finder::new(&Arc::default()).memory_of(&buffer).expect("memory");
        // SAFETY: it panics.
        unsafe { found.write(1) };
    }
}
