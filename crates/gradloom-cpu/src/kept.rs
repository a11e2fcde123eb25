//! [`Kept`]: what kernels have made of the elements of a buffer, such as weights packed for products. It is
//! made for every run at first; at the second run with the same elements it is kept beside them, until they
//! are overwritten, their buffer goes, or memory runs short.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use gradloom_tensor::{DType, Result};

/// Most bytes that are kept on a device.
const BYTES_MAX: usize = 512 << 20;

/// How elements are packed: equal packings of the same elements are equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    /// Who packs, on which level.
    pub(crate) by: &'static str,
    pub(crate) level: &'static str,
    /// The dtype of the elements and what they are read as.
    pub(crate) dtypes: [DType; 2],
    /// All that it depends on besides.
    pub(crate) sizes: [isize; 5],
}

/// What is kept beside the elements of one buffer, in memory of type `M`.
pub(crate) struct Kept<M: AsRef<[u8]>>(Mutex<State<M>>);

struct State<M: AsRef<[u8]>> {
    /// True while an evaluation may overwrite the elements.
    closed: bool,
    /// What was asked for at least once.
    packs: Vec<(Packing, Option<Arc<Slot<M>>>)>,
}

/// A pack, once it is kept.
type Slot<M> = Mutex<Option<Arc<Pack<M>>>>;

/// Packed elements.
pub(crate) struct Pack<M: AsRef<[u8]>> {
    memory: M,
    /// Who counts its bytes.
    counted: Option<Arc<Keeper>>,
}

impl<M: AsRef<[u8]>> Pack<M> {
    /// The packed elements.
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }
}

impl<M: AsRef<[u8]>> Drop for Pack<M> {
    fn drop(&mut self) {
        if let Some(keeper) = &self.counted {
            keeper.bytes.fetch_sub(self.memory.as_ref().len(), Ordering::Relaxed);
        }
    }
}

impl<M: AsRef<[u8]>> Default for Kept<M> {
    fn default() -> Self {
        Kept(Mutex::new(State { closed: false, packs: Vec::new() }))
    }
}

impl<M: AsRef<[u8]> + Send + Sync + 'static> Kept<M> {
    /// Forgets everything, and keeps nothing until it is opened: the elements are about to change.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.0);
        state.packs.clear();
        state.closed = true;
    }

    /// The elements stay as they are from now on.
    pub(crate) fn open(&self) {
        lock(&self.0).closed = false;
    }

    /// The elements packed with `make`, or as they were packed before; `None` at the first time, when
    /// nothing says that there will be a second one, and where nothing can be kept.
    ///
    /// # Errors
    /// What `make` returns.
    pub(crate) fn get_or_make(
        &self,
        keeper: &Arc<Keeper>,
        packing: Packing,
        make: impl FnOnce() -> Result<Option<M>>,
    ) -> Result<Option<Arc<Pack<M>>>> {
        let slot = {
            let mut state = lock(&self.0);
            if state.closed || keeper.stopped.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let Some((_, slot)) = state.packs.iter_mut().find(|(own, _)| *own == packing) else {
                state.packs.push((packing, None));
                return Ok(None);
            };
            Arc::clone(slot.get_or_insert_default())
        };
        let mut kept = lock(&slot);
        if let Some(pack) = &*kept {
            return Ok(Some(Arc::clone(pack)));
        }
        let Some(memory) = make()? else { return Ok(None) };
        let counted = keeper.count(memory.as_ref().len(), &slot);
        let pack = Arc::new(Pack { memory, counted });
        if pack.counted.is_some() {
            *kept = Some(Arc::clone(&pack));
        }
        Ok(Some(pack))
    }
}

/// What a device keeps in all.
#[derive(Default)]
pub(crate) struct Keeper {
    bytes: AtomicUsize,
    /// True after memory has run short.
    stopped: AtomicBool,
    slots: Mutex<Vec<Weak<dyn Held>>>,
}

/// What can be freed.
trait Held: Send + Sync {
    /// Frees it if there is something and nobody uses it, and says so.
    fn free(&self) -> bool;
}

