//! [`Executor`]: plans as lists of dispatches. An evaluation is one submission, or two if it checks
//! indices: kernels up to the last check, whose outcome is waited for (`evaluation.rs`), then the others.
//! Nothing here waits, and other evaluations may come between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use gradloom_plan::{KernelKind, Owner, Plan, profile};
use gradloom_tensor::{Buffer, DType, Error, Result, Scalar};

use crate::arena::Arena;
use crate::codegen::Target;
use crate::codegen::unit::PARTS_MAX;
use crate::codegen::variant::Verdict;
use crate::compiled::{Compiled, Piece};
use crate::gpu::Gpu;
use crate::pipeline::Pipelines;
use crate::pool::{Memory, Pool};
use crate::profile::Timestamps;
use crate::status::{self, CheckSite, Sites, Status};
use crate::step::{Memories, Shared, Step};
use crate::transfer::{self, Staging};
use crate::turns::{self, Turns};
use crate::wait::After;
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
    /// How often the pool had given memory back when bind groups were dropped for it.
    trims: u64,
    status: Status,
    timestamps: Timestamps,
    pub(crate) kernels: u64,
    pub(crate) submissions: u64,
}

/// The memory that one evaluation takes from the pool.
struct Taken {
    slots: Vec<Arc<Memory>>,
    scratch: Vec<Arc<Memory>>,
    outputs: Vec<Buffer>,
}

/// An evaluation between its submissions.
pub(crate) struct Begun {
    compiled: Arc<Mutex<Compiled>>,
    /// The arguments as words.
    words: Vec<u32>,
    taken: Taken,
    groups: Vec<wgpu::BindGroup>,
    /// That of the arena for which the groups were made; none before the first submission.
    generation: Option<u64>,
}

/// What a submission has copied for the host: the outcome of its index checks.
pub(crate) struct Outcome {
    pub(crate) staging: wgpu::Buffer,
    pub(crate) after: After,
}

impl Begun {
    /// What is submitted one after another, with the outcomes looked at in between.
    pub(crate) fn pieces(&self, singly: bool) -> Vec<Piece> {
        lock(&self.compiled).pieces(singly)
    }

    /// The memory of the evaluation.
    pub(crate) fn memory<'a>(&'a self, inputs: &'a [Buffer]) -> Memories<'a> {
        let Taken { slots, scratch, outputs } = &self.taken;
        Memories { inputs, outputs, slots, scratch }
    }

    /// The results.
    pub(crate) fn finish(self) -> Vec<Buffer> {
        self.taken.outputs
    }
}

impl Executor {
    pub(crate) fn new(
        target: Target,
        gpu: Arc<Gpu>,
        pool: Arc<Pool>,
        staging: Arc<Staging>,
    ) -> Self {
        Executor {
            target,
            pipelines: Pipelines::new(&gpu),
            owner: Owner::new(),
            compiled: Vec::new(),
            arena: Arena::new(Arc::clone(&gpu)),
            turns: Turns::new(Arc::clone(&gpu)),
            trims: 0,
            status: Status::new(&gpu),
            timestamps: Timestamps::default(),
            kernels: 0,
            submissions: 0,
            gpu,
            pool,
            staging,
        }
    }

