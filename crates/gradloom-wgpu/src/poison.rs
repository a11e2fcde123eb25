//! [`Poison`]: with `GRADLOOM_POISON=1`, or where a test asks for it, memory holds NaN before a kernel
//! writes it, so that what is not written shows. Otherwise it holds an earlier tensor's elements, which
//! often look right.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use gradloom_tensor::Result;

use crate::gpu::Gpu;

/// NaN as f32, two NaN as f16, and far out of range as an index.
const WORD: u32 = 0x7fc1_7fc1;
/// Bytes that are copied at once.
const PIECE: u64 = 1 << 20;

/// Fills memory with NaN while it is switched on.
#[derive(Debug)]
pub(crate) struct Poison {
    on: AtomicBool,
    source: OnceLock<wgpu::Buffer>,
}

impl Poison {
    /// Switched on if the environment asks for it.
    pub(crate) fn from_environment() -> Poison {
        let on = std::env::var("GRADLOOM_POISON").is_ok_and(|value| value == "1");
        Poison { on: AtomicBool::new(on), source: OnceLock::new() }
    }

    /// Switches it on or off.
    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// Fills a buffer, if switched on: after all that was submitted before, and before what comes.
    pub(crate) fn fill(&self, gpu: &Gpu, buffer: &wgpu::Buffer) -> Result<()> {
        if !self.on.load(Ordering::Relaxed) {
            return Ok(());
        }
        gpu.scoped("poisoning a buffer", || {
            let source = self.source.get_or_init(|| source(gpu));
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            for start in (0..buffer.size()).step_by(PIECE as usize) {
                let bytes = PIECE.min(buffer.size() - start);
                encoder.copy_buffer_to_buffer(source, 0, buffer, start, bytes);
            }
            gpu.queue.submit([encoder.finish()]);
        })
    }
}

fn source(gpu: &Gpu) -> wgpu::Buffer {
    let source = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("gradloom poison"),
        size: PIECE,
        usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&source, 0, bytemuck::cast_slice(&[WORD; PIECE as usize / 4]));
    source
}
