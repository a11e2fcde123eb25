//! [`Step`]: one dispatch of a compiled plan, with its pipeline and the bind groups it has used.

use std::sync::Arc;

use gradloom_plan::BufferRef;
use gradloom_tensor::{Buffer, Error, Result};
use rustc_hash::FxHashMap;

use crate::codegen::bindings::Resource;
use crate::gpu::Gpu;
use crate::pipeline::Pipeline;
use crate::pool::Memory;

/// Bind groups that a dispatch remembers before it starts over.
const BIND_GROUPS_MAX: usize = 64;
/// A plan's dispatches.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) steps: Vec<Step>,
    pub(crate) scratch: Vec<u64>,
    pub(crate) checks: Vec<(usize, usize)>,
}

/// One dispatch of a plan.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) label: String,
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) grid: [u32; 2],
    pub(crate) bind_groups: FxHashMap<Vec<u64>, wgpu::BindGroup>,
}

/// The memory of one evaluation.
pub(crate) struct Memories<'a> {
    pub(crate) inputs: &'a [Buffer],
    pub(crate) outputs: &'a [Buffer],
    pub(crate) slots: &'a [Arc<Memory>],
    pub(crate) scratch: &'a [Arc<Memory>],
}

impl Memories<'_> {
    fn of(&self, resource: Resource) -> Option<&Memory> {
        match resource {
            Resource::Plan(BufferRef::Input(input)) => self.inputs.get(input)?.storage(),
            Resource::Plan(BufferRef::Output(output)) => self.outputs.get(output)?.storage(),
            Resource::Plan(BufferRef::Slot(slot)) => self.slots.get(slot).map(|memory| &**memory),
            Resource::Scratch(scratch) => self.scratch.get(scratch).map(|memory| &**memory),
            Resource::Arena | Resource::Status => None,
        }
    }
}

impl Step {
    fn key(&self, memory: &Memories<'_>) -> Vec<u64> {
        let special = u64::MAX;
        self.resources
            .iter()
            .map(|&resource| memory.of(resource).map_or(special, |memory| memory.id))
            .collect()
    }

    /// The bind group of these buffers, made if they are new to the dispatch.
    pub(crate) fn bind_group(
        &mut self,
        gpu: &Gpu,
        memory: &Memories<'_>,
        arena: &wgpu::Buffer,
        status: &wgpu::Buffer,
    ) -> Result<wgpu::BindGroup> {
        let key = self.key(memory);
        if let Some(group) = self.bind_groups.get(&key) {
            return Ok(group.clone());
        }
        let mut entries = Vec::with_capacity(self.resources.len());
        for (&resource, binding) in self.resources.iter().zip(0..) {
            let buffer = match resource {
                Resource::Arena => arena,
                Resource::Status => status,
                Resource::Plan(_) | Resource::Scratch(_) => {
                    let missing =
                        || Error::backend(format!("{}: {resource:?} is missing", self.label));
                    &memory.of(resource).ok_or_else(missing)?.raw
                }
            };
            entries.push(wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() });
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

    /// Records the dispatch.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, group: &wgpu::BindGroup) {
        pass.set_pipeline(&self.pipeline.raw);
        pass.set_bind_group(0, group, &[]);
        pass.dispatch_workgroups(self.grid[0], self.grid[1], 1);
    }
}
