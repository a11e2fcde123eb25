//! Elementwise ops: every operand in the shape of all examples.

use gradloom_tensor::Tensor;

use super::value::{Value, batched_shape};

/// The node's own op on the operands of all examples.
#[track_caller]
pub(super) fn elementwise(node: &Tensor, operands: &[Value], size: usize) -> Tensor {
    let mut inputs = Vec::with_capacity(operands.len());
    for operand in operands {
        inputs.push(operand.each(size));
    }
    let shape = batched_shape(size, node.shape());
    Tensor::from_op(node.op().clone(), inputs, shape, node.dtype(), node.device())
}
