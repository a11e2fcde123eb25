//! Running plans: memory for slots and outputs, kernels in order, and the checks after each.
#![expect(unsafe_code, reason = "says which memory a kernel reads and which it alone writes")]

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use gradloom_plan::{
    BufferRef, Checks, Kernel, KernelKind, Owner, Plan, PlanFault, Prepared, interpret,
};
use gradloom_tensor::{Buffer, DType, Error, Result};
use rayon::prelude::*;

use crate::crew::Crew;
use crate::kept::Kept;
use crate::kernels::{Context, Executable, InPlace, prepare};
use crate::memory::{Finder, Memory, Storage};
use crate::pool::Pool;
use crate::simd::Level;
use crate::tile::Failures;
use crate::watch::Watch;

/// Bytes that a prepared kernel takes, and what each of its instructions adds: about as measured.
const KERNEL_BYTES: usize = 1024;
const INSTRUCTION_BYTES: usize = 160;
/// Work of the largest of several loops, in parts of what each thread has on average, up to which each
/// runs on one thread.
const UNEVEN_MAX: f64 = 1.25;

/// A plan's kernels, ready to run.
struct Executables {
    /// With the operands that each overwrites.
    kernels: Vec<(Box<dyn Executable>, Vec<(usize, usize)>)>,
    /// Kernels in order, with the share of the largest in the work of those that may run together.
    steps: Vec<(Range<usize>, f64)>,
    /// True if some kernel may use several threads.
    large: bool,
}

