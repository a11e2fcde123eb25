//! [`CpuBackend`]: the processor as a [`Backend`].
#![expect(unsafe_code, reason = "copies between host slices and the memory of buffers")]

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use gradloom_plan::{Limits, Planner, Prepared};
use gradloom_tensor::{
    Backend, Buffer, BytesSource, Capabilities, DType, Device, Error, Result, Retention,
    Statistics, Tensor,
};

use crate::executor::Executor;
use crate::kernels::transposed::COPIES;
use crate::memory::{Finder, adopt};
use crate::simd::Level;
use crate::watch::Watch;

/// The processor: SIMD loops on all cores, memory from a caching allocator.
///
/// ```
/// let device = gradloom_cpu::device();
/// assert!(device.capabilities().host);
/// ```
pub struct CpuBackend {
    planner: Planner,
    executor: Executor,
    threads: usize,
    /// Threads of this backend alone; otherwise the process-wide ones.
    pool: Option<rayon::ThreadPool>,
    /// Bytes of leaves that are not in the pool's memory.
    outside: Arc<AtomicU64>,
    kernels: AtomicU64,
    submissions: AtomicU64,
    plans: AtomicU64,
    replays: AtomicU64,
}

/// The shared device of this process, with one thread per core (or `RAYON_NUM_THREADS`).
pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| Device::new(Arc::new(CpuBackend::build(None, Level::best())))).clone()
}

/// A planner that knows this device.
fn planner(in_place: bool) -> Planner {
    let transposed_copies = Some(COPIES);
    Planner::new(Limits { in_place, casts_on_read: true, transposed_copies, ..Limits::default() })
}

impl CpuBackend {
    /// A backend with memory of its own, on `threads` threads of its own or on the process-wide ones.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn new(threads: Option<usize>) -> Result<CpuBackend> {
        CpuBackend::with_level(threads, Level::best())
    }

    /// As [`CpuBackend::new`], with the vector instructions of `level`: for tests of each of them.
    ///
    /// # Errors
    /// When the system refuses threads.
    pub fn with_level(threads: Option<usize>, level: Level) -> Result<CpuBackend> {
        let pool = match threads {
            None | Some(0 | 1) => None,
            Some(count) => {
                let builder = rayon::ThreadPoolBuilder::new().num_threads(count);
                let failed = |error| Error::backend(format!("cpu: no {count} threads: {error}"));
                Some(builder.build().map_err(failed)?)
            }
        };
        let mut backend = CpuBackend::build(pool, level);
        if let Some(count) = threads {
            backend.threads = count.max(1);
        }
        Ok(backend)
    }

    fn build(pool: Option<rayon::ThreadPool>, level: Level) -> CpuBackend {
        let threads = pool
            .as_ref()
            .map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads());
        let executor = Executor::new(level);
        CpuBackend {
            planner: planner(!executor.check_nan),
            executor,
            threads,
            pool,
            outside: Arc::default(),
            kernels: AtomicU64::new(0),
            submissions: AtomicU64::new(0),
            plans: AtomicU64::new(0),
            replays: AtomicU64::new(0),
        }
    }

    /// This backend as a device.
    pub fn into_device(self) -> Device {
        Device::new(Arc::new(self))
    }

    /// The vector instructions in use.
    pub fn level(&self) -> Level {
        self.executor.level
    }

    /// Fails evaluations at the first NaN or infinity, as `GRADLOOM_CHECK=nan` does, and leaves every
    /// tensor as it was: nothing is written in place meanwhile.
    #[must_use]
    pub fn check_nan(mut self, check: bool) -> CpuBackend {
        self.executor.check_nan = check;
        self.planner = planner(!check);
        self
    }

    fn execute(&self, prepared: &Prepared) -> Result<()> {
        let large = self.threads > 1 && self.executor.is_large(prepared)?;
        if !large {
            return self.executor.execute(prepared, 1);
        }
        // Inside the pool once, so that each kernel starts its tasks without waking anybody twice.
        let run = || self.executor.execute(prepared, self.threads);
        match &self.pool {
            Some(pool) => pool.install(run),
            None => rayon::scope(|_| run()),
        }
    }
}

impl Backend for CpuBackend {
    fn name(&self) -> String {
        format!("cpu: {} threads, {}", self.threads, self.executor.level.name())
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            host: true,
            f16: true,
            f64: true,
            i64: true,
            buffer_bytes_max: isize::MAX as u64,
            subgroup_size: None,
        }
    }

    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer> {
        let watch = Watch::of(&self.executor.name, self.executor.level);
        let storage = self.executor.pool.allocate(bytes.len())?;
        // SAFETY: the storage was just made, so this is its only use.
        unsafe { storage.memory().write(bytes.len()) }.copy_from_slice(bytes);
        if let Some(watch) = watch {
            watch.transfer("upload", bytes.len());
        }
        Ok(Buffer::new(Arc::new(storage), dtype, bytes.len() / dtype.size()))
    }

    fn adopt(&self, dtype: DType, source: Arc<dyn BytesSource>) -> Result<Buffer> {
        Ok(adopt(dtype, source, &self.outside))
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>> {
        let watch = Watch::of(&self.executor.name, self.executor.level);
        let memory = Finder::new(&self.executor.pool).memory_of(buffer)?;
        // SAFETY: the caller holds the buffer, and evaluations write only to memory that they alone
        // hold.
        let bytes = unsafe { memory.read(buffer.len() * buffer.dtype().size()) }.to_vec();
        if let Some(watch) = watch {
            watch.transfer("download", bytes.len());
        }
        Ok(bytes)
    }

    fn evaluate(&self, roots: &[Tensor], retention: Retention) -> Result<()> {
        let prepared = self.planner.prepare(roots, retention)?;
        let counter = if prepared.cached { &self.replays } else { &self.plans };
        counter.fetch_add(1, Ordering::Relaxed);
        self.submissions.fetch_add(1, Ordering::Relaxed);
        self.kernels.fetch_add(prepared.plan.executions() as u64, Ordering::Relaxed);
        self.execute(&prepared)
    }

    fn synchronize(&self) -> Result<()> {
        Ok(())
    }

    fn statistics(&self) -> Statistics {
        let usage = self.executor.pool.usage();
        Statistics {
            bytes_in_use: usage.in_use,
            bytes_cached: usage.cached,
            bytes_outside: self.outside.load(Ordering::Relaxed),
            bytes_peak: usage.peak,
            system_allocations: usage.system_allocations,
            kernels: self.kernels.load(Ordering::Relaxed),
            bytes_moved: self.executor.bytes_moved.load(Ordering::Relaxed),
            submissions: self.submissions.load(Ordering::Relaxed),
            plans: self.plans.load(Ordering::Relaxed),
            replays: self.replays.load(Ordering::Relaxed),
            shaders: 0,
            plan_bytes: self.planner.bytes() as u64,
        }
    }

    fn trim(&self) {
        self.executor.pool.trim();
    }

    fn set_memory_budget(&self, bytes: Option<u64>) -> Result<()> {
        self.executor.pool.set_budget(bytes);
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
