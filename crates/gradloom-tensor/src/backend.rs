//! The third narrow waist: [`Backend`], what runs graphs, [`Device`], a cheap handle on one, and
//! [`Buffer`], elements in a device's memory.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;

use crate::outside::BytesSource;
use crate::{DType, Error, Result, Tensor};

/// A future that may be awaited on any thread. It does nothing before it is polled, and dropping it at any
/// time leaves tensors and devices as if it had not begun, or had finished.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that evaluates graphs: the CPU, or one GPU adapter.
///
/// Object-safe, so nothing above this crate is generic over backends. What may wait for a device has two
/// forms: one that blocks, and one that is awaited, for threads that must not block. A device that never
/// waits has them by the blocking form.
pub trait Backend: Send + Sync + 'static {
    /// A short name for people: `cpu`, `vulkan: NVIDIA H100`.
    fn name(&self) -> String;

    /// What this backend can do.
    fn capabilities(&self) -> Capabilities;

    /// Copies elements in host order to the device.
    ///
    /// # Errors
    /// When memory runs out, the dtype is unsupported, or the device is lost.
    fn upload(&self, dtype: DType, bytes: &[u8]) -> Result<Buffer>;

    /// As [`Backend::upload`], which never waits for a device's work, with a wait where a driver holds many
    /// uploads that are not done, and for the errors that a driver reports late.
    ///
    /// # Errors
    /// As [`Backend::upload`].
    fn upload_async<'a>(&'a self, dtype: DType, bytes: &'a [u8]) -> BoxFuture<'a, Result<Buffer>> {
        Box::pin(async move { self.upload(dtype, bytes) })
    }

    /// Takes elements that are outside of the device's memory, such as in a file, and may leave them
    /// there: used in place, or copied at the first use. Without such a device's own way they are
    /// uploaded at once.
    ///
    /// # Errors
    /// As [`Backend::upload`], and when they cannot be read. What is left for later fails then: the
    /// evaluation that needs them.
    fn adopt(&self, dtype: DType, source: Arc<dyn BytesSource>) -> Result<Buffer> {
        let (mut bytes, count) = (Vec::new(), source.byte_count());
        bytes.try_reserve_exact(count).map_err(|error| {
            Error::out_of_memory(format!("adopt: no memory for {count} bytes: {error}"))
        })?;
        bytes.resize(count, 0);
        source.read(0, &mut bytes)?;
        self.upload(dtype, &bytes)
    }

    /// Copies all elements to the host, in host order, packed as [`DType::size`] says.
    ///
    /// # Errors
    /// When the device is lost or an earlier kernel failed.
    fn download(&self, buffer: &Buffer) -> Result<Vec<u8>>;

    /// As [`Backend::download`], without blocking.
    ///
    /// # Errors
    /// As [`Backend::download`].
    fn download_async<'a>(&'a self, buffer: &'a Buffer) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(async move { self.download(buffer) })
    }

    /// Computes every root that has no value yet and stores the values in the nodes.
    ///
    /// # Errors
    /// When memory runs out, a kernel is unsupported, an index is out of range, or the device is lost.
    fn evaluate(&self, roots: &[Tensor], retention: Retention) -> Result<()>;

    /// As [`Backend::evaluate`], without blocking: ready as soon as the work is submitted and its checks
    /// are known.
    ///
    /// # Errors
    /// As [`Backend::evaluate`].
    fn evaluate_async<'a>(
        &'a self,
        roots: &'a [Tensor],
        retention: Retention,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.evaluate(roots, retention) })
    }

    /// Waits for all work submitted so far.
    ///
    /// # Errors
    /// When the device is lost.
    fn synchronize(&self) -> Result<()>;

    /// As [`Backend::synchronize`], without blocking.
    ///
    /// # Errors
    /// When the device is lost.
    fn synchronize_async(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { self.synchronize() })
    }

    /// Memory and work counters since the backend was made.
    fn statistics(&self) -> Statistics;

    /// Gives cached memory that nothing uses back to the system.
    fn trim(&self);

    /// For downcasts to the concrete backend.
    fn as_any(&self) -> &dyn Any;
}

/// What an evaluation leaves behind besides its roots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retention {
    /// Stored intermediates of tracked nodes stay, so a later gradient does not recompute them.
    Keep,
    /// Only the roots stay, and the memory of leaves that only this graph holds may be reused for
    /// them: what [`commit`](crate::commit) does.
    Release,
}

/// What a backend can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// True for the CPU backend: buffers are host memory.
    pub host: bool,
    /// True if `f16` tensors can live there.
    pub f16: bool,
    /// True if `f64` tensors can live there.
    pub f64: bool,
    /// True if `i64` tensors can live there.
    pub i64: bool,
    /// The largest buffer in bytes.
    pub buffer_bytes_max: u64,
    /// Lanes of a subgroup if the device has subgroup operations.
    pub subgroup_size: Option<u32>,
}

