//! Reading, adding and writing at indices.

use gradloom_tensor::op::Op;
use gradloom_tensor::{Shape, Tensor};

use super::value::{Value, batched_shape};

/// Data that is the same for all examples is not repeated: their indices lie one after another along the
/// axis that they address.
#[track_caller]
pub(super) fn gather(
    node: &Tensor,
    axis: usize,
    data: &Value,
    index: &Value,
    size: usize,
) -> Tensor {
    let shape = batched_shape(size, node.shape());
    let (data, index) = match (data, index) {
        (Value::Single(data), Value::Batched(index)) => {
            let mut order: Vec<isize> = (1..shape.rank() as isize).collect();
            order.insert(axis, 0);
            let apart = index.permute(&order);
            let length = node.shape()[axis];
            let index = apart.reshape(node.shape().with(axis, size * length));
            let read = taken(data, &index, axis).reshape(*apart.shape());
            let mut back: Vec<isize> = (0..shape.rank() as isize).collect();
            back.remove(axis);
            back.insert(0, axis as isize);
            return read.permute(&back);
        }
        _ => (data.each(size), index.each(size)),
    };
    taken(&data, &index, axis + 1)
}

#[track_caller]
fn taken(data: &Tensor, index: &Tensor, axis: usize) -> Tensor {
    let inputs = vec![data.clone(), index.clone()];
    Tensor::from_op(Op::Gather { axis }, inputs, *index.shape(), data.dtype(), data.device())
}

#[track_caller]
pub(super) fn scatter_add(
    node: &Tensor,
    axis: usize,
    index: &Value,
    updates: &Value,
    size: usize,
) -> Tensor {
    let shape = batched_shape(size, node.shape());
    let inputs = vec![index.each(size), updates.each(size)];
    Tensor::from_op(Op::ScatterAdd { axis: axis + 1 }, inputs, shape, node.dtype(), node.device())
}

/// The examples are more of the data's first axis, which has a start for each of its places.
#[track_caller]
pub(super) fn write(node: &Tensor, axis: usize, operands: &[Value], size: usize) -> Tensor {
    let mut inputs = Vec::with_capacity(operands.len());
    for (operand, own) in operands.iter().zip(node.inputs()) {
        let shape: Shape = own.shape().with(0, size * own.shape()[0]);
        inputs.push(operand.each(size).reshape(shape));
    }
    let shape = node.shape().with(0, size * node.shape()[0]);
    Tensor::from_op(Op::Write { axis }, inputs, shape, node.dtype(), node.device())
        .reshape(batched_shape(size, node.shape()))
}
