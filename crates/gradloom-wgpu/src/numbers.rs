//! [`NumberTable`]: the device buffer with the numbers of all dispatches of a plan: sizes, strides, offsets.
//! It is filled when the plan is compiled and never changes.

use gradloom_tensor::Result;
use rustc_hash::FxHashMap;

use crate::arena::{self, Extent};
use crate::gpu::Gpu;

/// Collects the numbers of a plan's dispatches.
#[derive(Debug, Default)]
pub(crate) struct NumberTable {
    words: Vec<u32>,
    known: FxHashMap<Vec<u32>, Extent>,
}

impl NumberTable {
    /// Where the numbers of a dispatch will be. Dispatches with the same ones share them.
    pub(crate) fn add(&mut self, numbers: &[u32], gpu: &Gpu) -> Extent {
        if let Some(&extent) = self.known.get(numbers) {
            return extent;
        }
        let extent = arena::extent(self.words.len(), numbers.len(), gpu);
        self.words.resize(extent.offset as usize / 4, 0);
        self.words.extend(numbers);
        self.words.resize((extent.offset + extent.bytes) as usize / 4, 0);
        self.known.insert(numbers.to_vec(), extent);
        extent
    }

    /// The buffer, if there are any.
    pub(crate) fn upload(self, gpu: &Gpu) -> Result<Option<wgpu::Buffer>> {
        use wgpu::BufferUsages as Usages;
        if self.words.is_empty() {
            return Ok(None);
        }
        let buffer = gpu.scoped("numbers of a plan", || {
            let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gradloom numbers"),
                size: self.words.len() as u64 * 4,
                usage: Usages::UNIFORM | Usages::STORAGE | Usages::COPY_DST,
                mapped_at_creation: false,
            });
            gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&self.words));
            buffer
        })?;
        Ok(Some(buffer))
    }
}
