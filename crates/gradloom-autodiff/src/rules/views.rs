//! Transposes of views: each moves gradients back to where elements came from.

use gradloom_tensor::op::{Axes, Op, Permutation};
use gradloom_tensor::{RANK_MAX, Shape, Tensor};

fn view(op: Op, g: &Tensor, shape: Shape) -> Tensor {
    if *g.shape() == shape && matches!(op, Op::Slice { .. } | Op::Pad { .. } | Op::Reshape) {
        return g.clone();
    }
    Tensor::from_op(op, vec![g.clone()], shape, g.dtype(), g.device())
}

pub(super) fn permute(g: &Tensor, permutation: Permutation) -> Tensor {
    let shape = permutation.iter().map(|axis| g.shape()[axis]).collect();
    view(Op::Permute(permutation), g, shape)
}

pub(super) fn flip(g: &Tensor, axes: Axes) -> Tensor {
    view(Op::Flip(axes), g, *g.shape())
}

/// Sums over the axes that an expansion repeated.
pub(super) fn sum_to(g: &Tensor, operand: &Tensor) -> Tensor {
    let axes: Vec<isize> = (0..g.rank())
        .filter(|&axis| g.shape()[axis] != operand.shape()[axis])
        .map(|axis| axis as isize)
        .collect();
    g.sum_keepdim(&axes[..])
}

/// Puts gradients back at every `step`-th place from `start`.
pub(super) fn unslice(
    g: &Tensor,
    starts: &[usize; RANK_MAX],
    steps: &[usize; RANK_MAX],
    shape: &Shape,
) -> Tensor {
    let mut spread = g.clone();
    for axis in 0..shape.rank() {
        let size = spread.shape()[axis];
        if steps[axis] > 1 && size > 0 {
            spread = dilate(&spread, axis, steps[axis]);
        }
    }
    // A dilated axis may reach past the end by up to a step; its surplus is zeros.
    let fitting: Shape = (0..shape.rank())
        .map(|axis| spread.shape()[axis].min(shape[axis] - starts[axis]))
        .collect();
    let none = Op::Slice { starts: [0; RANK_MAX], steps: [1; RANK_MAX] };
    let fitted = view(none, &spread, fitting);
    view(Op::Pad { before: *starts }, &fitted, *shape)
}

/// Zeros between elements: `[a, b] -> [a, 0, b, 0]` for step 2.
fn dilate(g: &Tensor, axis: usize, step: usize) -> Tensor {
    let (before, after) = (&g.shape()[..=axis], &g.shape()[axis + 1..]);
    // Where there is no room for one more axis, those on both sides are one.
    let [before, after] = match g.rank() < RANK_MAX {
        true => [before.to_vec(), after.to_vec()],
        false => [before, after].map(|sizes| vec![sizes.iter().product()]),
    };
    let apart = |between: usize| -> Shape {
        before.iter().copied().chain([between]).chain(after.iter().copied()).collect()
    };
    let split = view(Op::Reshape, g, apart(1));
    let padded = view(Op::Pad { before: [0; RANK_MAX] }, &split, apart(step));
    view(Op::Reshape, &padded, g.shape().with(axis, g.shape()[axis] * step))
}

pub(super) fn unpad(g: &Tensor, before: &[usize; RANK_MAX], shape: &Shape) -> Tensor {
    view(Op::Slice { starts: *before, steps: [1; RANK_MAX] }, g, *shape)
}

pub(super) fn unconcat(
    g: &Tensor,
    operands: &[Tensor],
    axis: usize,
    needs: &[bool],
) -> Vec<Option<Tensor>> {
    let mut start = 0;
    operands
        .iter()
        .zip(needs)
        .map(|(operand, &needed)| {
            let mut starts = [0; RANK_MAX];
            starts[axis] = start;
            start += operand.shape()[axis];
            needed.then(|| view(Op::Slice { starts, steps: [1; RANK_MAX] }, g, *operand.shape()))
        })
        .collect()
}
