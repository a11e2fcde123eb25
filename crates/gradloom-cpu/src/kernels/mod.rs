//! The kernels: one file per kind of work, each prepared once per plan and run with the buffers of an
//! evaluation.

mod map;
mod phases;
mod reduce;
mod reduction;
mod row;

mod lanes;
mod matmul;
mod panel;
mod product;

mod convolution;

mod arg_reduce;
mod concat;
mod gather;
mod pool;
mod scan;
mod scatter;
mod sort;

use std::sync::Arc;

use gradloom_plan::program::{Level as Rank, Operation};
use gradloom_plan::{Kernel, KernelKind};
use gradloom_tensor::{DType, Result, Scalar};

use self::convolution::Convolve;
use self::pool::{Kind, Pooling};
pub(crate) use self::product::Number;
use crate::convert::Lane;
use crate::pool::Pool;
use crate::simd::Level;
use crate::tile::{Failures, Frame, Store, TileProgram};

/// Elements up to which a kernel stays on one thread.
pub(crate) const SEQUENTIAL_MAX: usize = 32 * 1024;
/// Least elements of a parallel task.
pub(crate) const TASK_MIN: usize = 16 * 1024;

/// What a kernel runs with.
pub(crate) struct Context<'a> {
    pub(crate) level: Level,
    pub(crate) threads: usize,
    pub(crate) pool: &'a Arc<Pool>,
    pub(crate) arguments: &'a [Scalar],
    pub(crate) failures: &'a Failures,
}

impl<'a> Context<'a> {
    /// Threads for this much work.
    pub(crate) fn threads_for(&self, work: usize) -> usize {
        if work <= SEQUENTIAL_MAX { 1 } else { self.threads }
    }

