//! The second narrow waist: [`Kernel`], what a backend executes, and [`Plan`], a list of them with
//! their memory.

use std::ops::Range;
use std::sync::Arc;

use gradloom_tensor::op::{ArgReduction, Attention, Call};
use gradloom_tensor::{BlockFormat, DType, Shape};

use crate::attachments::Attachments;
use crate::factors::Factors;
use crate::program::{Level, Operation, Program, Space, ValueId};
use crate::view::View;

pub use crate::windows::{Convolution, Pool};

/// Where a kernel reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferRef {
    /// Value of a leaf, in the order of [`Prepared::inputs`](crate::Prepared::inputs).
    Input(usize),
    /// Value of a node that keeps it, in the order of [`Prepared::outputs`](crate::Prepared::outputs).
    Output(usize),
    /// A temporary. Temporaries that live at different times share a slot.
    Slot(usize),
}

/// An operand of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelInput {
    /// Where it is.
    pub buffer: BufferRef,
    /// Its dtype.
    pub dtype: DType,
    /// Number of elements in it.
    pub len: usize,
    /// The graph node whose elements are read: what must be in the buffer by then.
    pub node: usize,
}

/// A result of a kernel: contiguous over the iteration space (of level `Element`) or over its kept
/// axes (of level `Row`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelOutput {
    /// Where it goes.
    pub buffer: BufferRef,
    /// Its dtype.
    pub dtype: DType,
    /// Number of elements.
    pub len: usize,
    /// The program's value that is stored. Its level is the output's.
    pub value: ValueId,
    /// The graph node whose elements these are, see [`Prepared::nodes`](crate::Prepared::nodes).
    pub node: usize,
}

/// One piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    /// What it does around its program.
    pub kind: KernelKind,
    /// The elementwise part. For kinds without a program of their own it is the epilogue, which starts
    /// from [`Operation::Accumulator`].
    pub program: Program,
    /// The space the program runs over.
    pub space: Space,
    /// Operands: first those of the kind, in its order, then those of the program's loads.
    pub inputs: Vec<KernelInput>,
    /// Results, at least one.
    pub outputs: Vec<KernelOutput>,
    /// The graph node that the kernel's last output is, see [`Prepared::nodes`](crate::Prepared::nodes).
    pub node: usize,
    /// For each instruction of the program the graph node that it was made for.
    pub origins: Vec<usize>,
}

