//! Views, reductions and what else works along axes: the same along axes that are one further.

use gradloom_tensor::op::{ArgReduction, Axes, Op, Permutation, Reduction};
use gradloom_tensor::{RANK_MAX, Tensor};

use super::value::{Value, batched_shape};

/// A node of `node`'s shape, dtype and device for all examples.
#[track_caller]
fn like(node: &Tensor, op: Op, x: &Tensor, size: usize) -> Tensor {
    let shape = batched_shape(size, node.shape());
    Tensor::from_op(op, vec![x.clone()], shape, node.dtype(), node.device())
}

fn further(axes: Axes) -> Axes {
    axes.iter().map(|axis| axis + 1).collect()
}

/// One value per axis, one axis further.
fn moved(own: &[usize; RANK_MAX], first: usize) -> [usize; RANK_MAX] {
    let mut moved = [first; RANK_MAX];
    moved[1..].copy_from_slice(&own[..RANK_MAX - 1]);
    moved
}

#[track_caller]
pub(super) fn reduce(
    node: &Tensor,
    reduction: Reduction,
    axes: Axes,
    x: &Tensor,
    size: usize,
) -> Tensor {
    like(node, Op::Reduce(reduction, further(axes)), x, size)
}

#[track_caller]
pub(super) fn arg_reduce(
    node: &Tensor,
    reduction: ArgReduction,
    axis: usize,
    x: &Tensor,
    size: usize,
) -> Tensor {
    like(node, Op::ArgReduce(reduction, axis + 1), x, size)
}

#[track_caller]
pub(super) fn scan(node: &Tensor, axis: usize, reverse: bool, x: &Tensor, size: usize) -> Tensor {
    like(node, Op::Scan { axis: axis + 1, reverse }, x, size)
}

#[track_caller]
pub(super) fn argsort(
    node: &Tensor,
    axis: usize,
    descending: bool,
    x: &Tensor,
    size: usize,
) -> Tensor {
    like(node, Op::ArgSort { axis: axis + 1, descending }, x, size)
}

#[track_caller]
pub(super) fn reshape(node: &Tensor, x: &Tensor, size: usize) -> Tensor {
    x.reshape(batched_shape(size, node.shape()))
}

#[track_caller]
pub(super) fn permute(node: &Tensor, order: &Permutation, x: &Tensor, size: usize) -> Tensor {
    let order: Vec<usize> = std::iter::once(0).chain(order.iter().map(|axis| axis + 1)).collect();
    like(node, Op::Permute(Permutation::new(&order)), x, size)
}

#[track_caller]
pub(super) fn expand(node: &Tensor, x: &Tensor, size: usize) -> Tensor {
    like(node, Op::Expand, x, size)
}

#[track_caller]
pub(super) fn slice(
    node: &Tensor,
    starts: &[usize; RANK_MAX],
    steps: &[usize; RANK_MAX],
    x: &Tensor,
    size: usize,
) -> Tensor {
    like(node, Op::Slice { starts: moved(starts, 0), steps: moved(steps, 1) }, x, size)
}

#[track_caller]
pub(super) fn pad(node: &Tensor, before: &[usize; RANK_MAX], x: &Tensor, size: usize) -> Tensor {
    like(node, Op::Pad { before: moved(before, 0) }, x, size)
}

#[track_caller]
pub(super) fn flip(node: &Tensor, axes: Axes, x: &Tensor, size: usize) -> Tensor {
    like(node, Op::Flip(further(axes)), x, size)
}

#[track_caller]
pub(super) fn concat(node: &Tensor, axis: usize, operands: &[Value], size: usize) -> Tensor {
    let mut parts = Vec::with_capacity(operands.len());
    for operand in operands {
        parts.push(operand.each(size));
    }
    let shape = batched_shape(size, node.shape());
    Tensor::from_op(Op::Concat { axis: axis + 1 }, parts, shape, node.dtype(), node.device())
}
