//! [`Executor`]: plans as lists of dispatches. An evaluation is one submission, or two if it checks
//! indices: kernels up to the last check, whose outcome is waited for, then the others.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use gradloom_plan::{KernelKind, Owner, Plan};
use gradloom_tensor::{Buffer, DType, Error, Result, Scalar};

use crate::arena::Arena;
use crate::check::Evaluation;
use crate::codegen::Target;
use crate::compiled::Compiled;
use crate::gpu::Gpu;
use crate::pipeline::Pipelines;
use crate::pool::{Memory, Pool};
use crate::profile::Profile;
use crate::status::{CheckSite, Status};
use crate::step::{Memories, Shared, Step};
use crate::transfer::{self, Staging};
use crate::turns::{self, Turns};
use crate::work::Call;

/// Runs plans on one device.
#[derive(Debug)]
pub(crate) struct Executor {
    gpu: Arc<Gpu>,
    pool: Arc<Pool>,
    staging: Arc<Staging>,
    target: Target,
    pipelines: Pipelines,
    owner: Owner,
    /// What was made of plans that are still there.
    compiled: Vec<Weak<Mutex<Compiled>>>,
    arena: Arena,
    turns: Turns,
    status: Status,
    profile: Option<Profile>,
    pub(crate) kernels: u64,
    pub(crate) submissions: u64,
}

/// The memory that one evaluation takes from the pool.
struct Taken {
    slots: Vec<Arc<Memory>>,
    scratch: Vec<Arc<Memory>>,
    outputs: Vec<Buffer>,
}

impl Executor {
    pub(crate) fn new(gpu: Arc<Gpu>, pool: Arc<Pool>, staging: Arc<Staging>) -> Self {
        Executor {
            target: target_of(&gpu),
            pipelines: Pipelines::new(&gpu),
            owner: Owner::new(),
            compiled: Vec::new(),
            arena: Arena::new(Arc::clone(&gpu)),
            turns: Turns::new(Arc::clone(&gpu)),
            status: Status::new(Arc::clone(&gpu)),
            profile: Profile::from_environment(&gpu),
            kernels: 0,
            submissions: 0,
            gpu,
            pool,
            staging,
        }
    }

    /// Lets what is compiled from now on multiply four bytes of a word at once, or not.
    #[cfg(test)]
    pub(crate) fn allow_packed_dot(&mut self, allow: bool) {
        self.target.packed_dot = allow && self.gpu.info.packed_dot;
    }

    /// Drops bind groups, which hold on to buffers.
    pub(crate) fn forget_bind_groups(&mut self) {
        for compiled in self.compiled.iter().filter_map(Weak::upgrade) {
            lock(&compiled).forget_bind_groups();
        }
    }

    /// Compiled shaders.
    pub(crate) fn pipelines(&mut self) -> &mut Pipelines {
        &mut self.pipelines
    }

    /// Runs a plan: compiled at first, then replayed from its caches. If it fails, no input has changed.
    /// With `check_finite` every kernel's results are looked at, which needs a plan without results in
    /// the memory of its inputs.
    pub(crate) fn run(
        &mut self,
        plan: &Plan,
        inputs: &[Buffer],
        arguments: &[Scalar],
        sites: &dyn Fn(usize) -> CheckSite,
        check_finite: bool,
    ) -> Result<Vec<Buffer>> {
        check_inputs(plan, inputs, arguments)?;
        let compiled = self.compiled(plan, sites)?;
        let mut compiled = lock(&compiled);
        let outputs =
            self.run_compiled(plan, &mut compiled, inputs, arguments, sites, check_finite);
        self.pipelines.save_if_due();
        outputs
    }

