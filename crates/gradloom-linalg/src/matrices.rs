//! Ordinary ops on matrices that the formulas of derivatives are written in.

use gradloom_tensor::{DType, Shape, Tensor};

/// The transposed matrices.
#[track_caller]
pub(crate) fn t(a: &Tensor) -> Tensor {
    a.transpose(-2, -1)
}

/// `[n, n]` in the dtype and on the device of another tensor.
#[track_caller]
pub(crate) fn identity(size: usize, like: &Tensor) -> Tensor {
    Tensor::eye(size, like.dtype(), like.device())
}

#[track_caller]
fn on_diagonal(size: usize, like: &Tensor) -> Tensor {
    Tensor::eye(size, DType::Bool, like.device())
}

/// The diagonals `[.., min(m, n)]` of `[.., m, n]`.
#[track_caller]
pub(crate) fn diagonal(a: &Tensor) -> Tensor {
    let size = a.size(-2).min(a.size(-1));
    let square = a.narrow(-2, 0, size).narrow(-1, 0, size);
    on_diagonal(size, a).select(&square, square.zeros_like()).sum(-1)
}

/// Matrices `[.., n, n]` with the diagonals `[.., n]` and zeros elsewhere.
#[track_caller]
pub(crate) fn with_diagonal(values: &Tensor) -> Tensor {
    let rows = values.unsqueeze(-2);
    on_diagonal(values.size(-1), values).select(&rows, rows.zeros_like())
}

/// The lower triangle without its diagonal.
#[track_caller]
pub(crate) fn strictly_lower(a: &Tensor) -> Tensor {
    a.tril(-1)
}

/// `1 / x`, and 0 where `x` is no larger than `cutoff`: the rule for what has no derivative.
#[track_caller]
pub(crate) fn reciprocal_or_zero(x: &Tensor, cutoff: &Tensor) -> Tensor {
    let known = x.abs().gt(cutoff);
    let safe = known.select(x, x.ones_like());
    known.select(safe.reciprocal(), safe.zeros_like())
}

/// What values `[.., n]` are exact to, `[.., 1, 1]`: those that differ by no more are taken as equal.
#[track_caller]
pub(crate) fn rounding_of(values: &Tensor) -> Tensor {
    let epsilon = if values.dtype() == DType::F64 { f64::EPSILON } else { f32::EPSILON.into() };
    let largest = match values.size(-1) {
        0 => values.sum_keepdim(-1),
        _ => values.abs().max_keepdim(-1),
    };
    (largest * epsilon).unsqueeze(-1).detach()
}

/// A gradient summed over the axes along which its operand was broadcast.
#[track_caller]
pub(crate) fn sum_to(gradient: &Tensor, shape: &Shape) -> Tensor {
    let pairs = gradient.shape().iter().zip(shape.iter()).enumerate();
    let axes: Vec<isize> =
        pairs.filter(|(_, (from, to))| from != to).map(|(axis, _)| axis as isize).collect();
    if axes.is_empty() { gradient.clone() } else { gradient.sum_keepdim(&axes[..]) }
}

/// The same matrices with axes of size one in front, up to `rank` batch axes.
#[track_caller]
pub(crate) fn with_batch_rank(a: &Tensor, rank: usize) -> Tensor {
    let missing = (rank + 2).saturating_sub(a.rank());
    if missing == 0 {
        return a.clone();
    }
    let shape: Shape = std::iter::repeat_n(1, missing).chain(a.shape().iter().copied()).collect();
    a.reshape(shape)
}

/// The rows of matrices `[.., m, n]` in another order: row `i` of the result is row `order[.., i]`.
#[track_caller]
pub(crate) fn take_rows(a: &Tensor, order: &Tensor) -> Tensor {
    let index = order.cast(DType::I32).unsqueeze(-1);
    let rows = order.shape().iter().copied().chain([a.size(-1)]).collect::<Shape>();
    a.gather(-2, &index.broadcast_to(rows))
}

/// Where each number stands in an order `[.., m]` of `0..m`.
#[track_caller]
pub(crate) fn inverse_order(order: &Tensor) -> Tensor {
    order.argsort(-1, false)
}
