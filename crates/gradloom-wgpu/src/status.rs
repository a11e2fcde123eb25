//! [`Status`]: where the index checks of an evaluation report, and the error that they describe.
//!
//! The executor runs one evaluation at a time up to its last check, so the words belong to it alone.

use std::sync::Arc;

use gradloom_tensor::{Error, Origin, Result, Shape};

use crate::gpu::{self, Gpu};

/// What an error tells of a node: its op and shape, and its place in the caller's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckSite {
    /// The op, or that on whose behalf an index check is made.
    pub op: &'static str,
    /// The shape of its result.
    pub shape: Shape,
    /// Where the op was made.
    pub origin: Origin,
}

impl CheckSite {
    /// An error as one of this op.
    pub(crate) fn error(&self, error: Error) -> Error {
        error.of_op(self.op, &self.shape, self.origin)
    }
}

/// Bytes of the words: taken, site, value, size.
const BYTES: u64 = 16;

/// The words that kernels with index checks write, and the buffer that the host reads them from.
#[derive(Debug)]
pub(crate) struct Status {
    gpu: Arc<Gpu>,
    pub(crate) words: wgpu::Buffer,
    staging: wgpu::Buffer,
}

impl Status {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Status {
        use wgpu::BufferUsages as Usages;
        let words = buffer(&gpu, Usages::STORAGE | Usages::COPY_SRC | Usages::COPY_DST);
        let staging = staging(&gpu);
        Status { gpu, words, staging }
    }

    /// Records that the words be copied to where the host reads them.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        encoder.copy_buffer_to_buffer(&self.words, 0, &self.staging, 0, BYTES);
    }

    /// Waits for the kernels whose words were recorded; the error of their first failed check.
    pub(crate) fn outcome(&mut self, sites: &dyn Fn(usize) -> CheckSite) -> Result<()> {
        let outcome = self.read();
        if !matches!(outcome, Ok([0, ..])) {
            self.gpu.queue.write_buffer(&self.words, 0, &[0; BYTES as usize]);
        }
        let [taken, site, value, size] = outcome.inspect_err(|_| {
            // It may be mapped or not; a new one is certain.
            self.staging = staging(&self.gpu);
        })?;
        if taken == 0 {
            return Ok(());
        }
        let CheckSite { op, origin, .. } = sites(site as usize);
        let index = i64::from(value as i32);
        Err(Error::index_out_of_range(op, index, size as usize, origin))
    }

    fn read(&self) -> Result<[u32; 4]> {
        let mapped = gpu::map_for_reading(&self.gpu, &self.staging, BYTES)?;
        let words = bytemuck::pod_read_unaligned(&mapped);
        drop(mapped);
        self.staging.unmap();
        Ok(words)
    }
}

fn staging(gpu: &Gpu) -> wgpu::Buffer {
    buffer(gpu, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST)
}

/// A buffer of zeros for the words.
fn buffer(gpu: &Gpu, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("gradloom status"),
        size: BYTES,
        usage,
        mapped_at_creation: false,
    })
}
