//! Errors of sums and of products that are summed.
//!
//! Both are linear in each operand, so the op itself, applied to magnitudes and errors, gives what
//! errors become and how much is added up.

use std::sync::Arc;

use gradloom_tensor::op::Reduction;
use gradloom_tensor::{DType, Op, Shape, Tensor};

use super::{Arithmetic, Known, Node, SIGN_OPEN, Values, at_least, unit};
use crate::reference::structured;

pub(super) fn errors(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    inputs: &[Known],
    values: &[f64],
) -> Vec<f64> {
    let exact = inputs.iter().all(|input| input.errors.iter().all(|&error| error == 0.0));
    let extreme = matches!(node.tensor.op(), Op::Reduce(Reduction::Max | Reduction::Min, _));
    if extreme && node.tensor.dtype() != DType::I64 {
        return extremum(node, inputs, values);
    }
    if !node.tensor.dtype().is_float() {
        return vec![if exact { 0.0 } else { f64::INFINITY }; values.len()];
    }
    let magnitudes: Vec<Values> = inputs.iter().map(|input| magnitude(&input.values)).collect();
    let run = |operands: &[Values]| structured::compute(node.tensor, operands, node.shapes);
    let errors: Vec<Values> = inputs.iter().map(|input| input.errors.clone()).collect();
    let (total, propagated) = match node.tensor.op() {
        // The index is no summand.
        Op::ScatterAdd { .. } => {
            let index = &inputs[0];
            if index.errors.iter().any(|&error| error > 0.0) {
                return vec![f64::INFINITY; values.len()];
            }
            let at = |updates: &Values| run(&[index.values.clone(), updates.clone()]);
            (at(&magnitudes[1]), vec![at(&errors[1])])
        }
        Op::Matmul | Op::Convolution(..) | Op::ConvolutionInput(..) | Op::ConvolutionWeight(..) => {
            let pair = |a: &Values, b: &Values| run(&[a.clone(), b.clone()]);
            let propagated = match exact {
                true => Vec::new(),
                false => vec![
                    pair(&errors[0], &magnitudes[1]),
                    pair(&magnitudes[0], &errors[1]),
                    pair(&errors[0], &errors[1]),
                ],
            };
            (pair(&magnitudes[0], &magnitudes[1]), propagated)
        }
        _ => (run(&magnitudes), vec![run(&errors)]),
    };
    let certain = |input: &Known| all_finite(&input.values) && all_finite(&input.errors);
    if pads(node.tensor.op()) && !inputs.iter().all(certain) {
        // Whether padding is multiplied (with an infinity it gives NaN) or skipped is left open.
        return vec![f64::INFINITY; values.len()];
    }
    let roundings = match node.tensor.op() {
        Op::Matmul | Op::Convolution(..) | Op::ConvolutionInput(..) | Op::ConvolutionWeight(..) => {
            arithmetic.products(terms(node))
        }
        _ => arithmetic.sum(terms(node)),
    };
    let grain: f64 = summands(node, inputs).map(|input| grain(&input.values)).product();
    let dtype = node.tensor.dtype();
    let blocks = node.operands.iter().any(is_in_blocks);
    // Each element of the other operand is off by a share of the largest of its 32.
    let of_blocks = blocks.then(|| match node.tensor.op() {
        Op::Matmul if is_in_blocks(&node.operands[1]) => {
            run(&[largest_of_blocks(&magnitudes[0], node.shapes[0]), magnitudes[1].clone()])
        }
        _ => total.clone(),
    });
    (0..values.len())
        .map(|index| {
            let propagated: f64 = propagated.iter().map(|part| part[index]).sum();
            let limit = if dtype == DType::F64 { f64::MAX } else { f64::from(f32::MAX) };
            if total[index] > limit {
                return f64::INFINITY;
            }
            if !values[index].is_finite() {
                // A factor that may as well be zero makes a NaN of an infinity.
                return if exact { 0.0 } else { f64::INFINITY };
            }
            if let Some(of_blocks) = &of_blocks {
                let share = arithmetic.blocks();
                return propagated + share * (total[index] + of_blocks[index]);
            }
            let open = if values[index] == 0.0 { SIGN_OPEN } else { 0.0 };
            // Whole multiples of one grain below 2^24 of it add up without rounding in any order.
            if exact && total[index] <= grain / unit(DType::F32) {
                return open;
            }
            at_least(propagated + roundings * unit(dtype) * total[index], open)
        })
        .collect()
}

