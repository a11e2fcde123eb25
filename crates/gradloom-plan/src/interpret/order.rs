//! What depends on the order of elements along an axis: running sums, first extremes, sorting.

use gradloom_tensor::Shape;
use gradloom_tensor::op::ArgReduction;

use super::fault::Fault;
use super::operand::{Operands, lines};
use super::pool::first_extreme;
use super::value::{Sum, comparable};

fn require_axis(op: &str, shape: &Shape, axis: usize) -> Result<(), Fault> {
    Fault::unless(axis < shape.rank(), || format!("{op}: axis {axis} of {shape}"))
}

pub(super) fn scan(
    space: &Shape,
    axis: usize,
    reverse: bool,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    require_axis("scan", space, axis)?;
    let operand = operands.get(0)?;
    let mut result = operand.whole(*space)?;
    for mut line in lines(space, axis) {
        if reverse {
            line.reverse();
        }
        let mut sum = Sum::of(operand.dtype);
        for place in line {
            sum.add(result[place]);
            result[place] = sum.value(operand.dtype);
        }
    }
    Ok(result)
}

pub(super) fn arg_reduce(
    reduction: ArgReduction,
    input: &Shape,
    axis: usize,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    require_axis("arg_reduce", input, axis)?;
    let operand = operands.get(0)?;
    let values = comparable(operand.dtype, operand.whole(*input)?);
    let better = |a: f64, b: f64| match reduction {
        ArgReduction::Max => a > b,
        ArgReduction::Min => a < b,
    };
    let lines = lines(input, axis);
    let step = |line: &Vec<usize>| {
        let found = first_extreme(&values, line, better);
        let position = line.iter().position(|&place| Some(place) == found);
        position.map(|position| position as f64)
    };
    let nothing = || Fault::malformed(format!("arg_reduce: nothing along axis {axis} of {input}"));
    lines.iter().map(|line| step(line).ok_or_else(nothing)).collect()
}

/// Stable; NaN counts as largest.
pub(super) fn arg_sort(
    space: &Shape,
    axis: usize,
    descending: bool,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    require_axis("arg_sort", space, axis)?;
    let operand = operands.get(0)?;
    let values = comparable(operand.dtype, operand.whole(*space)?);
    let compare = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(a.is_nan().cmp(&b.is_nan()));
    let mut result = vec![0.0; values.len()];
    for line in lines(space, axis) {
        let mut order: Vec<usize> = (0..line.len()).collect();
        order.sort_by(|&a, &b| {
            let ascending = compare(values[line[a]], values[line[b]]);
            if descending { ascending.reverse() } else { ascending }
        });
        for (&place, step) in line.iter().zip(order) {
            result[place] = step as f64;
        }
    }
    Ok(result)
}
