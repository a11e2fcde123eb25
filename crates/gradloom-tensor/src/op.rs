//! The first narrow waist: [`Op`], the closed list of what a tensor can be.
//!
//! Matches on it have no `_` arm, so the compiler lists what a new op still lacks. Ops are explicit:
//! operands of an elementwise op have one shape (methods insert [`Op::Expand`]), reductions keep their
//! axes with size one (methods insert [`Op::Reshape`]). Row-wise layers such as softmax and layer norm
//! are no ops: the planner finds them as reductions whose result is read again in the same row.

use std::sync::{Arc, Mutex, PoisonError};

pub use crate::axes::{Axes, Permutation};
use crate::blocks::BlockFormat;
pub use crate::custom_op::Call;
pub use crate::elementwise::{Binary, Unary};
pub use crate::loops::{Loop, LoopOutput, LoopResult};
use crate::shape::RANK_MAX;
pub use crate::window::{Groups, WINDOW_AXES_MAX, Window};
use crate::{Scalar, Tensor};

/// What a tensor is. The node's own shape and dtype complete it.
#[derive(Clone, Debug)]
pub enum Op {
    // Leaves.
    /// Elements already on the device.
    Buffer,
    /// What stands for an operand while a function is traced, as in the body of a loop. It has no value.
    Placeholder,
    /// One value everywhere, part of the structure of a graph: the constants of formulas.
    Constant(Scalar),
    /// One value everywhere, an argument of the plan: learning rates and whatever changes step by step.
    Argument(Scalar),
    /// The index along an axis, `i32`.
    Iota {
        /// The axis that counts.
        axis: usize,
    },
    /// Threefry-2x32-20 of the linear element index, `u32`: first output word for the counter
    /// `(index, 0)`. The key is an argument of the plan.
    Random {
        /// The key's two words.
        key: [u32; 2],
    },

    // Elementwise.
    /// One operand.
    Unary(Unary),
    /// Two operands of one shape and dtype.
    Binary(Binary),
    /// Condition (bool), value if true, value if false.
    Select,
    /// Conversion to the node's dtype; floats to integers truncate and saturate, NaN gives 0; integers to
    /// narrower ones wrap.
    Cast,
    /// The operand (integers) unchanged; an element outside `0..size` fails the evaluation.
    CheckIndex {
        /// First value that is out of range.
        size: usize,
        /// The op on whose behalf the check is made, for the message.
        op: &'static str,
    },

    // Reductions; reduced axes stay with size one.
    /// Sum, maximum or minimum over axes. For the error of a sum see [`crate::summation`].
    Reduce(Reduction, Axes),
    /// Index of the first largest or smallest element along an axis, `i32`; NaN wins.
    ArgReduce(ArgReduction, usize),
    /// Running sum along an axis; the error of each is that of a sum, see [`crate::summation`].
    Scan {
        /// The axis that is summed along.
        axis: usize,
        /// From the end towards the start.
        reverse: bool,
    },

    // Views: no arithmetic, only other index arithmetic.
    /// The same elements in row-major order under the node's shape.
    Reshape,
    /// Output axis `i` is input axis `permutation[i]`.
    Permute(Permutation),
    /// Axes of size one repeated to the node's shape (same rank).
    Expand,
    /// Every `step`-th element from `start` along each axis; the node's shape gives the counts.
    Slice {
        /// First index per axis.
        starts: [usize; RANK_MAX],
        /// Distance between elements per axis, at least 1.
        steps: [usize; RANK_MAX],
    },
    /// Zeros (false) around the operand; the node's shape gives what comes after.
    Pad {
        /// Zeros before the operand per axis.
        before: [usize; RANK_MAX],
    },
    /// Reversed order along the axes.
    Flip(Axes),