/// The shapes of work. All but `Map`, `Reduce` and `Row` are followed by the kernel's program as an
/// epilogue over the kind's own result, whose dtype is that of the `Accumulator` instruction.
#[derive(Clone, Debug, PartialEq)]
pub enum KernelKind {
    /// The program at every element.
    Map,
    /// The program with reductions that do not depend on one another, all outputs of level `Row`:
    /// the reduced axes may be split among workers and combined in a fixed order.
    Reduce,
    /// The program with reductions whose results are used again in the same row (softmax, norms), or
    /// with outputs of both levels. Reduced axes are the trailing ones.
    Row,
    /// Inputs 0 and 1 multiplied: views `[batch.., m, k]` and `[batch.., k, n]`, both without mask. The
    /// space is `[batch.., m, n]`.
    Matmul {
        /// Index arithmetic of input 0.
        lhs: View,
        /// Index arithmetic of input 1.
        rhs: View,
        /// The dtype of what is multiplied.
        factors: Factors,
    },
    /// Input `[N, C, ..]`, weight `[O, C / groups, K..]`, both contiguous; space `[N, O, ..]`.
    Convolution(Convolution),
    /// Weight, output gradient; space `[N, C, ..]`.
    ConvolutionInput(Convolution),
    /// Input, output gradient; space `[O, C / groups, K..]`.
    ConvolutionWeight(Convolution),
    /// Input `[N, C, ..]` contiguous (as all operands of pooling); space `[N, C, windows..]`.
    PoolMax(Pool),
    /// Input, values; space `[N, C, ..]`.
    PoolMaxScatter(Pool),
    /// Input, source; space `[N, C, windows..]`.
    PoolMaxGather(Pool),
    /// Input; space `[N, C, windows..]`.
    PoolSum(Pool),
    /// Values; space `[N, C, ..]`.
    PoolSumScatter(Pool),
    /// Data (contiguous, of `data` shape), index (`i32`, through its view, whose shape is the space's).
    /// Indices are checked before; executors clamp them for memory safety.
    Gather {
        /// Shape of the data.
        data: Shape,
        /// The axis that is addressed.
        axis: usize,
        /// Index arithmetic of input 1.
        index: View,
    },
    /// Index (`i32`), updates, both through views of one shape; space: the result's. Sums in the order
    /// of the updates; executors skip indices out of range.
    ScatterAdd {
        /// The axis that is addressed.
        axis: usize,
        /// Index arithmetic of input 0.
        index: View,
        /// Index arithmetic of input 1.
        updates: View,
    },
    /// Data (contiguous), start (`i32`, through its view `[B]`); space: the update's elements in order.
    /// The program's value at each element goes to the output, which is the data elsewhere, `start[b]`
    /// further along the axis. Where the output has the data's memory, nothing else is written.
    /// Starts are checked before; executors clamp them for memory safety.
    Write {
        /// Shape of data and output.
        data: Shape,
        /// The axis that starts count along.
        axis: usize,
        /// Index arithmetic of input 1.
        start: View,
    },
    /// The numbers of interleaved blocks, input 0 (`u32` words); space `[rows, columns]`.
    Dequantize(BlockFormat),
    /// Input 0, a view `[m, k]` in f32, times the transpose of matrices in interleaved blocks, inputs 1
    /// and so on, whose rows follow one another: space `[m, rows]`.
    QuantizedMatmul {
        /// Index arithmetic of input 0.
        lhs: View,
        /// Format and rows of each matrix.
        parts: Vec<(BlockFormat, usize)>,
    },
    /// Rows of a matrix in interleaved blocks, input 0, at indices, input 1 (`i32`, through its view
    /// `[n]`): space `[n, columns]`. Indices are checked before; executors clamp them.
    QuantizedRows {
        /// How the matrix is stored.
        format: BlockFormat,
        /// Rows of the matrix.
        rows: usize,
        /// Index arithmetic of input 1.
        index: View,
    },
    /// Query `[B, H, T, D]`, key `[B, HK, S, D]`, value `[B, HK, S, E]` in f32, mask `[B, H, T, S]`
    /// (bool or f32) and start `[B]` (`i32`) where there are such, all through views without mask;
    /// space `[B, T, H, E]`.
    Attention {
        /// What is done with scores.
        attention: Attention,
        /// Index arithmetic of the inputs.
        views: Vec<View>,
    },
    /// Running sum of input 0 (contiguous, of the space's shape).
    Scan {
        /// The axis that is summed along.
        axis: usize,
        /// From the end.
        reverse: bool,
    },
    /// `i32` index of the first extreme of input 0 (contiguous); the space is `input` with size one at
    /// `axis`.
    ArgReduce {
        /// Which extreme.
        reduction: ArgReduction,
        /// Shape of the input.
        input: Shape,
        /// The axis that is searched.
        axis: usize,
    },
    /// `i32` permutation that sorts input 0 (contiguous, of the space's shape).
    ArgSort {
        /// The axis that is sorted.
        axis: usize,
        /// Largest first.
        descending: bool,
    },
    /// An op from outside: inputs contiguous, of the types that it was made for; the space is its node's
    /// shape, and no program follows.
    Call(Call),
    /// A plan run once for every step of a loop; without a program of its own, and of no space.
    Loop(LoopKernel),
    /// Inputs (contiguous, of `parts` shapes) one after another along an axis.
    Concat {
        /// The axis whose sizes add up.
        axis: usize,
        /// Shapes of the inputs.
        parts: Vec<Shape>,
    },
}

impl KernelKind {
    /// Operands that the kind itself reads, before those of the program.
    pub fn operands(&self) -> usize {
        match self {
            KernelKind::Map | KernelKind::Reduce | KernelKind::Row => 0,
            KernelKind::PoolMax(_)
            | KernelKind::PoolSum(_)
            | KernelKind::PoolSumScatter(_)
            | KernelKind::Scan { .. }
            | KernelKind::ArgReduce { .. }
            | KernelKind::ArgSort { .. }
            | KernelKind::Dequantize(_) => 1,
            KernelKind::Matmul { .. }
            | KernelKind::Convolution(_)
            | KernelKind::ConvolutionInput(_)
            | KernelKind::ConvolutionWeight(_)
            | KernelKind::PoolMaxScatter(_)
            | KernelKind::PoolMaxGather(_)
            | KernelKind::Gather { .. }
            | KernelKind::ScatterAdd { .. }
            | KernelKind::Write { .. }
            | KernelKind::QuantizedRows { .. } => 2,
            KernelKind::QuantizedMatmul { parts, .. } => 1 + parts.len(),
            KernelKind::Attention { views, .. } => views.len(),
            KernelKind::Concat { parts, .. } => parts.len(),
            KernelKind::Call(call) => call.operands().len(),
            KernelKind::Loop(own) => own.operands(),
        }
    }

    /// What a product or a convolution multiplies.
    pub fn factors(&self) -> Option<Factors> {
        match self {
            KernelKind::Matmul { factors, .. } => Some(*factors),
            KernelKind::Convolution(sizes)
            | KernelKind::ConvolutionInput(sizes)
            | KernelKind::ConvolutionWeight(sizes) => Some(sizes.factors),
            _ => None,
        }
    }
}

