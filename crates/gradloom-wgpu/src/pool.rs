//! [`Pool`]: device memory that is kept for reuse, in size classes.
//!
//! Of the free buffers of a class the oldest is taken, not the latest returned: then a step that takes
//! and returns the same sizes sees the same buffers in the same order as the step before, and its bind
//! groups are found in their cache.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use gradloom_tensor::{Error, Result, Statistics};

use crate::gpu::Gpu;
use crate::poison::Poison;

/// Device memory, back in its pool when the last holder drops it.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) raw: wgpu::Buffer,
    /// A number that no other buffer of the pool has.
    pub(crate) id: u64,
    class: u64,
    pool: Weak<Pool>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.give_back(self.raw.clone(), self.id, self.class);
        }
    }
}

/// Free buffers and counters.
#[derive(Debug)]
pub(crate) struct Pool {
    gpu: Arc<Gpu>,
    state: Mutex<State>,
    pub(crate) poison: Poison,
}

#[derive(Debug, Default)]
struct State {
    /// Ids of free buffers by class.
    free: BTreeMap<u64, BTreeSet<u64>>,
    /// Handles of free buffers by id.
    handles: BTreeMap<u64, wgpu::Buffer>,
    next_id: u64,
    /// Most bytes in use and cached together.
    budget: Option<u64>,
    /// How often what was cached has been given back: bind groups hold on to it.
    trims: u64,
    counters: Statistics,
}

impl Pool {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Arc<Pool> {
        Arc::new(Pool { gpu, state: Mutex::default(), poison: Poison::from_environment() })
    }

    /// Memory of at least `bytes`, with whatever it held before.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> Result<Arc<Memory>> {
        let memory = self.free_or_new(bytes)?;
        self.poison.fill(&self.gpu, &memory.raw)?;
        Ok(memory)
    }

    fn free_or_new(self: &Arc<Self>, bytes: u64) -> Result<Arc<Memory>> {
        let class = size_class(bytes);
        let limits = &self.gpu.limits;
        let largest = limits.max_buffer_size.min(limits.max_storage_buffer_binding_size);
        // Near the limit the class is the size itself.
        let class = if class > largest { bytes.next_multiple_of(16) } else { class };
        if class > largest {
            return Err(Error::out_of_memory(format!(
                "a tensor of {bytes} bytes is over the limit of {largest} bytes a buffer on {}; \
                 split it",
                self.gpu.info
            )));
        }
        if let Some(memory) = self.reuse(class) {
            return Ok(memory);
        }
        self.make_room(class)?;
        let raw = match self.allocate(class) {
            Err(error) if error.is_out_of_memory() => {
                self.trim();
                self.gpu.wait()?;
                self.allocate(class)?
            }
            other => other?,
        };
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.counters.system_allocations += 1;
        state.count_taken(class);
        Ok(Arc::new(Memory { raw, id, class, pool: Arc::downgrade(self) }))
    }

    fn reuse(self: &Arc<Self>, class: u64) -> Option<Arc<Memory>> {
        let mut state = self.state();
        let id = state.free.get_mut(&class)?.pop_first()?;
        let raw = state.handles.remove(&id)?;
        state.counters.bytes_cached -= class;
        state.count_taken(class);
        Some(Arc::new(Memory { raw, id, class, pool: Arc::downgrade(self) }))
    }

    fn allocate(&self, class: u64) -> Result<wgpu::Buffer> {
        self.gpu.scoped("allocating a buffer", || {
            self.gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: class,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        })
    }

    fn give_back(&self, raw: wgpu::Buffer, id: u64, class: u64) {
        let mut state = self.state();
        state.counters.bytes_in_use -= class;
        state.counters.bytes_cached += class;
        state.free.entry(class).or_default().insert(id);
        state.handles.insert(id, raw);
    }

    /// Forgets all free buffers.
    pub(crate) fn trim(&self) {
        self.state().clear();
    }

    /// Sets the most bytes that it may hold.
    pub(crate) fn set_budget(&self, budget: Option<u64>) {
        self.state().budget = budget;
    }

    /// How often what was cached has been given back.
    pub(crate) fn trims(&self) -> u64 {
        self.state().trims
    }

    /// Gives back what is cached if so many bytes more are over the budget, and fails if that is not enough.
    fn make_room(&self, bytes: u64) -> Result<()> {
        let mut state = self.state();
        let Some(budget) = state.budget else { return Ok(()) };
        let over = |held: u64| held.saturating_add(bytes) > budget;
        if over(state.counters.bytes_in_use + state.counters.bytes_cached) {
            state.clear();
        }
        let in_use = state.counters.bytes_in_use;
        if over(in_use) {
            return Err(Error::out_of_memory(format!(
                "{bytes} bytes more are over the memory budget of {budget} bytes of {} ({in_use} are in use); \
                 use smaller batches, free tensors, or raise the budget",
                self.gpu.info
            )));
        }
        Ok(())
    }

    /// The memory counters.
    pub(crate) fn statistics(&self) -> Statistics {
        self.state().counters
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn clear(&mut self) {
        self.free.clear();
        self.handles.clear();
        self.counters.bytes_cached = 0;
        self.trims += 1;
    }

    fn count_taken(&mut self, class: u64) {
        self.counters.bytes_in_use += class;
        self.counters.bytes_peak = self.counters.bytes_peak.max(self.counters.bytes_in_use);
    }
}

/// Sizes are rounded up to a quarter of a power of two, so that at most a fifth is wasted and buffers
/// of similar tensors can stand in for one another.
fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(256);
    let step = (bytes.next_power_of_two() / 8).max(64);
    bytes.next_multiple_of(step)
}

#[cfg(test)]
mod tests {
    use super::size_class;

    #[test]
    fn size_classes_waste_at_most_a_fifth() {
        for bytes in (1..5000).chain([1 << 20, (1 << 20) + 1, 3 << 28]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(16));
            assert!(bytes < 256 || class * 4 <= bytes * 5 + 256, "{bytes} -> {class}");
        }
    }
}