    /// A program bound to this evaluation.
    pub(crate) fn frame(&self, program: &'a TileProgram, inputs: &'a [&'a [u8]]) -> Frame<'a> {
        Frame::new(program, self.level, inputs, self.arguments, self.failures)
    }
}

/// A kernel prepared for execution.
pub(crate) trait Executable: Send + Sync {
    /// Runs it. Inputs that share the memory of an output element by element are empty slices.
    ///
    /// # Errors
    /// When memory for temporaries runs out.
    fn run(&self, context: &Context<'_>, inputs: &[&[u8]], outputs: &mut [&mut [u8]])
    -> Result<()>;
}

/// Inputs that share the memory of an output.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aliases {
    /// Pairs of input and output of which element `i` is read before element `i` is written: the
    /// program reads the output instead.
    pub(crate) in_place: Vec<(usize, usize)>,
    /// Inputs that must be copied before the kernel runs.
    pub(crate) copied: Vec<usize>,
}

impl Aliases {
    /// Decides what to do about inputs that share memory with outputs.
    fn new(kernel: &Kernel, shared: &[(usize, usize)]) -> Aliases {
        let mut aliases = Aliases::default();
        for &(input, output) in shared {
            if is_in_place(kernel, input, output) {
                aliases.in_place.push((input, output));
            } else {
                aliases.copied.push(input);
            }
        }
        aliases
    }
}

/// True if the program reads every element of the input exactly where it writes the output.
fn is_in_place(kernel: &Kernel, input: usize, output: usize) -> bool {
    let (read, written) = (&kernel.inputs[input], &kernel.outputs[output]);
    let instructions = &kernel.program.instructions;
    let level = instructions[written.value].level;
    let reducing = matches!(kernel.kind, KernelKind::Reduce | KernelKind::Row);
    if input < operand_count(&kernel.kind)
        || read.dtype != written.dtype
        || read.len != written.len
        || (kernel.kind == KernelKind::Reduce && level == Rank::Element)
    {
        return false;
    }
    // Phases before the last would read what a row of the last has overwritten only if the output
    // were written earlier than it is read; an output of elements must come last.
    if reducing && level == Rank::Element && !phases::is_last(kernel, written.value) {
        return false;
    }
    let kept = kernel.space.kept;
    instructions.iter().enumerate().all(|(id, instruction)| match instruction.operation {
        Operation::Load { input: loaded, view } if loaded == input => {
            let view = match (reducing, level) {
                (true, Rank::Row) => phases::kept_view(&view, kept),
                _ => view,
            };
            let same_level = !reducing || instruction.level == level;
            let reduced = reducing && level == Rank::Row && feeds_reduction(kernel, id);
            view.is_contiguous() && view.shape.count() == written.len && same_level && !reduced
        }
        _ => true,
    })
}

/// True if a reduction depends on a value.
fn feeds_reduction(kernel: &Kernel, value: usize) -> bool {
    let instructions = &kernel.program.instructions;
    let mut depends = vec![false; instructions.len()];
    depends[value] = true;
    for (id, instruction) in instructions.iter().enumerate() {
        depends[id] |= instruction.operation.operands().any(|operand| depends[operand]);
        if depends[id] && matches!(instruction.operation, Operation::Reduce(..)) {
            return true;
        }
    }
    false
}

/// Operands that the kind itself reads, before those of the program.
fn operand_count(kind: &KernelKind) -> usize {
    match kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => 0,
        KernelKind::PoolMax(_)
        | KernelKind::PoolSum(_)
        | KernelKind::PoolSumScatter(_)
        | KernelKind::Scan { .. }
        | KernelKind::ArgReduce { .. }
        | KernelKind::ArgSort { .. } => 1,
        KernelKind::Matmul { .. }
        | KernelKind::Convolution(_)
        | KernelKind::ConvolutionInput(_)
        | KernelKind::ConvolutionWeight(_)
        | KernelKind::PoolMaxScatter(_)
        | KernelKind::PoolMaxGather(_)
        | KernelKind::Gather { .. }
        | KernelKind::ScatterAdd { .. } => 2,
        KernelKind::Concat { parts, .. } => parts.len(),
    }
}

/// Every output as a store of the program, for kernels without reductions.
pub(crate) fn element_stores(kernel: &Kernel) -> Vec<Store> {
    let outputs = kernel.outputs.iter().enumerate();
    outputs
        .map(|(position, output)| Store {
            value: output.value,
            output: position,
            dtype: output.dtype,
        })
        .collect()
}

/// The dtype whose stored elements are lanes of this type.
pub(crate) fn lane_dtype(lane: Lane) -> DType {
    match lane {
        Lane::F32 => DType::F32,
        Lane::F64 => DType::F64,
        Lane::I32 => DType::I32,
        Lane::U32 => DType::U32,
    }
}

/// Prepares a kernel. `shared` lists the inputs that have the memory of an output.
///
/// # Errors
/// When no kernel of this crate does the work.
pub(crate) fn prepare(
    kernel: &Kernel,
    shared: &[(usize, usize)],
) -> Result<(Box<dyn Executable>, Aliases)> {
    let aliases = Aliases::new(kernel, shared);
    let executable: Box<dyn Executable> = match &kernel.kind {
        KernelKind::Map => Box::new(map::Map::new(kernel, &aliases)),
        KernelKind::Reduce => reduce::new(kernel, &aliases),
        KernelKind::Row => Box::new(row::Row::new(kernel, &aliases)),
        KernelKind::Matmul { lhs, rhs } => {
            Box::new(matmul::Matmul::new(kernel, &aliases, lhs, rhs))
        }
        KernelKind::PoolMax(pool) => Box::new(Pooling::new(kernel, &aliases, Kind::Max, pool)),
        KernelKind::PoolMaxScatter(pool) => {
            Box::new(Pooling::new(kernel, &aliases, Kind::MaxScatter, pool))
        }
        KernelKind::PoolMaxGather(pool) => {
            Box::new(Pooling::new(kernel, &aliases, Kind::MaxGather, pool))
        }
        KernelKind::PoolSum(pool) => Box::new(Pooling::new(kernel, &aliases, Kind::Sum, pool)),
        KernelKind::PoolSumScatter(pool) => {
            Box::new(Pooling::new(kernel, &aliases, Kind::SumScatter, pool))
        }
        KernelKind::Gather { data, axis, index } => {
            Box::new(gather::Gather::new(kernel, &aliases, data, *axis, index))
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            Box::new(scatter::ScatterAdd::new(kernel, &aliases, *axis, index, updates))
        }
        KernelKind::Scan { axis, reverse } => {
            Box::new(scan::Scan::new(kernel, &aliases, *axis, *reverse))
        }
        KernelKind::ArgReduce { reduction, input, axis } => {
            Box::new(arg_reduce::ArgReduce::new(kernel, &aliases, *reduction, input, *axis))
        }
        KernelKind::ArgSort { axis, descending } => {
            Box::new(sort::ArgSort::new(kernel, &aliases, *axis, *descending))
        }
        KernelKind::Concat { axis, parts } => {
            Box::new(concat::Concat::new(kernel, &aliases, *axis, parts))
        }
        KernelKind::Convolution(sizes) => {
            Box::new(Convolve::new(kernel, &aliases, convolution::Kind::Forward, sizes)?)
        }
        KernelKind::ConvolutionInput(sizes) => {
            Box::new(Convolve::new(kernel, &aliases, convolution::Kind::Input, sizes)?)
        }
        KernelKind::ConvolutionWeight(sizes) => {
            Box::new(Convolve::new(kernel, &aliases, convolution::Kind::Weight, sizes)?)
        }
    };
    Ok((executable, aliases))
}
