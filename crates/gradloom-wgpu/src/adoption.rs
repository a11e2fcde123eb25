//! [`Adoption`]: leaves that are outside of the device's memory, such as in a file, until a plan binds
//! them. They are uploaded then, in pieces, so that the host never holds much of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::outside::{BytesSource, Deferred};
use gradloom_tensor::{Buffer, DType, Result};

use crate::gpu::Gpu;
use crate::pool::{Memory, Pool};
use crate::transfer;

/// Bytes of the source that are read at once.
const PIECE: usize = 8 << 20;
/// Bytes that the driver may hold for uploads before they are waited for, of all leaves together.
const PENDING_MAX: u64 = 64 << 20;

/// The storage of a buffer whose elements are outside until they are needed.
#[derive(Debug)]
struct Adopted {
    dtype: DType,
    deferred: Deferred<Memory>,
}

/// Takes leaves over and uploads them.
#[derive(Debug)]
pub(crate) struct Adoption {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    /// Bytes of leaves that are not uploaded yet.
    outside: Arc<AtomicU64>,
    /// Bytes of uploads that nothing has waited for.
    pending: AtomicU64,
}

impl Adoption {
    pub(crate) fn new(gpu: Arc<Gpu>, pool: Arc<Pool>) -> Adoption {
        Adoption { gpu, pool, outside: Arc::default(), pending: AtomicU64::new(0) }
    }

    /// A buffer whose elements stay where they are until [`Adoption::in_memory`].
    pub(crate) fn adopt(&self, dtype: DType, source: Arc<dyn BytesSource>) -> Buffer {
        let len = source.byte_count() / dtype.size();
        let deferred = Deferred::new(source, &self.outside);
        Buffer::fixed(Arc::new(Adopted { dtype, deferred }), dtype, len)
    }

    /// True if the buffer's storage is not the device's memory itself.
    pub(crate) fn has(buffer: &Buffer) -> bool {
        buffer.storage::<Adopted>().is_some()
    }

    /// The buffer in the device's memory: uploaded if it is the first use.
    pub(crate) fn in_memory(&self, buffer: &Buffer) -> Result<Buffer> {
        let Some(adopted) = buffer.storage::<Adopted>() else { return Ok(buffer.clone()) };
        let memory = adopted.deferred.memory(|source| self.upload(adopted.dtype, source))?;
        Ok(Buffer::fixed(memory, buffer.dtype(), buffer.len()))
    }

    /// Bytes of leaves that are not uploaded yet.
    pub(crate) fn bytes_outside(&self) -> u64 {
        self.outside.load(Ordering::Relaxed)
    }

    fn upload(&self, dtype: DType, source: &dyn BytesSource) -> Result<Arc<Memory>> {
        let count = source.byte_count();
        let memory = self.pool.take(transfer::device_bytes(dtype, count / dtype.size()))?;
        // Of four units, so that every piece begins at a word of the device.
        let unit = 4 * source.unit();
        let piece = (PIECE / unit).max(1) * unit;
        let mut bytes = vec![0; piece.min(count)];
        let (mut offset, mut written) = (0, 0);
        while offset < count {
            let bytes = &mut bytes[..piece.min(count - offset)];
            let read = source.read(offset, bytes);
            read.map_err(|error| error.on_device(&self.gpu.info.to_string()))?;
            let words = transfer::to_device(dtype, bytes);
            let queue = &self.gpu.queue;
            self.gpu.scoped("upload", || queue.write_buffer(&memory.raw, written, &words))?;
            offset += bytes.len();
            written += words.len() as u64;
            self.wait_for(words.len() as u64)?;
        }
        Ok(memory)
    }

    /// Counts an upload, and waits for all if they are many.
    fn wait_for(&self, bytes: u64) -> Result<()> {
        if self.pending.fetch_add(bytes, Ordering::Relaxed) + bytes < PENDING_MAX {
            return Ok(());
        }
        self.pending.store(0, Ordering::Relaxed);
        self.gpu.scoped("upload", || self.gpu.queue.submit([]))?;
        self.gpu.wait()
    }
}