/// True for windows that reach beyond what they are moved over. The transposed ones always may.
fn pads(op: &Op) -> bool {
    match op {
        Op::Convolution(window, _) => window.pads(),
        Op::ConvolutionInput(..) | Op::ConvolutionWeight(..) => true,
        _ => false,
    }
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

fn magnitude(values: &Values) -> Values {
    let size = |&value: &f64| if value.is_finite() { value.abs() } else { 0.0 };
    Arc::new(values.iter().map(size).collect())
}

fn summands<'a>(node: &Node<'_>, inputs: &'a [Known]) -> impl Iterator<Item = &'a Known> {
    let skipped = usize::from(matches!(node.tensor.op(), Op::ScatterAdd { .. }));
    inputs.iter().skip(skipped)
}

/// The largest of each 32 neighbours along the last axis, in the place of each of them.
fn largest_of_blocks(values: &Values, shape: Shape) -> Values {
    let columns = shape.iter().last().copied().unwrap_or(1).max(1);
    let rows = values.chunks(columns).flat_map(|row| row.chunks(32));
    let largest = |block: &[f64]| {
        let largest = block.iter().fold(0.0, |largest: f64, &value| largest.max(value));
        vec![largest; block.len()]
    };
    Arc::new(rows.flat_map(largest).collect())
}

/// The largest power of two of which all values are multiples.
fn grain(values: &[f64]) -> f64 {
    let exponent = |&value: &f64| {
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let zeros = if fraction == 0 { 52 } else { fraction.trailing_zeros() as i32 };
        exponent - 1023 - 52 + zeros
    };
    let numbers = values.iter().filter(|value| value.is_finite() && **value != 0.0);
    2f64.powi(numbers.map(exponent).min().unwrap_or(0))
}

/// How many terms one result adds up, at most.
fn terms(node: &Node<'_>) -> usize {
    let shapes = node.shapes;
    match node.tensor.op() {
        Op::Reduce(_, axes) => axes.iter().map(|axis| shapes[0][axis]).product(),
        Op::Scan { axis, .. } | Op::ScatterAdd { axis } => shapes[0][*axis],
        Op::Matmul => shapes[0][shapes[0].rank() - 1],
        Op::Convolution(window, _) => shapes[1][1] * window.taps(),
        Op::ConvolutionInput(window, _) => shapes[0][0] * window.taps(),
        Op::ConvolutionWeight(..) => shapes[1].count() / shapes[1][1].max(1),
        Op::PoolSum(window) | Op::PoolSumScatter(window) => window.taps(),
        op => unreachable!("reference: {} is no sum", op.name()),
    }
}

/// True for a matrix in blocks, or rows of several, or a view of them.
fn is_in_blocks(tensor: &Tensor) -> bool {
    match tensor.op() {
        Op::Dequantize(_) => true,
        Op::Permute(_) | Op::Reshape | Op::Concat { .. } => {
            tensor.inputs().iter().any(is_in_blocks)
        }
        _ => false,
    }
}

/// The largest (least) of upper and of lower ends.
fn extremum(node: &Node<'_>, inputs: &[Known], values: &[f64]) -> Vec<f64> {
    let input = &inputs[0];
    let ends = |sign: f64| {
        let moved = input.values.iter().zip(input.errors.iter());
        let end = |(&value, &error): (&f64, &f64)| match error == f64::INFINITY {
            true => sign * error,
            false => value + sign * error,
        };
        let moved = Arc::new(moved.map(end).collect());
        structured::compute(node.tensor, &[moved], node.shapes)
    };
    let (low, high) = (ends(-1.0), ends(1.0));
    (0..values.len())
        .map(|index| {
            let same = |end: f64| end == values[index] || (end.is_nan() && values[index].is_nan());
            if same(low[index]) && same(high[index]) {
                return 0.0;
            }
            let far = (high[index] - values[index]).max(values[index] - low[index]);
            if far.is_nan() { f64::INFINITY } else { far }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use gradloom_tensor::{BlockFormat, DType, Tensor};

    use crate::reference::{Arithmetic, bounded, elements_and_errors};

    #[test]
    fn sums_of_a_matrix_in_blocks_have_bounds() {
        let device = bounded(Arithmetic::Host);
        let matrix = Tensor::ones([2, 32], DType::F32, &device);
        let sum = matrix.quantize(BlockFormat::Q8_0).unwrap().sum(..);
        let (values, errors) = elements_and_errors(&sum).unwrap();
        assert!((values[0] - 64.0).abs() <= errors[0] && errors[0] < 1.0, "{values:?} {errors:?}");
    }
}