    /// What was made of a plan at its first evaluation.
    fn compiled(
        &mut self,
        plan: &Plan,
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<Arc<Mutex<Compiled>>> {
        let mut new = false;
        let compiled = plan.attachments.get_or_make(self.owner, || {
            refuse_wide(plan, &self.gpu, sites)?;
            new = true;
            let compiled =
                Compiled::new(plan, &self.gpu, &self.target, &mut self.pipelines, sites)?;
            let bytes = compiled.footprint();
            Ok((Mutex::new(compiled), bytes))
        })?;
        if new {
            self.compiled.retain(|compiled| compiled.strong_count() > 0);
            self.compiled.push(Arc::downgrade(&compiled));
        }
        Ok(compiled)
    }

    fn run_compiled(
        &mut self,
        plan: &Plan,
        compiled: &mut Compiled,
        inputs: &[Buffer],
        arguments: &[Scalar],
        sites: &dyn Fn(usize) -> CheckSite,
        check_finite: bool,
    ) -> Result<Vec<Buffer>> {
        let words: Vec<u32> = arguments
            .iter()
            .zip(&plan.arguments)
            .map(|(value, &dtype)| value.word(dtype))
            .collect();
        self.arena.write(&compiled.words, &words)?;
        self.turns.grow(compiled.longest)?;
        let taken = match self.take(plan, compiled, inputs) {
            Err(error) if error.is_out_of_memory() => {
                // What bind groups hold on to is not free even where the pool lets it go.
                compiled.forget_bind_groups();
                for other in self.compiled.iter().filter_map(Weak::upgrade) {
                    // The one that runs is locked.
                    other.try_lock().into_iter().for_each(|mut other| other.forget_bind_groups());
                }
                self.pool.trim();
                self.take(plan, compiled, inputs)
            }
            other => other,
        };
        let taken = taken.map_err(|error| match plan.largest().map(sites) {
            Some(site) => site.error(error),
            None => error,
        })?;
        let Taken { slots, scratch, outputs } = taken;
        let memory = Memories { inputs, outputs: &outputs, slots: &slots, scratch: &scratch };
        let mut groups = Vec::with_capacity(compiled.steps.len());
        let shared = Shared {
            arena: &self.arena,
            turns: &self.turns,
            numbers: compiled.numbers.as_ref(),
            status: &self.status.words,
        };
        for step in &mut compiled.steps {
            groups.push(step.bind_group(&self.gpu, &memory, &shared)?);
        }
        let staging = Arc::clone(&self.staging);
        let evaluation = Evaluation { plan, memory: &memory, arguments, staging: &staging, sites };
        for piece in compiled.pieces(check_finite) {
            let calls = compiled.calls(piece.kernels.clone());
            self.submit(plan.id, &compiled.steps, &groups, &calls, piece.checks)?;
            if piece.checks {
                self.status.outcome(sites)?;
            }
            if check_finite {
                for kernel in &plan.kernels[piece.kernels] {
                    evaluation.check_finite(kernel)?;
                }
            }
        }
        Ok(outputs)
    }

    fn take(&self, plan: &Plan, compiled: &Compiled, inputs: &[Buffer]) -> Result<Taken> {
        let slots = plan.slots.iter().map(|slot| slot.bytes as u64);
        let scratch = compiled.scratch.iter().copied();
        Ok(Taken {
            slots: slots.map(|bytes| self.pool.take(bytes)).collect::<Result<_>>()?,
            scratch: scratch.map(|bytes| self.pool.take(bytes)).collect::<Result<_>>()?,
            outputs: plan.output_buffers(inputs, |output| {
                Ok(self.pool.take(transfer::device_bytes(output.dtype, output.len))?)
            })?,
        })
    }

    /// Submits dispatches, and a copy of the index checks' outcome for the host if it wants to `know`.
    fn submit(
        &mut self,
        plan: u64,
        steps: &[Step],
        groups: &[wgpu::BindGroup],
        calls: &[Call],
        know: bool,
    ) -> Result<()> {
        if calls.is_empty() && !know {
            return Ok(());
        }
        let Executor { gpu, status, profile, .. } = self;
        let stride = turns::stride(gpu) as u32;
        let record = |pass: &mut wgpu::ComputePass<'_>, call: &Call| {
            steps[call.step].record(pass, &groups[call.step], call.turn * stride);
        };
        gpu.scoped("running a plan", || {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            match profile {
                None => {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    calls.iter().for_each(|call| record(&mut pass, call));
                }
                Some(profile) => {
                    profile.begin(gpu, calls.len());
                    for (position, call) in calls.iter().enumerate() {
                        let mut pass = encoder.begin_compute_pass(&profile.pass(position));
                        record(&mut pass, call);
                    }
                    profile.resolve(&mut encoder, calls.len());
                }
            }
            if know {
                status.record(&mut encoder);
            }
            gpu.queue.submit([encoder.finish()]);
        })?;
        self.kernels += calls.len() as u64;
        self.submissions += 1;
        if let Some(profile) = &self.profile {
            let label = |call: &Call| (steps[call.step].label.clone(), steps[call.step].grid);
            let labels: Vec<(String, [u32; 2])> = calls.iter().map(label).collect();
            profile.report(&self.gpu, plan, &labels)?;
        }
        self.gpu.check()
    }
}

fn lock(compiled: &Mutex<Compiled>) -> MutexGuard<'_, Compiled> {
    compiled.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_inputs(plan: &Plan, inputs: &[Buffer], arguments: &[Scalar]) -> Result<()> {
    let fits = inputs.len() == plan.inputs.len()
        && inputs.iter().zip(&plan.inputs).all(|(buffer, &(dtype, len))| {
            buffer.dtype() == dtype && buffer.len() == len && buffer.storage::<Memory>().is_some()
        });
    if !fits {
        return Err(Error::backend("plan: the inputs are not the buffers that were planned"));
    }
    if arguments.len() != plan.arguments.len() {
        return Err(Error::backend("plan: the arguments are not those that were planned"));
    }
    Ok(())
}

/// Fails where a kernel has elements of 64 bits, and names the op that asks for them.
fn refuse_wide(plan: &Plan, gpu: &Gpu, sites: &dyn Fn(usize) -> CheckSite) -> Result<()> {
    let computes = plan.kernels.iter().filter(|kernel| kernel.outputs.iter().any(|o| o.len > 0));
    for kernel in computes {
        let made = kernel.program.instructions.iter().zip(&kernel.origins);
        let made = made.map(|(instruction, &node)| (instruction.dtype, node));
        let stored = kernel.outputs.iter().map(|output| (output.dtype, output.node));
        if let Some((dtype, node)) = made.chain(stored).find(|(dtype, _)| dtype.size() == 8) {
            let CheckSite { op, origin, .. } = sites(node);
            let narrow = if dtype == DType::I64 { DType::I32 } else { DType::F32 };
            return Err(Error::unsupported(format!(
                "{op}: {dtype} (made at {origin}), which {} does not have; cast to {narrow}, or move the \
                 operands to the CPU with `to_device`",
                gpu.info
            )));
        }
        if let KernelKind::Loop(own) = &kernel.kind {
            refuse_wide(&own.body, gpu, &|node| sites(own.nodes + node))?;
        }
    }
    Ok(())
}

/// What code is generated for on a device.
pub(crate) fn target_of(gpu: &Gpu) -> Target {
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
        busy_workgroups: if software { 16 } else { 512 },
        // llvmpipe stops at 65,535.
        turns_max: if software { 60_000 } else { usize::MAX },
        large_tiles: true,
        packed_dot: gpu.info.packed_dot,
    }
}
