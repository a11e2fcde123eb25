//! Running plans: memory for slots and outputs, kernels in order, and the checks after each.
#![expect(unsafe_code, reason = "says which memory a kernel reads and which it alone writes")]

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use gradloom_plan::{BufferRef, Checks, Kernel, Owner, Plan, Prepared};
use gradloom_tensor::{Buffer, DType, Error, Op, Result};

use crate::kernels::{Aliases, Context, Executable, prepare};
use crate::memory::{Memory, Storage};
use crate::pool::Pool;
use crate::profile::Profile;
use crate::simd::Level;
use crate::tile::Failures;

/// Bytes that a prepared kernel takes, and what each of its instructions adds: about as measured.
const KERNEL_BYTES: usize = 1024;
const INSTRUCTION_BYTES: usize = 160;

/// A plan's kernels, ready to run.
struct Executables {
    kernels: Vec<(Box<dyn Executable>, Aliases)>,
    /// True if some kernel may use several threads.
    large: bool,
}

/// Runs plans with one pool of memory.
pub(crate) struct Executor {
    pub(crate) pool: Arc<Pool>,
    pub(crate) level: Level,
    pub(crate) check_nan: bool,
    pub(crate) profile: Option<Profile>,
    pub(crate) bytes_moved: AtomicU64,
    owner: Owner,
}

/// What the references of a plan mean in one evaluation.
struct Bindings {
    inputs: Vec<Memory>,
    outputs: Vec<Memory>,
    slots: Vec<Memory>,
}

impl Bindings {
    fn memory(&self, reference: BufferRef) -> Memory {
        match reference {
            BufferRef::Input(input) => self.inputs[input],
            BufferRef::Output(output) => self.outputs[output],
            BufferRef::Slot(slot) => self.slots[slot],
        }
    }
}

impl Executor {
    pub(crate) fn new(level: Level) -> Executor {
        let profiles = std::env::var("GRADLOOM_PROFILE").is_ok_and(|value| value == "1");
        Executor {
            pool: Arc::new(Pool::default()),
            level,
            check_nan: Checks::from_environment().nan,
            profile: profiles.then(Profile::default),
            bytes_moved: AtomicU64::new(0),
            owner: Owner::new(),
        }
    }

    /// True if the plan has work for several threads.
    ///
    /// # Errors
    /// When a kernel cannot be prepared.
    pub(crate) fn is_large(&self, plan: &Plan) -> Result<bool> {
        Ok(self.executables(plan)?.large)
    }

    /// Runs a plan and gives the nodes their values.
    ///
    /// # Errors
    /// When memory runs out, an index is out of range, or a NaN is found while that is checked.
    pub(crate) fn execute(&self, prepared: &Prepared, threads: usize) -> Result<()> {
        let plan = &*prepared.plan;
        let executables = self.executables(plan)?;
        let values = self.output_buffers(plan, &prepared.inputs)?;
        let slots = plan
            .slots
            .iter()
            .map(|slot| self.pool.allocate(slot.bytes))
            .collect::<Result<Vec<Storage>>>()?;
        let bindings = Bindings {
            inputs: prepared.inputs.iter().map(memory_of).collect::<Result<_>>()?,
            outputs: values.iter().map(memory_of).collect::<Result<_>>()?,
            slots: slots.iter().map(Storage::memory).collect(),
        };
        let failures = Failures::default();
        let context = Context {
            level: self.level,
            threads,
            pool: &self.pool,
            arguments: &prepared.arguments,
            failures: &failures,
        };
        for (index, (executable, aliases)) in executables.kernels.iter().enumerate() {
            let kernel = &plan.kernels[index];
            let start = self.profile.as_ref().map(|_| Instant::now());
            self.run_kernel(kernel, &**executable, aliases, &bindings, &context)?;
            if let (Some(profile), Some(start)) = (&self.profile, start) {
                let op = prepared.nodes.get(kernel.node).map_or("", |node| node.op().name());
                profile.record(plan.id, index, kernel, op, start.elapsed());
            }
            check_indices(&failures, prepared)?;
            if self.check_nan {
                check_finite(kernel, &bindings, prepared)?;
            }
        }
        prepared.complete(values);
        if let Some(profile) = &self.profile {
            eprint!("{}", profile.last(plan));
        }
        Ok(())
    }

    fn executables(&self, plan: &Plan) -> Result<Arc<Executables>> {
        plan.attachments.get_or_make(self.owner, || {
            let kernels = plan
                .kernels
                .iter()
                .map(|kernel| prepare(kernel, &shared(plan, kernel)))
                .collect::<Result<Vec<_>>>()?;
            let large = plan.kernels.iter().any(|kernel| {
                let elements = kernel.inputs.iter().map(|input| input.len).sum::<usize>();
                elements + kernel.space.shape.count() > crate::kernels::executable::SEQUENTIAL_MAX
            });
            let instructions = plan.kernels.iter().map(|kernel| kernel.program.instructions.len());
            let bytes =
                KERNEL_BYTES * plan.kernels.len() + INSTRUCTION_BYTES * instructions.sum::<usize>();
            Ok((Executables { kernels, large }, bytes))
        })
    }

