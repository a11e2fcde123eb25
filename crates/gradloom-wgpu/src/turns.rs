//! [`Turns`]: the device buffer from which the steps of loops know their number.

use std::sync::Arc;

use gradloom_tensor::Result;

use crate::gpu::Gpu;

/// Number `i` at the start of part `i`. It grows with the loops.
#[derive(Debug)]
pub(crate) struct Turns {
    gpu: Arc<Gpu>,
    /// None before the first loop.
    pub(crate) buffer: Option<wgpu::Buffer>,
    /// How often it has grown: bind groups hold on to the buffer of their time.
    pub(crate) generation: u64,
    count: usize,
}

impl Turns {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Turns {
        Turns { gpu, buffer: None, generation: 0, count: 0 }
    }

    /// Makes room for the numbers of so many steps.
    pub(crate) fn grow(&mut self, count: usize) -> Result<()> {
        if count > self.count {
            let count = count.next_power_of_two().max(64);
            self.buffer = Some(allocate(&self.gpu, count)?);
            self.count = count;
            self.generation += 1;
        }
        Ok(())
    }
}

/// Bytes from one number to the next: what the device asks of offsets.
pub(crate) fn stride(gpu: &Gpu) -> usize {
    gpu.limits.min_uniform_buffer_offset_alignment.max(16) as usize
}

fn allocate(gpu: &Gpu, count: usize) -> Result<wgpu::Buffer> {
    use wgpu::BufferUsages as Usages;
    let stride = stride(gpu);
    gpu.scoped("numbers of a loop's steps", || {
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("gradloom turns"),
            size: (count * stride) as u64,
            usage: Usages::UNIFORM | Usages::STORAGE | Usages::COPY_DST,
            mapped_at_creation: false,
        });
        let mut words = vec![0u32; count * stride / 4];
        words.iter_mut().step_by(stride / 4).zip(0..).for_each(|(word, number)| *word = number);
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
        buffer
    })
}