/// Runs plans with one pool of memory.
pub(crate) struct Executor {
    pub(crate) pool: Arc<Pool>,
    pub(crate) level: Level,
    pub(crate) check_nan: bool,
    /// What profiles call the device.
    pub(crate) name: String,
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
        Executor {
            pool: Arc::new(Pool::default()),
            level,
            check_nan: Checks::from_environment().nan,
            name: format!("cpu: {}", level.name()),
            bytes_moved: AtomicU64::new(0),
            owner: Owner::new(),
        }
    }

    /// True if the plan has work for several threads.
    ///
    /// # Errors
    /// When a kernel cannot be prepared.
    pub(crate) fn is_large(&self, prepared: &Prepared) -> Result<bool> {
        Ok(self.executables(prepared)?.large)
    }

    /// Runs a plan and gives the nodes their values.
    ///
    /// # Errors
    /// When memory runs out, an index is out of range, or a NaN is found while that is checked.
    pub(crate) fn execute(&self, prepared: &Prepared, threads: usize) -> Result<()> {
        let plan = &*prepared.plan;
        let executables = self.executables(prepared)?;
        let short = |error| prepared.error_of(plan.largest(), error);
        let values = plan.output_buffers(&prepared.inputs, |output| {
            Ok(Arc::new(self.pool.allocate(output.len * output.dtype.size())?))
        });
        let values = values.map_err(short)?;
        // The elements of these operands are overwritten.
        let overwritten = || {
            let reused =
                plan.outputs.iter().zip(&values).filter(|(output, _)| output.reuses.is_some());
            reused.filter_map(|(_, value)| value.storage::<Storage>()).map(Storage::kept)
        };
        overwritten().for_each(Kept::close);
        let slots = plan.slots.iter().map(|slot| self.pool.allocate(slot.bytes));
        let slots = slots.collect::<Result<Vec<Storage>>>().map_err(short)?;
        let mut finder = Finder::new(&self.pool);
        if threads > 1 {
            finder.copy_all(&prepared.inputs);
        }
        let inputs = prepared.inputs.iter().enumerate().map(|(input, buffer)| {
            let memory = finder.memory_of(buffer);
            memory.map_err(|error| prepared.error_of_input(input, error))
        });
        let bindings = Bindings {
            inputs: inputs.collect::<Result<_>>()?,
            outputs: values.iter().map(|value| finder.memory_of(value)).collect::<Result<_>>()?,
            slots: slots.iter().map(Storage::memory).collect(),
        };
        let failures = Failures::default();
        let profile = Watch::of(&self.name, self.level);
        let times = Mutex::new(vec![None; if profile.is_some() { plan.kernels.len() } else { 0 }]);
        let context = Context {
            level: self.level,
            threads,
            pool: &self.pool,
            arguments: &prepared.arguments,
            failures: &failures,
            profile: profile.as_ref(),
        };
        let run = |index: usize, context: &Context<'_>| -> Result<()> {
            let kernel = &plan.kernels[index];
            // Nothing is computed, so nothing of it can fail either.
            if kernel.outputs.iter().all(|output| output.len == 0) {
                return Ok(());
            }
            let (executable, in_place) = &executables.kernels[index];
            let start = profile.as_ref().map(|_| Instant::now());
            let memory = kernel_memory(kernel, in_place, &bindings)
                .map_err(|reason| prepared.fault(&PlanFault { kernel: index, reason }))?;
            self.run_kernel(kernel, &**executable, memory, &prepared.inputs, context)
                .map_err(|error| prepared.error_of(Some(kernel.node), error))?;
            if let (Some(profile), Some(start)) = (&profile, start) {
                let sites = |node: usize| (prepared.op_name(node), prepared.nodes[node].origin());
                let time = profile.kernel(Some(&sites), plan, index, start);
                times.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(time);
            }
            Ok(())
        };
        let crew = Crew::new(threads);
        for (step, largest) in &executables.steps {
            crew.rouse();
            // Each on a thread of its own, if none of them would keep the others waiting.
            if step.len() > 1 && threads > 1 && largest * threads as f64 <= UNEVEN_MAX {
                let alone = Context { threads: 1, ..context };
                step.clone().into_par_iter().with_max_len(1).try_for_each(|at| run(at, &alone))?;
            } else {
                step.clone().try_for_each(|at| run(at, &context))?;
            }
            check_indices(&failures, prepared)?;
            for kernel in plan.kernels[step.clone()].iter().filter(|_| self.check_nan) {
                check_finite(kernel, &bindings, prepared)?;
            }
        }
        overwritten().for_each(Kept::open);
        prepared.complete(values);
        if let Some(profile) = &profile {
            profile.evaluated(plan, &times.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        Ok(())
    }

    fn executables(&self, prepared: &Prepared) -> Result<Arc<Executables>> {
        let plan = &*prepared.plan;
        plan.attachments.get_or_make(self.owner, || {
            let kernels = plan.kernels.iter().enumerate().map(|(index, kernel)| {
                let in_place = plan.in_place(index).map_err(|fault| prepared.fault(&fault))?;
                let ready = prepare(kernel, &in_place);
                Ok((ready.map_err(|error| prepared.error_of(Some(kernel.node), error))?, in_place))
            });
            let kernels = kernels.collect::<Result<Vec<_>>>()?;
            let instructions = plan.kernels.iter().map(|kernel| kernel.program.instructions.len());
            let bytes =
                KERNEL_BYTES * plan.kernels.len() + INSTRUCTION_BYTES * instructions.sum::<usize>();
            Ok((Executables { kernels, steps: steps(plan), large: is_large(plan) }, bytes))
        })
    }

    fn run_kernel(
        &self,
        kernel: &Kernel,
        executable: &dyn Executable,
        (inputs, mut outputs): KernelMemory<'_>,
        buffers: &[Buffer],
        context: &Context<'_>,
    ) -> Result<()> {
        let bytes = kernel.bytes() - executable.bytes_spared(&inputs);
        self.bytes_moved.fetch_add(bytes as u64, Ordering::Relaxed);
        let packed = executable.packing(self.level).and_then(|(operand, packing)| {
            let BufferRef::Input(input) = kernel.inputs[operand].buffer else { return None };
            let kept = buffers.get(input)?.storage::<Storage>()?.kept();
            let make = || {
                let constant: Vec<bool> = (0..inputs.len()).map(|index| index == operand).collect();
                executable.settle(context, &inputs, &constant)
            };
            // If there is no memory for it, the kernel packs for itself and says so.
            kept.get_or_make(self.pool.keeper(), packing, make).ok()?
        });
        match packed {
            Some(packed) => executable.run_settled(context, packed.memory(), &inputs, &mut outputs),
            None => executable.run(context, &inputs, &mut outputs),
        }
    }
}