    // Structured.
    /// Operands one after another along an axis.
    Concat {
        /// The axis whose sizes add up.
        axis: usize,
    },
    /// `[batch.., M, K] x [batch.., K, N] -> [batch.., M, N]`, equal batch axes. f16 and bf16 are summed in
    /// f32, and the node's dtype is theirs or f32. For the error of long sums, here and of the convolutions,
    /// see [`crate::summation`].
    Matmul,
    /// `input [N, C, ..], weight [O, C / groups, K..] -> [N, O, ..]` (cross-correlation), with one to
    /// three axes after the first two, as all that follows with a window.
    Convolution(Window, Groups),
    /// `weight, output gradient -> input gradient`: the transpose of [`Op::Convolution`] in the input.
    ConvolutionInput(Window, Groups),
    /// `input, output gradient -> weight gradient`.
    ConvolutionWeight(Window, Groups),
    /// `[N, C, ..] -> [N, C, windows..]`: maximum of each window; padding never wins.
    PoolMax(Window),
    /// `input [N, C, ..], values [N, C, windows..] -> [N, C, ..]`: each value added where the maximum
    /// of its window is (the first in row-major order), zeros elsewhere.
    PoolMaxScatter(Window),
    /// `input [N, C, ..], source [N, C, ..] -> [N, C, windows..]`: the source's element where the
    /// input's maximum is. The transpose of [`Op::PoolMaxScatter`] in the values.
    PoolMaxGather(Window),
    /// Sum of each window; padding counts as zero.
    PoolSum(Window),
    /// `[N, C, windows..] -> [N, C, ..]`: each value added to every element of its window. The transpose
    /// of [`Op::PoolSum`].
    PoolSumScatter(Window),
    /// `data, index (i32) -> data[.., index, ..]`; data and index agree in every axis but this one,
    /// the result has the index's shape.
    Gather {
        /// The axis that the index addresses.
        axis: usize,
    },
    /// `index (i32), updates -> sum of the updates at each index`, in the order of the updates, or many in
    /// blocks that are added (see [`crate::summation`]). The node's shape gives the size of the axis. The
    /// transpose of [`Op::Gather`].
    ScatterAdd {
        /// The axis that the index addresses.
        axis: usize,
    },
    /// `data, update, start (i32, [data's first axis]) -> data` with the update in place of the elements
    /// from `start[b]` along the axis in each `b` of the first axis. Update and data agree in every
    /// other axis. In [`commit`](crate::commit) the data's memory is written where nobody else holds it.
    Write {
        /// The axis that `start` counts along, not the first.
        axis: usize,
    },
    /// `blocks (u32 words) -> [rows, columns]` in f32: the numbers that interleaved blocks stand for.
    /// Products and embeddings read the blocks themselves.
    Dequantize(BlockFormat),
    /// `query [B, H, T, D], key [B, HK, S, D], value [B, HK, S, E], mask?, start? -> [B, T, H, E]`.
    Attention(Attention),
    /// The permutation (`i32`) that sorts along an axis; stable, NaN counts as largest.
    ArgSort {
        /// The axis that is sorted.
        axis: usize,
        /// Largest first.
        descending: bool,
    },

    /// An op from outside of this list, see [`CustomOp`](crate::CustomOp); several results lie one after
    /// another.
    Call(Call),

    // Structure.
    /// A result of a loop: `inits, sequences, captured values -> the last carry, or a value of every step`.
    Loop(LoopResult),
    /// The operand's value, which is on another device. Whoever evaluates the node's users gives it its value
    /// first.
    Transfer,
    /// The source's value without its history.
    Detach(Detached),
    /// The first operand's value; a gradient comes from the rule instead of from its history.
    Custom(CustomGrad),
    /// The first operand's value, used only after the others are computed: keeps a recomputation from
    /// being merged with the original or done too early.
    Barrier,
}

/// What [`Op::Attention`] does with scores. A query at position `p` of its sequence may see key `s` if
/// `s < start + T`, if causal `s <= p`, and with a window `s > p - window`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    /// Factor of the scores.
    pub scale: f64,
    /// Whether a query sees only keys up to its own position.
    pub causal: bool,
    /// Number of keys, up to its own, that a query sees.
    pub window: Option<usize>,
    /// Whether a mask `[B, H, T, S]` follows the value: bool keeps where true, float is added, and is not
    /// below -1e30. A key that it does not keep has the score -1e30, so where it keeps none of the keys that a query may see,
    /// these count the same; a query that may see none for its position gets zeros.
    pub masked: bool,
    /// Whether the first query's position (`i32`, `[B]`) follows; otherwise it is `S - T`.
    pub placed: bool,
}

/// How a reduction combines elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reduction {
    /// Sum; 0 of nothing.
    Sum,
    /// Maximum, NaN wins; negative infinity (or the least integer) of nothing.
    Max,
    /// Minimum, NaN wins; infinity (or the largest integer) of nothing.
    Min,
}