    /// The buffers that the outputs will be.
    fn output_buffers(&self, plan: &Plan, inputs: &[Buffer]) -> Result<Vec<Buffer>> {
        let mut made: Vec<Option<Buffer>> = vec![None; plan.outputs.len()];
        for (index, output) in plan.outputs.iter().enumerate() {
            if output.alias.is_some() {
                continue;
            }
            let shared: Arc<dyn Any + Send + Sync> = match output.reuses {
                Some(input) => Arc::clone(inputs[input].shared()),
                None => Arc::new(self.pool.allocate(output.len * output.dtype.size())?),
            };
            made[index] = Some(Buffer::new(shared, output.dtype, output.len));
        }
        let resolved = plan.outputs.iter().enumerate().map(|(index, output)| {
            let source = match plan.block(BufferRef::Output(index)) {
                BufferRef::Input(input) => Some(&inputs[input]),
                BufferRef::Output(target) => made[target].as_ref(),
                BufferRef::Slot(_) => None,
            };
            source
                .map(|buffer| Buffer::new(Arc::clone(buffer.shared()), output.dtype, output.len))
                .ok_or_else(|| Error::backend("cpu: the plan has an output without memory"))
        });
        resolved.collect()
    }

    fn run_kernel(
        &self,
        kernel: &Kernel,
        executable: &dyn Executable,
        aliases: &Aliases,
        bindings: &Bindings,
        context: &Context<'_>,
    ) -> Result<()> {
        let outputs: Vec<Memory> =
            kernel.outputs.iter().map(|output| bindings.memory(output.buffer)).collect();
        let mut copies = Vec::new();
        let mut inputs: Vec<&[u8]> = Vec::with_capacity(kernel.inputs.len());
        for (index, input) in kernel.inputs.iter().enumerate() {
            let memory = bindings.memory(input.buffer);
            let bytes = input.len * input.dtype.size();
            let in_place = aliases.in_place.iter().any(|pair| pair.0 == index);
            let written = outputs.iter().any(|output| output.same(memory));
            if in_place {
                inputs.push(&[]);
            } else if written || aliases.copied.contains(&index) {
                let mut copy = self.pool.temporary(bytes)?;
                // SAFETY: the buffer lives through this evaluation and no kernel runs now.
                copy.get_mut().copy_from_slice(unsafe { memory.read(bytes) });
                copies.push((index, copy));
                inputs.push(&[]);
            } else {
                // SAFETY: the buffer lives through this evaluation; this kernel's outputs are other
                // blocks, and evaluations write only to memory that nobody else holds.
                inputs.push(unsafe { memory.read(bytes) });
            }
        }
        for (index, copy) in &copies {
            inputs[*index] = copy.get();
        }
        let mut written: Vec<&mut [u8]> = kernel
            .outputs
            .iter()
            .zip(&outputs)
            .map(|(output, memory)| {
                // SAFETY: the plan gives every output of a kernel its own block, which this
                // evaluation alone holds; no input slice above is in it.
                unsafe { memory.write(output.len * output.dtype.size()) }
            })
            .collect();
        let bytes = kernel.bytes() - executable.bytes_spared(&inputs);
        self.bytes_moved.fetch_add(bytes as u64, Ordering::Relaxed);
        executable.run(context, &inputs, &mut written)
    }
}

/// Inputs of a kernel that have the memory of one of its outputs.
fn shared(plan: &Plan, kernel: &Kernel) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (index, input) in kernel.inputs.iter().enumerate() {
        let block = plan.block(input.buffer);
        let found = kernel.outputs.iter().position(|output| plan.block(output.buffer) == block);
        pairs.extend(found.map(|output| (index, output)));
    }
    pairs
}

/// The memory of a buffer of this backend.
pub(crate) fn memory_of(buffer: &Buffer) -> Result<Memory> {
    buffer.storage::<Storage>().map(Storage::memory).ok_or_else(|| {
        Error::backend("cpu: a buffer belongs to another device; move the tensor with `to_device`")
    })
}

fn check_indices(failures: &Failures, prepared: &Prepared) -> Result<()> {
    let Some(failure) = failures.first() else { return Ok(()) };
    let node = &prepared.nodes[failure.site];
    let op = match node.op() {
        Op::CheckIndex { op, .. } => op,
        other => other.name(),
    };
    Err(Error::index_out_of_range(op, failure.value, failure.size, node.location()))
}

/// Fails if a kernel has made a NaN or an infinity, and names the op that did. Values that were not
/// finite before, such as the minus infinities of a mask, are nobody's fault.
fn check_finite(kernel: &Kernel, bindings: &Bindings, prepared: &Prepared) -> Result<()> {
    let read = |reference: BufferRef, dtype: DType, len: usize| {
        // SAFETY: the buffers live through this evaluation, and no kernel runs before this function ends.
        let bytes = unsafe { bindings.memory(reference).read(len * dtype.size()) };
        gradloom_plan::interpret::numbers(dtype, bytes)
    };
    for output in &kernel.outputs {
        if !output.dtype.is_float() {
            continue;
        }
        let values = read(output.buffer, output.dtype, output.len);
        let Some(&found) = values.iter().find(|value| !value.is_finite()) else { continue };
        let inputs: Vec<Vec<f64>> =
            kernel.inputs.iter().map(|input| read(input.buffer, input.dtype, input.len)).collect();
        let given = inputs.iter().flatten().any(|value| !value.is_finite());
        let blamed = match gradloom_plan::interpret::is_costly(kernel) {
            true => (!given).then_some((output.node, found)),
            false => gradloom_plan::interpret::blame(kernel, &inputs, &prepared.arguments)
                .map_err(|fault| Error::backend(format!("plan: {fault}")))?,
        };
        if let Some((node, value)) = blamed {
            let node = &prepared.nodes[node];
            let what = if value.is_nan() { "NaN" } else { "infinity" };
            return Err(Error::not_finite(node.op().name(), what, node.shape(), node.location()));
        }
    }
    Ok(())
}
