//! [`Executor`]: plans as lists of dispatches, recorded into one command buffer per evaluation.

use std::sync::Arc;

use gradloom_plan::{BufferRef, Operation, Plan, PlanOutput};
use gradloom_tensor::{Buffer, DType, Error, Result, Scalar};
use rustc_hash::FxHashMap;

use crate::checks::{CheckSite, Sites};
use crate::codegen::bindings::ARENA_VECTORS;
use crate::codegen::{self, Target};
use crate::gpu::Gpu;
use crate::pipeline::Pipelines;
use crate::pool::{Memory, Pool};
use crate::profile::Profile;
use crate::step::{Compiled, Memories, Step};
use crate::transfer;

/// Compiled plans that are remembered before all are dropped (their pipelines stay).
const PLANS_MAX: usize = 4096;

/// Runs plans on one device.
#[derive(Debug)]
pub(crate) struct Executor {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    target: Target,
    pipelines: Pipelines,
    plans: FxHashMap<u64, Compiled>,
    arena: wgpu::Buffer,
    arena_words: Vec<u32>,
    pub(crate) status: wgpu::Buffer,
    /// True if index checks ran since the status was read last.
    pub(crate) unchecked: bool,
    sites: Sites,
    profile: Option<Profile>,
    pub(crate) kernels: u64,
    pub(crate) submissions: u64,
}