    /// What code is generated for from now on.
    pub(crate) fn target(&mut self) -> &mut Target {
        &mut self.target
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

    /// Begins to run a plan, which is compiled at first and then replayed from its caches: takes memory.
    pub(crate) fn begin(
        &mut self,
        plan: &Plan,
        inputs: &[Buffer],
        arguments: &[Scalar],
        sites: &dyn Fn(usize) -> CheckSite,
    ) -> Result<Begun> {
        check_inputs(plan, inputs, arguments)?;
        let compiled = self.compiled(plan, sites)?;
        let words = arguments.iter().zip(&plan.arguments);
        let words: Vec<u32> = words.map(|(value, &dtype)| value.word(dtype)).collect();
        let mut taken = self.take(plan, &lock(&compiled), inputs);
        let trims = self.pool.trims();
        if std::mem::replace(&mut self.trims, trims) != trims {
            self.forget_bind_groups();
        }
        if taken.as_ref().is_err_and(Error::is_out_of_memory) {
            // What bind groups hold on to is not free even where the pool lets it go.
            self.forget_bind_groups();
            self.pool.trim();
            taken = self.take(plan, &lock(&compiled), inputs);
        }
        let taken = taken.map_err(|error| match plan.largest().map(sites) {
            Some(site) => site.error(error),
            None => error,
        })?;
        Ok(Begun { compiled, words, taken, groups: Vec::new(), generation: None })
    }

    /// Binds the memory of an evaluation to its dispatches.
    fn bind(&mut self, begun: &mut Begun, inputs: &[Buffer]) -> Result<()> {
        let memory = begun.memory(inputs);
        let mut compiled = lock(&begun.compiled);
        let Compiled { steps, numbers, longest, .. } = &mut *compiled;
        self.turns.grow(*longest)?;
        let shared = Shared {
            arena: &self.arena,
            turns: &self.turns,
            numbers: numbers.as_ref(),
            status: &self.status.words,
        };
        let mut groups = Vec::with_capacity(steps.len());
        for step in steps {
            groups.push(step.bind_group(&self.gpu, &memory, &shared)?);
        }
        drop(compiled);
        begun.groups = groups;
        begun.generation = Some(self.arena.generation);
        Ok(())
    }

    /// Submits a piece of an evaluation. Gives the outcome of its checks if it has some.
    pub(crate) fn submit_piece(
        &mut self,
        plan: &Plan,
        begun: &mut Begun,
        inputs: &[Buffer],
        sites: Sites<'_>,
        piece: &Piece,
    ) -> Result<Option<Outcome>> {
        // Another evaluation may have been here since the last piece.
        self.arena.write(&lock(&begun.compiled).words, &begun.words)?;
        if begun.generation != Some(self.arena.generation) {
            self.bind(begun, inputs)?;
        }
        let staging = piece.checks.then(|| self.staging.take(status::BYTES)).transpose()?;
        let compiled = lock(&begun.compiled);
        let calls = compiled.calls(piece.kernels.clone());
        let profile = profile::active();
        let timed = profile.is_some();
        let after = self.submit(timed, &compiled.steps, &begun.groups, &calls, staging.as_ref())?;
        if let Some(profile) = profile {
            let kernels = compiled.kernels_of_calls(piece.kernels.clone());
            let named = (plan, sites);
            let times = self.timestamps.note(&self.gpu, &profile, named, &kernels)?;
            profile.evaluated(&self.gpu.name(), plan, piece.kernels.clone(), &times);
        }
        Ok(staging.map(|staging| Outcome { staging, after }))
    }

    /// Forgets what was made of a plan, and all shaders, because the driver has refused some of it after
    /// the fact.
    pub(crate) fn distrust(&mut self, plan: &Plan, error: &Error) {
        self.forget_bind_groups();
        if !error.is_out_of_memory() {
            plan.attachments.forget(self.owner);
            self.pipelines.forget_all();
        }
    }

    /// Writes compiled shaders to their file, if it is time to.
    pub(crate) fn save_if_due(&mut self) {
        self.pipelines.save_if_due();
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
    /// Nothing is submitted if there is nothing to do.
    fn submit(
        &mut self,
        timed: bool,
        steps: &[Step],
        groups: &[wgpu::BindGroup],
        calls: &[Call],
        know: Option<&wgpu::Buffer>,
    ) -> Result<After> {
        if calls.is_empty() && know.is_none() {
            return Ok(None);
        }
        let Executor { gpu, status, timestamps, .. } = self;
        let stride = turns::stride(gpu) as u32;
        let record = |pass: &mut wgpu::ComputePass<'_>, call: &Call| {
            steps[call.step].record(pass, &groups[call.step], call.turn * stride);
        };
        let after = gpu.scoped("running a plan", || {
            let mut encoder = gpu.device.create_command_encoder(&Default::default());
            match timed {
                false => {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    calls.iter().for_each(|call| record(&mut pass, call));
                }
                true => {
                    timestamps.begin(gpu, calls.len());
                    for (position, call) in calls.iter().enumerate() {
                        let mut pass = encoder.begin_compute_pass(&timestamps.pass(position));
                        record(&mut pass, call);
                    }
                    timestamps.resolve(&mut encoder, calls.len());
                }
            }
            if let Some(staging) = know {
                status.record(&mut encoder, staging);
            }
            gpu.queue.submit([encoder.finish()])
        })?;
        self.kernels += calls.len() as u64;
        self.submissions += 1;
        self.gpu.check()?;
        Ok(Some(after))
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
pub(crate) fn target_of(gpu: &Gpu, verdict: Arc<Verdict>) -> Target {
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
        parts_max: PARTS_MAX,
        packed_dot: gpu.info.packed_dot,
        verdict,
        fault: None,
    }
}
