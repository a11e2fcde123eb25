//! Nodes of as many axes as a tensor may have: no axis is left for the examples, so what works along axes
//! works along one at a time, in the shape `[examples and axes before, axis, axes after]`.

use gradloom_tensor::op::{Axes, Op, Permutation};
use gradloom_tensor::{DType, RANK_MAX, Shape, Tensor};

use super::value::{Value, batched_shape};

/// True if a node or one of its operands has no room for one more axis.
pub(super) fn is_tall(node: &Tensor) -> bool {
    node.rank() == RANK_MAX || node.inputs().iter().any(|input| input.rank() == RANK_MAX)
}

/// `[examples and axes before, axis, axes after]`.
fn around(size: usize, own: &Shape, axis: usize) -> Shape {
    let before: usize = own[..axis].iter().product();
    let after: usize = own[axis + 1..].iter().product();
    Shape::new(&[size * before, own[axis], after])
}

/// An op along the middle one of three axes.
#[track_caller]
fn middle(op: Op, inputs: Vec<Tensor>, length: usize, dtype: DType) -> Tensor {
    let (shape, device) = (inputs[0].shape().with(1, length), inputs[0].device().clone());
    Tensor::from_op(op, inputs, shape, dtype, &device)
}

/// An op of one operand along its axes, one after another.
#[track_caller]
pub(super) fn along_axes(node: &Tensor, x: &Tensor, size: usize) -> Tensor {
    let mut own = *node.inputs()[0].shape();
    let mut x = x.clone();
    for axis in 0..own.rank() {
        let length = node.shape()[axis];
        let Some(op) = along(node.op(), axis, own[axis] != length) else { continue };
        x = middle(op, vec![x.reshape(around(size, &own, axis))], length, node.dtype());
        own = own.with(axis, length);
    }
    x.reshape(batched_shape(size, node.shape()))
}

/// What an op does along one of its axes, as an op along the middle one of three; `None` for nothing.
fn along(op: &Op, axis: usize, changes: bool) -> Option<Op> {
    let only = |place: usize| (place == axis).then_some(());
    let at_middle = |first: usize, value: usize| {
        let mut all = [first; RANK_MAX];
        all[1] = value;
        all
    };
    let middle: Axes = [1].into_iter().collect();
    match op {
        Op::Reduce(reduction, axes) => {
            axes.contains(axis).then_some(Op::Reduce(*reduction, middle))
        }
        Op::ArgReduce(reduction, place) => only(*place).map(|()| Op::ArgReduce(*reduction, 1)),
        Op::Scan { axis, reverse } => only(*axis).map(|()| Op::Scan { axis: 1, reverse: *reverse }),
        Op::ArgSort { axis, descending } => {
            only(*axis).map(|()| Op::ArgSort { axis: 1, descending: *descending })
        }
        Op::Expand => changes.then_some(Op::Expand),
        Op::Slice { starts, steps } => changes.then(|| Op::Slice {
            starts: at_middle(0, starts[axis]),
            steps: at_middle(1, steps[axis]),
        }),
        Op::Pad { before } => changes.then(|| Op::Pad { before: at_middle(0, before[axis]) }),
        Op::Flip(axes) => axes.contains(axis).then_some(Op::Flip(middle)),
        _ => unreachable!("{}: it does not work along axes alone", op.name()),
    }
}

/// A permutation by moving one axis after another to its place.
#[track_caller]
pub(super) fn permute(node: &Tensor, order: &Permutation, x: &Tensor, size: usize) -> Tensor {
    let own = *node.inputs()[0].shape();
    let mut current = Vec::from_iter(0..own.rank());
    let mut x = x.clone();
    for (place, axis) in order.iter().enumerate() {
        let from = current.iter().position(|&other| other == axis).unwrap_or(place);
        if from == place {
            continue;
        }
        let count = |axes: &[usize]| axes.iter().map(|&axis| own[axis]).product::<usize>();
        let parts = [
            size * count(&current[..place]),
            count(&current[place..from]),
            own[axis],
            count(&current[from + 1..]),
        ];
        x = x.reshape(parts).permute(&[0, 2, 1, 3]);
        current.remove(from);
        current.insert(place, axis);
    }
    x.reshape(batched_shape(size, node.shape()))
}

#[track_caller]
pub(super) fn concat(node: &Tensor, axis: usize, operands: &[Value], size: usize) -> Tensor {
    let mut parts = Vec::with_capacity(operands.len());
    for (operand, own) in operands.iter().zip(node.inputs()) {
        parts.push(operand.each(size).reshape(around(size, own.shape(), axis)));
    }
    let joined = middle(Op::Concat { axis: 1 }, parts, node.shape()[axis], node.dtype());
    joined.reshape(batched_shape(size, node.shape()))
}

/// A gather or a sum at indices, of two operands, along one axis.
#[track_caller]
pub(super) fn indexed(node: &Tensor, axis: usize, operands: &[Value], size: usize) -> Tensor {
    let mut inputs = Vec::with_capacity(operands.len());
    for (operand, own) in operands.iter().zip(node.inputs()) {
        inputs.push(operand.each(size).reshape(around(size, own.shape(), axis)));
    }
    let op = match node.op() {
        Op::Gather { .. } => Op::Gather { axis: 1 },
        _ => Op::ScatterAdd { axis: 1 },
    };
    let result = middle(op, inputs, node.shape()[axis], node.dtype());
    result.reshape(batched_shape(size, node.shape()))
}

/// Examples and batch axes as one.
#[track_caller]
pub(super) fn matmul(node: &Tensor, lhs: &Value, rhs: &Value, size: usize) -> Tensor {
    let rank = node.rank();
    let batch: usize = node.shape()[..rank - 2].iter().product();
    let (rows, columns) = (node.shape()[rank - 2], node.shape()[rank - 1]);
    let inner = node.inputs()[0].shape()[rank - 1];
    let lhs = lhs.each(size).reshape([size * batch, rows, inner]);
    let rhs = rhs.each(size).reshape([size * batch, inner, columns]);
    let shape = Shape::new(&[size * batch, rows, columns]);
    Tensor::from_op(Op::Matmul, vec![lhs, rhs], shape, node.dtype(), node.device())
        .reshape(batched_shape(size, node.shape()))
}
