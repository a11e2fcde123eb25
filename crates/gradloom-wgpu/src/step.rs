//! [`Step`]: one dispatch of a compiled plan, with its pipeline and the bind groups it has used.

use std::num::NonZeroU64;
use std::sync::Arc;

use gradloom_plan::BufferRef;
use gradloom_tensor::{Buffer, Error, Result};
use rustc_hash::FxHashMap;

use crate::arena::{Arena, Extent};
use crate::codegen::bindings::Resource;
use crate::gpu::Gpu;
use crate::pipeline::Pipeline;
use crate::pool::Memory;
use crate::turns::Turns;

/// Bind groups that a dispatch remembers before it starts over.
const BIND_GROUPS_MAX: usize = 64;

/// One dispatch of a plan.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) label: String,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) resources: Vec<Resource>,
    /// True if it reads the number of its loop's step.
    pub(crate) takes_turns: bool,
    /// Where its words are, if it binds them.
    pub(crate) words: Extent,
    /// Where its numbers are, if it binds them.
    pub(crate) numbers: Extent,
    pub(crate) grid: [u32; 2],
    pub(crate) bind_groups: FxHashMap<Vec<u64>, wgpu::BindGroup>,
}

/// The buffers that all evaluations of a plan bind.
pub(crate) struct Shared<'a> {
    pub(crate) arena: &'a Arena,
    pub(crate) turns: &'a Turns,
    pub(crate) numbers: Option<&'a wgpu::Buffer>,
    pub(crate) status: &'a wgpu::Buffer,
}

/// The memory of one evaluation.
pub(crate) struct Memories<'a> {
    pub(crate) inputs: &'a [Buffer],
    pub(crate) outputs: &'a [Buffer],
    pub(crate) slots: &'a [Arc<Memory>],
    pub(crate) scratch: &'a [Arc<Memory>],
}

impl Memories<'_> {
    /// The memory of a buffer of the plan.
    pub(crate) fn of_plan(&self, buffer: BufferRef) -> Option<&Memory> {
        match buffer {
            BufferRef::Input(input) => self.inputs.get(input)?.storage(),
            BufferRef::Output(output) => self.outputs.get(output)?.storage(),
            BufferRef::Slot(slot) => self.slots.get(slot).map(|memory| &**memory),
        }
    }

    fn of(&self, resource: Resource) -> Option<&Memory> {
        match resource {
            Resource::Plan(buffer) => self.of_plan(buffer),
            Resource::Scratch(scratch) => self.scratch.get(scratch).map(|memory| &**memory),
            _ => None,
        }
    }
}

impl Step {
    /// Numbers that tell the buffers apart from all others that the dispatch may bind.
    fn key(&self, memory: &Memories<'_>, shared: &Shared<'_>) -> Vec<u64> {
        let id = |&resource: &Resource| match resource {
            Resource::Turn | Resource::Turns => shared.turns.generation,
            _ => memory.of(resource).map_or(shared.arena.generation, |memory| memory.id),
        };
        self.resources.iter().map(id).collect()
    }

    /// The bind group of these buffers, made if they are new to the dispatch.
    pub(crate) fn bind_group(
        &mut self,
        gpu: &Gpu,
        memory: &Memories<'_>,
        shared: &Shared<'_>,
    ) -> Result<wgpu::BindGroup> {
        let key = self.key(memory, shared);
        if let Some(group) = self.bind_groups.get(&key) {
            return Ok(group.clone());
        }
        let mut entries = Vec::with_capacity(self.resources.len());
        for (&resource, binding) in self.resources.iter().zip(0..) {
            let missing = || Error::backend(format!("{}: {resource:?} is missing", self.label));
            let resource = match resource {
                Resource::Words => part(&shared.arena.buffer, self.words),
                Resource::Numbers | Resource::List => {
                    part(shared.numbers.ok_or_else(missing)?, self.numbers)
                }
                Resource::Arena => shared.arena.buffer.as_entire_binding(),
                Resource::Turn | Resource::Turns => {
                    let turns = shared.turns.buffer.as_ref().ok_or_else(missing)?;
                    match resource {
                        Resource::Turn => part(turns, Extent { offset: 0, bytes: 16 }),
                        _ => turns.as_entire_binding(),
                    }
                }
                Resource::Status => shared.status.as_entire_binding(),
                Resource::Plan(_) | Resource::Scratch(_) => {
                    memory.of(resource).ok_or_else(missing)?.raw.as_entire_binding()
                }
            };
            entries.push(wgpu::BindGroupEntry { binding, resource });
        }
        let group = gpu.scoped(&self.label, || {
            gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: None,
                layout: &self.pipeline.layout,
                entries: &entries,
            })
        })?;
        if self.bind_groups.len() >= BIND_GROUPS_MAX {
            self.bind_groups.clear();
        }
        self.bind_groups.insert(key, group.clone());
        Ok(group)
    }

    /// Records the dispatch, as one of a loop's step whose number lies at some byte.
    pub(crate) fn record(
        &self,
        pass: &mut wgpu::ComputePass<'_>,
        group: &wgpu::BindGroup,
        turn: u32,
    ) {
        pass.set_pipeline(&self.pipeline.raw);
        let offsets: &[u32] = if self.takes_turns { &[turn] } else { &[] };
        pass.set_bind_group(0, group, offsets);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}

fn part(buffer: &wgpu::Buffer, extent: Extent) -> wgpu::BindingResource<'_> {
    wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer,
        offset: extent.offset,
        size: NonZeroU64::new(extent.bytes),
    })
}