impl Reduction {
    /// `sum`, `max` or `min`.
    pub fn name(self) -> &'static str {
        match self {
            Reduction::Sum => "sum",
            Reduction::Max => "max",
            Reduction::Min => "min",
        }
    }
}

/// Which element's index an arg-reduction gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ArgReduction {
    /// The first largest.
    Max,
    /// The first smallest.
    Min,
}

/// The source of [`Op::Detach`]: emptied once the value is there, so that the history can go.
#[derive(Clone)]
pub struct Detached(Arc<Mutex<Option<Tensor>>>);

impl Detached {
    pub(crate) fn new(source: Tensor) -> Self {
        Detached(Arc::new(Mutex::new(Some(source))))
    }

    /// The source, while the node has no value. It goes when the node's value has been stored, possibly
    /// by another thread just now: where there is none, the node has its value. [`Tensor::state`] looks
    /// at both in the right order.
    pub fn source(&self) -> Option<Tensor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives the source up; the node's value must be stored before.
    pub(crate) fn clear(&self) -> Option<Tensor> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl std::fmt::Debug for Detached {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Detached")
    }
}

/// A gradient rule: from the operands after the first, the value and the gradient of the value to
/// the gradients of those operands.
pub type CustomRule = dyn Fn(&[Tensor], &Tensor, &Tensor) -> Vec<Option<Tensor>> + Send + Sync;

/// The rule of [`Op::Custom`].
#[derive(Clone)]
pub struct CustomGrad(Arc<CustomRule>);

impl CustomGrad {
    /// Wraps a rule.
    pub fn new(rule: Arc<CustomRule>) -> Self {
        CustomGrad(rule)
    }

    /// Gradients of the operands, one each; `None` means zero.
    pub fn apply(
        &self,
        operands: &[Tensor],
        value: &Tensor,
        gradient: &Tensor,
    ) -> Vec<Option<Tensor>> {
        (self.0)(operands, value, gradient)
    }
}

impl std::fmt::Debug for CustomGrad {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("CustomGrad")
    }
}

impl Op {
    /// A short name for messages and plans.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Buffer => "buffer",
            Op::Placeholder => "placeholder",
            Op::Constant(_) => "constant",
            Op::Argument(_) => "argument",
            Op::Iota { .. } => "iota",
            Op::Random { .. } => "random",
            Op::Unary(unary) => unary.name(),
            Op::Binary(binary) => binary.name(),
            Op::Select => "select",
            Op::Cast => "cast",
            Op::CheckIndex { .. } => "check_index",
            Op::Reduce(reduction, _) => reduction.name(),
            Op::ArgReduce(ArgReduction::Max, _) => "argmax",
            Op::ArgReduce(ArgReduction::Min, _) => "argmin",
            Op::Scan { .. } => "cumsum",
            Op::Reshape => "reshape",
            Op::Permute(_) => "permute",
            Op::Expand => "expand",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Flip(_) => "flip",
            Op::Concat { .. } => "concat",
            Op::Matmul => "matmul",
            Op::Convolution(..) => "convolution",
            Op::ConvolutionInput(..) => "convolution_input",
            Op::ConvolutionWeight(..) => "convolution_weight",
            Op::PoolMax(_) => "pool_max",
            Op::PoolMaxScatter(_) => "pool_max_scatter",
            Op::PoolMaxGather(_) => "pool_max_gather",
            Op::PoolSum(_) => "pool_sum",
            Op::PoolSumScatter(_) => "pool_sum_scatter",
            Op::Gather { .. } => "gather",
            Op::ScatterAdd { .. } => "scatter_add",
            Op::Write { .. } => "write",
            Op::Dequantize(_) => "dequantize",
            Op::Attention(_) => "attention",
            Op::ArgSort { .. } => "argsort",
            Op::Call(call) => call.op().name(),
            Op::Transfer => "to_device",
            Op::Loop(_) => "scan",
            Op::Detach(_) => "detach",
            Op::Custom(_) => "custom",
            Op::Barrier => "barrier",
        }
    }

    /// True for ops that only change index arithmetic.
    pub fn is_view(&self) -> bool {
        matches!(
            self,
            Op::Reshape
                | Op::Permute(_)
                | Op::Expand
                | Op::Slice { .. }
                | Op::Pad { .. }
                | Op::Flip(_)
        )
    }
}
