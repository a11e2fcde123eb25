//! Products of matrices and attention.
//!
//! A matrix that is the same for all examples is never repeated where the examples can be rows of one
//! product. Letters: B examples, M rows, K inner, N columns.

use gradloom_tensor::op::{Op, Permutation};
use gradloom_tensor::{DType, Shape, Tensor};

use super::value::{Value, batched_shape};

#[track_caller]
pub(super) fn matmul(node: &Tensor, lhs: &Value, rhs: &Value, size: usize) -> Tensor {
    let shape = batched_shape(size, node.shape());
    let rank = node.rank();
    let lone = node.shape()[..rank - 2].iter().all(|&size| size == 1);
    match (lhs, rhs) {
        (Value::Batched(x), Value::Single(w)) if lone => rows(x, w, node.dtype()).reshape(shape),
        (Value::Single(w), Value::Batched(x)) if lone => {
            let columns = node.shape()[rank - 1];
            if columns != 1 && !is_transpose(x) {
                return product(&lhs.each(size), x, shape, node.dtype());
            }
            // (x^T w^T)^T: the examples' columns are rows of one product.
            let across = rows(&transposed(x), &transposed(w), node.dtype());
            let mut flat = shape;
            let last = flat.rank() - 1;
            flat = flat.with(last - 1, shape[last]).with(last, shape[last - 1]);
            let across = across.reshape(flat);
            if columns == 1 { across.reshape(shape) } else { transposed(&across) }
        }
        _ => product(&lhs.each(size), &rhs.each(size), shape, node.dtype()),
    }
}

/// `[.., M, K] x [1.., K, N] -> [.. M, N]` as one product of matrices.
#[track_caller]
fn rows(x: &Tensor, w: &Tensor, dtype: DType) -> Tensor {
    let (inner, columns) = (w.size(-2), w.size(-1));
    let count = x.shape()[..x.rank() - 1].iter().product();
    let x = x.reshape([count, inner]);
    product(&x, &w.reshape([inner, columns]), Shape::new(&[count, columns]), dtype)
}

#[track_caller]
fn product(lhs: &Tensor, rhs: &Tensor, shape: Shape, dtype: DType) -> Tensor {
    let inputs = vec![lhs.clone(), rhs.clone()];
    Tensor::from_op(Op::Matmul, inputs, shape, dtype, lhs.device())
}

/// The last two axes exchanged.
#[track_caller]
fn transposed(x: &Tensor) -> Tensor {
    x.transpose(-1, -2)
}

/// True for a view that exchanges the last two axes and leaves the others: its transpose is there.
fn is_transpose(x: &Tensor) -> bool {
    let Op::Permute(permutation) = x.op() else { return false };
    let mut exchanged = Vec::from_iter(0..x.rank());
    exchanged.swap(x.rank() - 1, x.rank() - 2);
    *permutation == Permutation::new(&exchanged)
}

/// `[B, N, H, T, D], .. -> [B, N, T, H, E]` with the examples as more of the batch N.
#[track_caller]
pub(super) fn attention(node: &Tensor, operands: &[Value], size: usize) -> Tensor {
    let mut inputs = Vec::with_capacity(operands.len());
    for operand in operands {
        inputs.push(joined(&operand.each(size)));
    }
    let shape = node.shape().with(0, size * node.shape()[0]);
    Tensor::from_op(node.op().clone(), inputs, shape, node.dtype(), node.device())
        .reshape(batched_shape(size, node.shape()))
}

/// The first two axes as one.
#[track_caller]
fn joined(x: &Tensor) -> Tensor {
    let first = x.shape()[0] * x.shape()[1];
    let shape: Shape = std::iter::once(first).chain(x.shape()[2..].iter().copied()).collect();
    x.reshape(shape)
}