/// Counters of a backend. All but `bytes_in_use`, `bytes_cached`, `bytes_outside` and `plan_bytes` only
/// grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Bytes in live buffers.
    pub bytes_in_use: u64,
    /// Bytes kept by the caching allocator for reuse.
    pub bytes_cached: u64,
    /// Bytes of live buffers that are not in the device's memory: leaves that are used where their file
    /// is mapped, and those that nothing has asked for yet. No part of `bytes_in_use`.
    pub bytes_outside: u64,
    /// Highest `bytes_in_use` so far.
    pub bytes_peak: u64,
    /// Buffers requested from the operating system or the driver.
    pub system_allocations: u64,
    /// Kernels executed (dispatches on a GPU).
    pub kernels: u64,
    /// Bytes that kernels read and wrote, each operand and result counted once a kernel.
    pub bytes_moved: u64,
    /// Submissions to the device's queue; evaluations on the CPU.
    pub submissions: u64,
    /// Plans made because the structure of a graph was new.
    pub plans: u64,
    /// Evaluations that reused a plan.
    pub replays: u64,
    /// Shaders compiled; none where kernels are part of the program.
    pub shaders: u64,
    /// Bytes of the host that the plans take which are kept, with what was compiled for them.
    pub plan_bytes: u64,
}

impl Statistics {
    /// What has been added to the counters that only grow; the others as they are now.
    #[must_use]
    pub fn since(&self, before: &Statistics) -> Statistics {
        Statistics {
            system_allocations: self.system_allocations - before.system_allocations,
            kernels: self.kernels - before.kernels,
            bytes_moved: self.bytes_moved - before.bytes_moved,
            submissions: self.submissions - before.submissions,
            plans: self.plans - before.plans,
            replays: self.replays - before.replays,
            shaders: self.shaders - before.shaders,
            ..*self
        }
    }
}

/// Elements in a device's memory, shared by reference count.
#[derive(Clone)]
pub struct Buffer {
    storage: Arc<dyn Any + Send + Sync>,
    dtype: DType,
    len: usize,
    fixed: bool,
}

impl Buffer {
    /// Wraps a backend's own storage.
    pub fn new(storage: Arc<dyn Any + Send + Sync>, dtype: DType, len: usize) -> Self {
        Buffer { storage, dtype, len, fixed: false }
    }

    /// Wraps storage that is never written in place, whoever holds it.
    pub fn fixed(storage: Arc<dyn Any + Send + Sync>, dtype: DType, len: usize) -> Self {
        Buffer { storage, dtype, len, fixed: true }
    }

    /// The same storage with elements of another kind.
    #[must_use]
    pub fn sharing(&self, dtype: DType, len: usize) -> Self {
        Buffer { storage: Arc::clone(&self.storage), dtype, len, fixed: self.fixed }
    }

    /// The backend's storage, if it is a `T`.
    pub fn storage<T: 'static>(&self) -> Option<&T> {
        self.storage.downcast_ref()
    }

    /// The shared handle on the storage, to compare or count holders.
    pub fn shared(&self) -> &Arc<dyn Any + Send + Sync> {
        &self.storage
    }

    /// True if only `count` handles on the storage are left, those that the caller accounts for: then
    /// nobody else can read it, and it may be written in place. Never true of
    /// [`fixed`](Buffer::fixed) storage.
    ///
    /// The count alone would not do: it is read without order, so a thread that has just let its handle
    /// go might still be seen reading. After the fence its reads are over.
    pub fn is_held_only_by(&self, count: usize) -> bool {
        let only = !self.fixed && Arc::strong_count(&self.storage) == count;
        if only {
            std::sync::atomic::fence(std::sync::atomic::Ordering::Acquire);
        }
        only
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Buffer({}, {} elements)", self.dtype, self.len)
    }
}

/// A cheap handle on a backend. Tensors of one graph must be on one device.
#[derive(Clone)]
pub struct Device(Arc<dyn Backend>);

impl Device {
    /// A handle on a backend.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Device(backend)
    }

    /// The backend behind the handle.
    pub fn backend(&self) -> &dyn Backend {
        &*self.0
    }

    /// Name for people.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// What the device can do.
    pub fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    /// Waits for all submitted work.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn synchronize(&self) -> Result<()> {
        self.0.synchronize()
    }

    /// As [`Device::synchronize`], without blocking.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn synchronize_async(&self) -> BoxFuture<'_, Result<()>> {
        self.0.synchronize_async()
    }

    /// Memory and work counters.
    pub fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Device {}

impl std::fmt::Debug for Device {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Device({})", self.0.name())
    }
}
