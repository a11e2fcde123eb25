//! Views and concatenation of the reference backend.

use gradloom_tensor::{Op, Shape, Tensor};

use super::{Values, coordinate, linear};

pub(super) fn compute(tensor: &Tensor, values: &[Values], shapes: &[Shape]) -> Vec<f64> {
    let shape = *tensor.shape();
    (0..shape.count())
        .map(|index| {
            let at = coordinate(&shape, index);
            source(tensor.op(), shapes, &at)
                .map_or(0.0, |(operand, from)| values[operand][linear(&shapes[operand], &from)])
        })
        .collect()
}

/// Which operand's element stands at a coordinate; none where padding is.
fn source(op: &Op, shapes: &[Shape], at: &[usize]) -> Option<(usize, Vec<usize>)> {
    let mut from = at.to_vec();
    match op {
        Op::Permute(permutation) => {
            for (position, axis) in permutation.iter().enumerate() {
                from[axis] = at[position];
            }
        }
        Op::Expand => {
            for (axis, position) in from.iter_mut().enumerate() {
                *position %= shapes[0][axis];
            }
        }
        Op::Slice { starts, steps } => {
            for (axis, position) in from.iter_mut().enumerate() {
                *position = starts[axis] + *position * steps[axis];
            }
        }
        Op::Pad { before } => {
            for (axis, position) in from.iter_mut().enumerate() {
                *position = position.checked_sub(before[axis])?;
                if *position >= shapes[0][axis] {
                    return None;
                }
            }
        }
        Op::Flip(axes) => {
            for axis in axes.iter() {
                from[axis] = shapes[0][axis] - 1 - at[axis];
            }
        }
        Op::Concat { axis } => {
            for (operand, shape) in shapes.iter().enumerate() {
                if from[*axis] < shape[*axis] {
                    return Some((operand, from));
                }
                from[*axis] -= shape[*axis];
            }
            return None;
        }
        _ => return None,
    }
    Some((0, from))
}