impl<M: AsRef<[u8]> + Send + Sync> Held for Slot<M> {
    fn free(&self) -> bool {
        // One that is just being made is in use.
        self.try_lock().is_ok_and(|mut pack| pack.take().is_some())
    }
}

impl Keeper {
    /// Counts so many bytes more, if they can be kept.
    fn count<M: AsRef<[u8]> + Send + Sync + 'static>(
        self: &Arc<Self>,
        bytes: usize,
        slot: &Arc<Slot<M>>,
    ) -> Option<Arc<Keeper>> {
        let add = |all: usize| all.checked_add(bytes).filter(|&all| all <= BYTES_MAX);
        self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        let mut slots = lock(&self.slots);
        if slots.len() == slots.capacity() {
            slots.retain(|slot| slot.strong_count() > 0);
        }
        let slot: Weak<Slot<M>> = Arc::downgrade(slot);
        slots.push(slot);
        Some(Arc::clone(self))
    }

    /// Frees all that is kept and not in use, and says if there was something. Nothing is kept from now on if
    /// memory has run short.
    pub(crate) fn free(&self, short: bool) -> bool {
        if short {
            self.stopped.store(true, Ordering::Relaxed);
        }
        let slots = std::mem::take(&mut *lock(&self.slots));
        slots.iter().filter_map(Weak::upgrade).filter(|slot| slot.free()).count() > 0
    }

    /// Keeps again, after the memory that there is has changed.
    pub(crate) fn resume(&self) {
        self.stopped.store(false, Ordering::Relaxed);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Temporary;
    use crate::pool::Pool;

    const PACKING: Packing =
        Packing { by: "test", level: "none", dtypes: [DType::F32; 2], sizes: [0; 5] };

    fn made(
        pool: &Arc<Pool>,
        kept: &Kept<Temporary>,
        bytes: usize,
    ) -> Option<Arc<Pack<Temporary>>> {
        let make = || pool.temporary(bytes).map(Some);
        kept.get_or_make(pool.keeper(), PACKING, make).expect("memory")
    }

    #[test]
    fn a_pack_is_kept_from_the_second_time_until_its_elements_change() {
        let (pool, kept) = (Arc::new(Pool::default()), Kept::default());
        assert!(made(&pool, &kept, 1000).is_none());
        let second = made(&pool, &kept, 1000).expect("a pack");
        let third = made(&pool, &kept, 1000).expect("a pack");
        assert!(Arc::ptr_eq(&second, &third));
        kept.close();
        assert!(made(&pool, &kept, 1000).is_none());
        assert!(made(&pool, &kept, 1000).is_none(), "closed");
        kept.open();
        assert!(made(&pool, &kept, 1000).is_none(), "what was made before is of other elements");
        assert!(!Arc::ptr_eq(&second, &made(&pool, &kept, 1000).expect("a pack")));
        drop((kept, second, third));
        assert_eq!(pool.usage().in_use, 0);
    }

    #[test]
    fn what_is_kept_goes_when_memory_runs_short() {
        let (pool, kept) = (Arc::new(Pool::default()), Kept::default());
        for _ in 0..2 {
            made(&pool, &kept, 1 << 20);
        }
        assert!(pool.usage().in_use >= 1 << 20);
        pool.set_budget(Some(3 << 19));
        drop(pool.allocate(1 << 20).expect("what is kept is freed"));
        assert_eq!(pool.usage().in_use, 0);
        assert!(made(&pool, &kept, 1 << 20).is_none(), "memory has run short");
        pool.set_budget(None);
        assert!(made(&pool, &kept, 1 << 20).is_some());
        pool.trim();
        assert_eq!(pool.usage().in_use, 0);
    }

    #[test]
    fn what_is_too_large_is_used_and_not_kept() {
        let (pool, kept) = (Arc::new(Pool::default()), Kept::default());
        for _ in 0..3 {
            drop(made(&pool, &kept, BYTES_MAX + 1));
            assert_eq!(pool.usage().in_use, 0);
        }
    }
}
