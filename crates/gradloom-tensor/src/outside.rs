//! Elements that are outside of a device's memory until they are needed, such as in a file:
//! [`BytesSource`], and [`Deferred`], what a device that has to copy them keeps meanwhile.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Result;

/// Where the bytes of a leaf come from when they are needed: see
/// [`Backend::adopt`](crate::Backend::adopt). They are in host order, and the same at every reading.
pub trait BytesSource: Send + Sync + 'static {
    /// Number of bytes.
    fn byte_count(&self) -> usize;

    /// What is read is a multiple of so many bytes and begins at one.
    fn unit(&self) -> usize {
        1
    }

    /// Copies the bytes from `offset` on.
    ///
    /// # Errors
    /// When they cannot be read any more.
    ///
    /// # Panics
    /// If they are beyond the end, or no whole units.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<()>;

    /// The bytes where they lie in memory as they are, if they do. A device of the host may use them
    /// there.
    fn lent(&self) -> Option<Lent> {
        None
    }
}

/// Memory of the host that is no device's: nobody writes to it, and it stays where it is.
pub trait HostMemory: Send + Sync + 'static {
    /// All of it.
    fn bytes(&self) -> &[u8];

    /// Looks whether it can still be read: a file that is mapped may have become shorter.
    ///
    /// # Errors
    /// When it cannot.
    fn check(&self) -> Result<()>;
}

/// A part of somebody's memory, kept alive.
#[derive(Clone)]
pub struct Lent {
    memory: Arc<dyn HostMemory>,
    range: Range<usize>,
}

impl Lent {
    /// A part of this memory.
    ///
    /// # Panics
    /// If the memory is shorter.
    pub fn new(memory: Arc<dyn HostMemory>, range: Range<usize>) -> Lent {
        assert!(range.start <= range.end && range.end <= memory.bytes().len(), "lent: {range:?}");
        Lent { memory, range }
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.memory.bytes()[self.range.clone()]
    }

    /// The memory that it is a part of.
    pub fn memory(&self) -> &Arc<dyn HostMemory> {
        &self.memory
    }
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Lent({:?})", self.range)
    }
}

/// Counts bytes for as long as it lives.
#[derive(Debug)]
pub struct Counted {
    counter: Arc<AtomicU64>,
    bytes: u64,
}

impl Counted {
    /// Adds to a counter until it is dropped.
    pub fn new(counter: &Arc<AtomicU64>, bytes: usize) -> Counted {
        let (counter, bytes) = (Arc::clone(counter), bytes as u64);
        counter.fetch_add(bytes, Ordering::Relaxed);
        Counted { counter, bytes }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What a device keeps of a leaf that it has not copied yet: the source, and from the first use on the
/// memory `M` with the copy. A copy that is made in steps is a `B` meanwhile.
pub struct Deferred<M, B = ()>(Mutex<State<M, B>>);

enum State<M, B> {
    Outside { source: Arc<dyn BytesSource>, begun: Option<B>, _counted: Counted },
    Copied(Arc<M>),
}

impl<M, B> Deferred<M, B> {
    /// Not copied yet; `counter` has its bytes until it is.
    pub fn new(source: Arc<dyn BytesSource>, counter: &Arc<AtomicU64>) -> Deferred<M, B> {
        let _counted = Counted::new(counter, source.byte_count());
        Deferred(Mutex::new(State::Outside { source, begun: None, _counted }))
    }

    /// True until the first use.
    pub fn is_outside(&self) -> bool {
        matches!(&*self.state(), State::Outside { .. })
    }

    /// The copy if it is made, otherwise after a step of making it, which may give it. If a step fails, the
    /// next one begins anew.
    ///
    /// # Errors
    /// Those of `step`.
    pub fn advance(
        &self,
        step: impl FnOnce(&dyn BytesSource, &mut Option<B>) -> Result<Option<Arc<M>>>,
    ) -> Result<Option<Arc<M>>> {
        let mut state = self.state();
        let made = match &mut *state {
            State::Copied(memory) => return Ok(Some(Arc::clone(memory))),
            State::Outside { source, begun, .. } => {
                step(&**source, begun).inspect_err(|_| *begun = None)?
            }
        };
        if let Some(memory) = &made {
            *state = State::Copied(Arc::clone(memory));
        }
        Ok(made)
    }

    fn state(&self) -> MutexGuard<'_, State<M, B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M> Deferred<M> {
    /// The copy, which `copy` makes at the first use. If that fails, the next use tries again.
    ///
    /// # Errors
    /// Those of `copy`.
    pub fn memory(&self, copy: impl FnOnce(&dyn BytesSource) -> Result<Arc<M>>) -> Result<Arc<M>> {
        let mut state = self.state();
        let memory = match &*state {
            State::Copied(memory) => return Ok(Arc::clone(memory)),
            State::Outside { source, .. } => copy(&**source)?,
        };
        *state = State::Copied(Arc::clone(&memory));
        Ok(memory)
    }
}

impl<M, B> std::fmt::Debug for Deferred<M, B> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Deferred")
    }
}
