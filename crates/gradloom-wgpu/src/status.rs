//! [`Status`]: where the index checks of a submission report, and the error that they describe.

use gradloom_tensor::{Error, Origin, Result, Shape};

use crate::gpu::Gpu;

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

/// Says where a node of a plan was made.
pub(crate) type Sites<'a> = &'a (dyn Fn(usize) -> CheckSite + Sync);

impl CheckSite {
    /// An error as one of this op.
    pub(crate) fn error(&self, error: Error) -> Error {
        error.of_op(self.op, &self.shape, self.origin)
    }
}

/// Bytes of the words: taken, site, value, size.
pub(crate) const BYTES: u64 = 16;

/// The words that kernels with index checks write. Every submission leaves zeros for the next.
#[derive(Debug)]
pub(crate) struct Status {
    pub(crate) words: wgpu::Buffer,
}

impl Status {
    pub(crate) fn new(gpu: &Gpu) -> Status {
        use wgpu::BufferUsages as Usages;
        Status { words: buffer(gpu, Usages::STORAGE | Usages::COPY_SRC | Usages::COPY_DST) }
    }

    /// Records that the words be copied to where the host reads them.
    pub(crate) fn record(&self, encoder: &mut wgpu::CommandEncoder, staging: &wgpu::Buffer) {
        encoder.copy_buffer_to_buffer(&self.words, 0, staging, 0, BYTES);
        encoder.clear_buffer(&self.words, 0, None);
    }
}

/// The error of the first failed check, if the words that were copied tell of one.
pub(crate) fn outcome(bytes: &[u8], sites: &dyn Fn(usize) -> CheckSite) -> Result<()> {
    let [taken, site, value, size]: [u32; 4] = bytemuck::pod_read_unaligned(bytes);
    if taken == 0 {
        return Ok(());
    }
    let CheckSite { op, origin, .. } = sites(site as usize);
    let index = i64::from(value as i32);
    Err(Error::index_out_of_range(op, index, size as usize, origin))
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