impl Executor {
    pub(crate) fn new(gpu: Arc<Gpu>, pool: Arc<Pool>) -> Self {
        let buffer = |label, size, usage| {
            gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size,
                usage: usage | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let arena =
            buffer("gradloom arena", ARENA_VECTORS as u64 * 16, wgpu::BufferUsages::UNIFORM);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let status = buffer("gradloom status", 16, usage);
        let profile = Profile::from_environment(&gpu);
        let target = target_of(&gpu);
        Executor {
            gpu,
            pool,
            target,
            pipelines: Pipelines::default(),
            plans: FxHashMap::default(),
            arena,
            arena_words: Vec::new(),
            status,
            unchecked: false,
            sites: Sites::default(),
            profile,
            kernels: 0,
            submissions: 0,
        }
    }

    /// Drops bind groups, which hold on to buffers.
    pub(crate) fn forget_bind_groups(&mut self) {
        for step in self.plans.values_mut().flat_map(|plan| &mut plan.steps) {
            step.bind_groups.clear();
        }
    }

    /// Source text of every pipeline from number `first` on.
    pub(crate) fn sources(&self, first: usize) -> Vec<Arc<str>> {
        self.pipelines.sources(first)
    }

    /// The error that the status words describe, if they describe one.
    pub(crate) fn take_status(&mut self, words: [u32; 4]) -> Result<()> {
        self.unchecked = false;
        if words[0] == 0 {
            return Ok(());
        }
        self.gpu.queue.write_buffer(&self.status, 0, &[0; 16]);
        Err(self.sites.error(words))
    }

    /// Runs a plan: compiled at first, then replayed from its caches.
    pub(crate) fn run(
        &mut self,
        plan: &Plan,
        inputs: &[Buffer],
        arguments: &[Scalar],
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<Vec<Buffer>> {
        check_inputs(plan, inputs, arguments)?;
        if !self.plans.contains_key(&plan.id) {
            let compiled = self.compile(plan)?;
            if self.plans.len() >= PLANS_MAX {
                self.plans.clear();
            }
            self.plans.insert(plan.id, compiled);
        }
        let (scratch_bytes, evaluation) = {
            let compiled = &self.plans[&plan.id];
            let evaluation = if compiled.checks.is_empty() {
                0
            } else {
                self.sites.intern(&compiled.checks, sites)
            };
            self.unchecked |= !compiled.checks.is_empty();
            (compiled.scratch.clone(), evaluation)
        };
        self.write_arena(plan, arguments, evaluation);
        let take = |bytes: u64| self.pool.take(bytes);
        let slots: Vec<Arc<Memory>> = plan
            .slots
            .iter()
            .map(|slot| take(slot.elements_max as u64 * 4))
            .collect::<Result<_>>()?;
        let scratch: Vec<Arc<Memory>> =
            scratch_bytes.into_iter().map(take).collect::<Result<_>>()?;
        let outputs = self.outputs(plan, inputs)?;
        let memory = Memories { inputs, outputs: &outputs, slots: &slots, scratch: &scratch };
        self.submit(plan.id, &memory)?;
        Ok(outputs)
    }

    fn compile(&mut self, plan: &Plan) -> Result<Compiled> {
        let resolve = |buffer: BufferRef| resolve(plan, buffer);
        let mut compiled = Compiled { steps: Vec::new(), scratch: Vec::new(), checks: Vec::new() };
        for kernel in &plan.kernels {
            let (dispatches, scratch) = codegen::compile(kernel, &self.target, &resolve)?;
            // Kernels run one after another, so they share scratch memory.
            compiled.scratch.resize(compiled.scratch.len().max(scratch.len()), 0);
            for (shared, own) in compiled.scratch.iter_mut().zip(scratch) {
                *shared = own.max(*shared);
            }
            for instruction in &kernel.program.instructions {
                if let Operation::CheckIndex { size, site, .. } = instruction.operation {
                    compiled.checks.push((site, size));
                }
            }
            for dispatch in dispatches {
                let pipeline = self.pipelines.get(&self.gpu, &dispatch)?;
                compiled.steps.push(Step {
                    label: dispatch.label,
                    pipeline,
                    resources: dispatch.bindings.iter().map(|binding| binding.resource).collect(),
                    grid: dispatch.grid,
                    bind_groups: FxHashMap::default(),
                });
            }
        }
        Ok(compiled)
    }

    fn write_arena(&mut self, plan: &Plan, arguments: &[Scalar], evaluation: u32) {
        let words: Vec<u32> = std::iter::once(evaluation)
            .chain(arguments.iter().zip(&plan.arguments).map(|(value, &dtype)| value.word(dtype)))
            .collect();
        // Writes take effect before the next submission and after the ones before it.
        if words != self.arena_words {
            self.gpu.queue.write_buffer(&self.arena, 0, bytemuck::cast_slice(&words));
            self.arena_words = words;
        }
    }

    fn outputs(&self, plan: &Plan, inputs: &[Buffer]) -> Result<Vec<Buffer>> {
        let mut outputs: Vec<Option<Buffer>> = vec![None; plan.outputs.len()];
        for (slot, output) in outputs.iter_mut().zip(&plan.outputs) {
            let PlanOutput { dtype, len, reuses, alias } = *output;
            if alias.is_some() {
                continue;
            }
            *slot = Some(match reuses {
                Some(input) => Buffer::new(inputs[input].shared().clone(), dtype, len),
                None => {
                    let memory = self.pool.take(transfer::device_bytes(dtype, len))?;
                    Buffer::new(memory, dtype, len)
                }
            });
        }
        for (position, output) in plan.outputs.iter().enumerate() {
            if output.alias.is_some() {
                let source = match resolve_alias(plan, BufferRef::Output(position)) {
                    BufferRef::Input(input) => Some(inputs[input].clone()),
                    BufferRef::Output(other) => outputs[other].clone(),
                    BufferRef::Slot(_) => None,
                };
                let source = source
                    .ok_or_else(|| Error::backend("plan: an output is an alias of a temporary"))?;
                outputs[position] =
                    Some(Buffer::new(source.shared().clone(), output.dtype, output.len));
            }
        }
        Ok(outputs.into_iter().flatten().collect())
    }

    fn submit(&mut self, plan: u64, memory: &Memories<'_>) -> Result<()> {
        let Executor { gpu, plans, arena, status, profile, .. } = self;
        let Some(compiled) = plans.get_mut(&plan) else { return Ok(()) };
        if compiled.steps.is_empty() {
            return Ok(());
        }
        let mut groups = Vec::with_capacity(compiled.steps.len());
        for step in &mut compiled.steps {
            groups.push(step.bind_group(gpu, memory, arena, status)?);
        }
        let count = groups.len();
        gpu.scoped("running a plan", || {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            match profile {
                None => {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    for (step, group) in compiled.steps.iter().zip(&groups) {
                        step.record(&mut pass, group);
                    }
                }
                Some(profile) => {
                    profile.begin(gpu, count);
                    let steps = compiled.steps.iter().zip(&groups);
                    for (position, (step, group)) in steps.enumerate() {
                        let mut pass = encoder.begin_compute_pass(&profile.pass(position));
                        step.record(&mut pass, group);
                    }
                    profile.resolve(&mut encoder, count);
                }
            }
            gpu.queue.submit([encoder.finish()]);
        })?;
        self.kernels += count as u64;
        self.submissions += 1;
        if let Some(profile) = &self.profile {
            let labels = compiled_labels(&self.plans, plan);
            profile.report(&self.gpu, plan, &labels)?;
        }
        self.gpu.check()
    }
}

fn compiled_labels(plans: &FxHashMap<u64, Compiled>, plan: u64) -> Vec<(String, [u32; 2])> {
    plans.get(&plan).map_or_else(Vec::new, |compiled| {
        compiled.steps.iter().map(|step| (step.label.clone(), step.grid)).collect()
    })
}

/// The buffer that owns the memory of `buffer`.
fn resolve(plan: &Plan, buffer: BufferRef) -> BufferRef {
    match resolve_alias(plan, buffer) {
        BufferRef::Output(output) => {
            plan.outputs[output].reuses.map_or(BufferRef::Output(output), BufferRef::Input)
        }
        other => other,
    }
}

fn resolve_alias(plan: &Plan, buffer: BufferRef) -> BufferRef {
    let mut buffer = buffer;
    while let BufferRef::Output(output) = buffer
        && let Some(source) = plan.outputs[output].alias
    {
        buffer = source;
    }
    buffer
}

fn check_inputs(plan: &Plan, inputs: &[Buffer], arguments: &[Scalar]) -> Result<()> {
    let fits = inputs.len() == plan.inputs.len()
        && inputs.iter().zip(&plan.inputs).all(|(buffer, &(dtype, len))| {
            buffer.dtype() == dtype && buffer.len() == len && buffer.storage::<Memory>().is_some()
        });
    if !fits {
        return Err(Error::backend("plan: the inputs are not the buffers that were planned"));
    }
    if arguments.len() != plan.arguments.len() || arguments.len() >= ARENA_VECTORS * 4 {
        return Err(Error::unsupported(format!(
            "plan: {} arguments, but at most {} fit on a GPU",
            arguments.len(),
            ARENA_VECTORS * 4 - 1
        )));
    }
    if plan.arguments.contains(&DType::F64) {
        return Err(Error::unsupported(
            "f64: this device has no 64-bit floats; use f32 or the CPU",
        ));
    }
    Ok(())
}

fn target_of(gpu: &Gpu) -> Target {
    let limits = &gpu.limits;
    let software = gpu.info.kind == crate::AdapterKind::Software;
    let most =
        limits.max_compute_invocations_per_workgroup.min(limits.max_compute_workgroup_size_x);
    let most = most.clamp(1, 256);
    Target {
        workgroup: 1 << most.ilog2(),
        grid_max: limits.max_compute_workgroups_per_dimension.min(65_535),
        storage_buffers_max: limits.max_storage_buffers_per_shader_stage,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        f16: gpu.features.contains(wgpu::Features::SHADER_F16),
        busy_workgroups: if software { 16 } else { 512 },
        large_tiles: true,
    }
}
