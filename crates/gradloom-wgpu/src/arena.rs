//! [`Arena`]: the device buffer with the words of all kernels of an evaluation, each kernel's at an
//! offset of its own. It grows with the plans.

use std::sync::Arc;

use gradloom_tensor::{Error, Result};

use crate::codegen::words::Word;
use crate::gpu::Gpu;

/// Where the words of a plan's kernels are in the arena.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// Each word with its position.
    places: Vec<(usize, Word)>,
    /// Number of words, with the gaps.
    len: usize,
    /// True if the device writes some.
    is_written_by_device: bool,
}

/// A part of a buffer of words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Byte at which they start.
    pub(crate) offset: u64,
    /// Bytes that the kernel binds.
    pub(crate) bytes: u64,
}

impl Layout {
    /// Bytes of the host that it takes.
    pub(crate) fn footprint(&self) -> usize {
        size_of_val(&self.places[..])
    }

    /// Appends the words of a kernel.
    pub(crate) fn add(&mut self, words: &[Word], gpu: &Gpu) -> Extent {
        let extent = extent(self.len, words.len(), gpu);
        self.places.extend(words.iter().zip(extent.first()..).map(|(&word, place)| (place, word)));
        self.len = (extent.offset + extent.bytes) as usize / 4;
        extent
    }

    /// Appends a word that no kernel binds as its own.
    pub(crate) fn add_single(&mut self, word: Word) -> usize {
        let place = self.next();
        self.places.push((place, word));
        place
    }

    /// Appends a word that the device writes.
    pub(crate) fn reserve(&mut self) -> usize {
        self.is_written_by_device = true;
        self.next()
    }

    fn next(&mut self) -> usize {
        self.len += 1;
        self.len - 1
    }
}

impl Extent {
    /// The place of its first word.
    pub(crate) fn first(self) -> usize {
        self.offset as usize / 4
    }
}

/// The first extent of `count` words that a kernel can bind after so many words.
pub(crate) fn extent(after: usize, count: usize, gpu: &Gpu) -> Extent {
    let limits = &gpu.limits;
    let alignment =
        limits.min_uniform_buffer_offset_alignment.max(limits.min_storage_buffer_offset_alignment);
    let start = after.next_multiple_of(alignment as usize / 4);
    Extent { offset: start as u64 * 4, bytes: count.next_multiple_of(4) as u64 * 4 }
}

/// The device buffer, and what is in it.
#[derive(Debug)]
pub(crate) struct Arena {
    gpu: Arc<Gpu>,
    pub(crate) buffer: wgpu::Buffer,
    /// How often it has grown: bind groups hold on to the buffer of their time.
    pub(crate) generation: u64,
    written: Vec<u32>,
}

impl Arena {
    pub(crate) fn new(gpu: Arc<Gpu>) -> Arena {
        let buffer = allocate(&gpu, 1 << 14);
        Arena { gpu, buffer, generation: 0, written: Vec::new() }
    }

    /// Writes the words of an evaluation whose arguments are `arguments`, for the next submission.
    pub(crate) fn write(&mut self, layout: &Layout, arguments: &[u32]) -> Result<()> {
        let mut words = vec![0; layout.len];
        for &(place, word) in &layout.places {
            words[place] = match word {
                Word::Argument(argument) => *arguments.get(argument).ok_or_else(|| {
                    Error::backend(format!(
                        "plan: a kernel reads argument {argument}, which is none"
                    ))
                })?,
                Word::Site(site) => site as u32,
            };
        }
        let bytes = words.len() as u64 * 4;
        if bytes > self.buffer.size() {
            let size = bytes.next_power_of_two();
            self.buffer = self.gpu.scoped("words of a plan", || allocate(&self.gpu, size))?;
            self.generation += 1;
            self.written.clear();
        }
        // Writes take effect before the next submission and after the ones before it.
        if words != self.written {
            self.gpu.queue.write_buffer(&self.buffer, 0, bytemuck::cast_slice(&words));
            self.written = words;
        }
        if layout.is_written_by_device {
            self.written.clear();
        }
        Ok(())
    }
}

fn allocate(gpu: &Gpu, size: u64) -> wgpu::Buffer {
    use wgpu::BufferUsages as Usages;
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("gradloom arena"),
        size,
        usage: Usages::UNIFORM | Usages::STORAGE | Usages::COPY_DST,
        mapped_at_creation: false,
    })
}
