//! Derivatives of reductions and scans.

use gradloom_tensor::Tensor;
use gradloom_tensor::op::{Op, Reduction};

/// A sum spreads its gradient; an extreme gives it to the elements that attain it, shared evenly among
/// ties (as PyTorch's `amax`).
pub(super) fn reduce(reduction: Reduction, x: &Tensor, y: &Tensor, g: &Tensor) -> Tensor {
    match reduction {
        Reduction::Sum => g.broadcast_to(*x.shape()),
        Reduction::Max | Reduction::Min => {
            // Ties are counted wide: there may be more than halves can count.
            let g = g.wide();
            let attains = x.eq(y.broadcast_to(*x.shape())).cast(g.dtype());
            let axes: Vec<isize> = (0..x.rank())
                .filter(|&axis| x.shape()[axis] != y.shape()[axis])
                .map(|axis| axis as isize)
                .collect();
            let share = g / attains.sum_keepdim(&axes[..]);
            (attains * share.broadcast_to(*x.shape())).cast(x.dtype())
        }
    }
}

/// The transpose of a running sum is the running sum from the other end.
pub(super) fn scan(g: &Tensor, axis: usize, reverse: bool) -> Tensor {
    Tensor::from_op(Op::Scan { axis, reverse }, vec![g.clone()], *g.shape(), g.dtype(), g.device())
}