impl Kernel {
    /// True if what a reducing kernel reads has its neighbours in other rows rather than along its own:
    /// workers should then take rows side by side. What each load brings in decides, not how many loads
    /// there are.
    pub fn rows_are_neighbours(&self) -> bool {
        let Space { shape, kept } = self.space;
        let innermost = |mut axes: std::ops::Range<usize>| axes.rfind(|&axis| shape[axis] != 1);
        let (Some(row), Some(column)) = (innermost(0..kept), innermost(kept..shape.rank())) else {
            return false;
        };
        let (mut by_row, mut by_column) = (0usize, 0usize);
        for instruction in &self.program.instructions {
            if let Operation::Load { view, .. } = instruction.operation
                && instruction.level == Level::Element
            {
                let moving = (0..view.shape.rank()).filter(|&axis| view.strides[axis] != 0);
                let elements: usize = moving.map(|axis| view.shape[axis]).product();
                by_column += elements * usize::from(view.strides[column].unsigned_abs() == 1);
                by_row += elements * usize::from(view.strides[row].unsigned_abs() == 1);
            }
        }
        by_row > by_column
    }
}

/// A loop: which operands and results of the kernel its body reads and writes at each step. Inputs of the
/// body are the step's number (`i32`, input 0), and parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct LoopKernel {
    /// Number of steps, at least one.
    pub length: usize,
    /// The last step runs first.
    pub reverse: bool,
    /// The work of one step. Outputs that are no next carries are written at the step's place of a result.
    pub body: Arc<Plan>,
    /// Values that go from step to step.
    pub carries: Vec<Carry>,
    /// Sequences: an operand, and the input of the body that is its part of the step.
    pub sequences: Vec<(usize, usize)>,
    /// Values that stay: an operand, and the input of the body that it is.
    pub captured: Vec<(usize, usize)>,
    /// Outputs of the body, and the results whose part of the step they are.
    pub stacked: Vec<(usize, usize)>,
    /// The first of the plan's arguments that is the body's.
    pub arguments: usize,
    /// Pairs of the body's arguments that are keys of random numbers: each step folds its number in.
    pub keys: Vec<[usize; 2]>,
    /// What is added to the numbers of the body's nodes among those of the plan.
    pub nodes: usize,
}

/// A value that goes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carry {
    /// The operand that it is at first.
    pub init: usize,
    /// The input of the body that it is before a step.
    pub input: usize,
    /// The output of the body that it is after a step: new memory, that of its own input, or an alias.
    pub next: usize,
    /// The result that it is after the last step.
    pub last: Option<usize>,
}

impl LoopKernel {
    fn operands(&self) -> usize {
        let carries = self.carries.iter().map(|carry| carry.init);
        let others = self.sequences.iter().chain(&self.captured).map(|&(operand, _)| operand);
        carries.chain(others).max().map_or(0, |last| last + 1)
    }
}

/// What an evaluation of one structure does, in order. Immutable and shared by all evaluations of
/// that structure.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Number that no other plan of this process has, for caches keyed by plan.
    pub id: u64,
    /// Kernels in order of execution.
    pub kernels: Vec<Kernel>,
    /// Loops that do not depend on one another: kernels that may also run at the same time.
    pub together: Vec<Range<usize>>,
    /// Inputs: dtype and number of elements.
    pub inputs: Vec<(DType, usize)>,
    /// Outputs: dtype and number of elements.
    pub outputs: Vec<PlanOutput>,
    /// Bytes of each temporary slot, for elements of [`DType::size`] bytes.
    pub slots: Vec<Slot>,
    /// Dtypes of the arguments; each is one word, or 64 bits of f64 or i64.
    pub arguments: Vec<DType>,
    /// What backends have made of it.
    pub attachments: Attachments,
}

impl Plan {
    /// The memory that a reference means in the end: aliases followed, and an output that takes over an
    /// input's memory as that input.
    pub fn block(&self, buffer: BufferRef) -> BufferRef {
        match self.owner(buffer) {
            BufferRef::Output(output) => {
                self.outputs[output].reuses.map_or(BufferRef::Output(output), BufferRef::Input)
            }
            other => other,
        }
    }

    /// What a reference means once aliases are followed.
    pub fn owner(&self, buffer: BufferRef) -> BufferRef {
        let mut buffer = buffer;
        while let BufferRef::Output(output) = buffer
            && let Some(alias) = self.outputs[output].alias
        {
            buffer = alias;
        }
        buffer
    }
}

/// A value that outlives the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOutput {
    /// Its dtype.
    pub dtype: DType,
    /// Number of elements.
    pub len: usize,
    /// It takes over the memory of this input, which nobody else holds.
    pub reuses: Option<usize>,
    /// It is the same memory as this input or output (views of a whole buffer): nothing is computed.
    pub alias: Option<BufferRef>,
}

/// Memory of temporaries that live at different times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// The widest dtype stored in it decides what a backend with other storage sizes allocates.
    pub elements_max: usize,
    /// Bytes in packed host layout.
    pub bytes: usize,
}
