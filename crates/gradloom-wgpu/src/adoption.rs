//! [`Adoption`]: leaves that are outside of the device's memory, such as in a file, until a plan binds
//! them. They are uploaded then, in pieces, so that the host never holds much of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gradloom_tensor::outside::{BytesSource, Deferred};
use gradloom_tensor::{Buffer, DType, Result};

use crate::gpu::Gpu;
use crate::pool::{Memory, Pool};
use crate::transfer;
use crate::wait::Wait;

/// Bytes of the source that are read at once.
const PIECE: usize = 8 << 20;
/// Bytes that the driver may hold for uploads before they are waited for, of all leaves together.
const PENDING_MAX: u64 = 64 << 20;

/// The storage of a buffer whose elements are outside until they are needed.
#[derive(Debug)]
struct Adopted {
    dtype: DType,
    deferred: Deferred<Memory, Upload>,
}

/// An upload that has begun.
#[derive(Debug)]
struct Upload {
    memory: Arc<Memory>,
    /// A piece of the source.
    bytes: Vec<u8>,
    /// Bytes of the source that were read, and of the device that were written.
    read: usize,
    written: u64,
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

    /// The buffer in the device's memory: uploaded if it is the first use. Who else needs it meanwhile
    /// uploads the next piece, so nobody waits for another.
    pub(crate) async fn in_memory(&self, buffer: &Buffer, wait: Wait) -> Result<Buffer> {
        let Some(adopted) = buffer.storage::<Adopted>() else { return Ok(buffer.clone()) };
        loop {
            let upload = |source: &dyn BytesSource, begun: &mut Option<Upload>| {
                self.upload_piece(adopted.dtype, source, begun)
            };
            if let Some(memory) = adopted.deferred.advance(upload)? {
                return Ok(Buffer::fixed(memory, buffer.dtype(), buffer.len()));
            }
            self.wait_for_uploads(wait).await?;
        }
    }

    /// Bytes of leaves that are not uploaded yet.
    pub(crate) fn bytes_outside(&self) -> u64 {
        self.outside.load(Ordering::Relaxed)
    }

    /// Uploads the next piece of a source. Gives the memory once it is whole.
    fn upload_piece(
        &self,
        dtype: DType,
        source: &dyn BytesSource,
        begun: &mut Option<Upload>,
    ) -> Result<Option<Arc<Memory>>> {
        let count = source.byte_count();
        let upload = match begun {
            Some(upload) => upload,
            none => {
                let memory = self.pool.take(transfer::device_bytes(dtype, count / dtype.size()))?;
                // Of four units, so that every piece begins at a word of the device.
                let unit = 4 * source.unit();
                let bytes = vec![0; ((PIECE / unit).max(1) * unit).min(count)];
                none.insert(Upload { memory, bytes, read: 0, written: 0 })
            }
        };
        let Upload { memory, bytes, read, written } = upload;
        let whole = bytes.len();
        let bytes = &mut bytes[..whole.min(count - *read)];
        if !bytes.is_empty() {
            let found = source.read(*read, bytes);
            found.map_err(|error| error.on_device(&self.gpu.info.to_string()))?;
            let words = transfer::to_device(dtype, bytes);
            let queue = &self.gpu.queue;
            self.gpu.scoped("upload", || queue.write_buffer(&memory.raw, *written, &words))?;
            *read += bytes.len();
            *written += words.len() as u64;
            self.count(words.len() as u64);
        }
        Ok((*read == count).then(|| Arc::clone(memory)))
    }

    /// Counts an upload.
    pub(crate) fn count(&self, bytes: u64) {
        self.pending.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Waits for all uploads if they are many.
    pub(crate) async fn wait_for_uploads(&self, wait: Wait) -> Result<()> {
        if self.pending.load(Ordering::Relaxed) < PENDING_MAX {
            return Ok(());
        }
        self.pending.store(0, Ordering::Relaxed);
        self.gpu.scoped("upload", || self.gpu.queue.submit([]))?;
        self.gpu.done(wait).await
    }
}