/// What a kernel reads, empty where it reads an output instead, and what it writes.
type KernelMemory<'a> = (Vec<&'a [u8]>, Vec<&'a mut [u8]>);

/// Fails if a kernel would overwrite what it reads otherwise than in place.
fn kernel_memory<'a>(
    kernel: &Kernel,
    in_place: &InPlace,
    bindings: &'a Bindings,
) -> Result<KernelMemory<'a>, String> {
    let outputs: Vec<Memory> =
        kernel.outputs.iter().map(|output| bindings.memory(output.buffer)).collect();
    if !outputs.iter().all(|output| output.is_writable()) {
        return Err("an output has memory that was lent for reading".to_owned());
    }
    let mut inputs: Vec<&[u8]> = Vec::with_capacity(kernel.inputs.len());
    for (index, input) in kernel.inputs.iter().enumerate() {
        let memory = bindings.memory(input.buffer);
        if in_place.iter().any(|pair| pair.0 == index) {
            inputs.push(&[]);
        } else if outputs.iter().any(|output| output.same(memory)) {
            return Err(format!("operand {index} has the memory of an output"));
        } else {
            // SAFETY: the buffer lives through this evaluation; this kernel's outputs are other
            // blocks, and evaluations write only to memory that nobody else holds.
            inputs.push(unsafe { memory.read(input.len * input.dtype.size()) });
        }
    }
    let written = kernel.outputs.iter().zip(&outputs).map(|(output, memory)| {
        // SAFETY: the plan gives every output of a kernel its own block, which this evaluation alone
        // holds; no input slice above is in it.
        unsafe { memory.write(output.len * output.dtype.size()) }
    });
    Ok((inputs, written.collect()))
}

/// The kernels in order, those together that may run together.
fn steps(plan: &Plan) -> Vec<(Range<usize>, f64)> {
    let mut steps: Vec<(Range<usize>, f64)> = Vec::with_capacity(plan.kernels.len());
    for index in 0..plan.kernels.len() {
        if steps.last().is_some_and(|(last, _)| index < last.end) {
            continue;
        }
        let own = plan.together.iter().find(|own| own.start == index);
        let step = own.cloned().unwrap_or(index..index + 1);
        let work = plan.kernels[step.clone()].iter().map(|kernel| kernel.flops() as f64);
        let largest = work.clone().fold(0.0, f64::max);
        steps.push((step, largest / work.sum::<f64>().max(1.0)));
    }
    steps
}

/// True if some kernel may use several threads.
fn is_large(plan: &Plan) -> bool {
    plan.kernels.iter().any(|kernel| {
        if let KernelKind::Loop(own) = &kernel.kind {
            return is_large(&own.body);
        }
        // How much an op from outside does is not known.
        if let KernelKind::Call(_) = &kernel.kind {
            return true;
        }
        let elements = kernel.inputs.iter().map(|input| input.len).sum::<usize>();
        elements + kernel.space.shape.count() > crate::kernels::executable::SEQUENTIAL_MAX
    })
}

fn check_indices(failures: &Failures, prepared: &Prepared) -> Result<()> {
    let Some(failure) = failures.first() else { return Ok(()) };
    let (op, origin) = (prepared.op_name(failure.site), prepared.nodes[failure.site].origin());
    Err(Error::index_out_of_range(op, failure.value, failure.size, origin))
}

/// Fails if a kernel has made a NaN or an infinity, and names the op that did. Values that were not
/// finite before, such as the minus infinities of a mask, are nobody's fault.
fn check_finite(kernel: &Kernel, bindings: &Bindings, prepared: &Prepared) -> Result<()> {
    let read = |reference: BufferRef, dtype: DType, len: usize| {
        // SAFETY: the buffers live through this evaluation, and no kernel runs before this function ends.
        let bytes = unsafe { bindings.memory(reference).read(len * dtype.size()) };
        Ok(interpret::numbers(dtype, bytes))
    };
    let Some((node, what)) = interpret::not_finite(kernel, &prepared.arguments, read)? else {
        return Ok(());
    };
    let (op, node) = (prepared.op_name(node), &prepared.nodes[node]);
    Err(Error::not_finite(op, what, node.shape(), node.origin()))
}
