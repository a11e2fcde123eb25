//! Errors of what picks elements: the index of a maximum, orders, windows, gathering.

use gradloom_tensor::op::{ArgReduction, Window};
use gradloom_tensor::{Op, Shape};

use super::{Arithmetic, Known, Node};
use crate::reference::lines::lines;
use crate::reference::structured::{self, pool};
use crate::reference::{coordinate, linear};

pub(super) fn errors(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    inputs: &[Known],
    values: &[f64],
) -> Vec<f64> {
    let shapes = node.shapes;
    let (data, shape) = (&inputs[0], *node.tensor.shape());
    match node.tensor.op() {
        Op::ArgReduce(reduction, axis) => {
            let sign = if *reduction == ArgReduction::Max { 1.0 } else { -1.0 };
            lines(&shapes[0], *axis, |line| vec![first_best(data, line, sign)])
        }
        Op::ArgSort { axis, .. } => lines(&shapes[0], *axis, |line| order(data, line)),
        Op::PoolMax(window) => {
            let mut errors = vec![0.0; values.len()];
            // The largest of the windows' lower and upper ends.
            let mut ends = vec![[f64::NEG_INFINITY; 2]; values.len()];
            pool(*window, &shapes[0], &shape, |x, y| {
                let (value, error) = (data.values[x], data.errors[x]);
                ends[y][0] = ends[y][0].max(value - error);
                ends[y][1] = ends[y][1].max(value + error);
                if error == f64::INFINITY {
                    errors[y] = f64::INFINITY;
                }
            });
            for (index, error) in errors.iter_mut().enumerate() {
                let value = values[index];
                if !value.is_nan() && value.is_finite() {
                    *error = error.max((ends[index][1] - value).max(value - ends[index][0]));
                }
            }
            errors
        }
        Op::PoolMaxScatter(window) => {
            let doubtful = doubtful(*window, data, &shapes[0], &shapes[1]);
            let operands = [data.values.clone(), inputs[1].errors.clone()];
            let mut errors = structured::compute(node.tensor, &operands, shapes);
            let magnitudes = std::sync::Arc::new(
                inputs[1].values.iter().map(|value| value.abs()).collect::<Vec<f64>>(),
            );
            let operands = [data.values.clone(), magnitudes];
            let total = structured::compute(node.tensor, &operands, shapes);
            let count = window.taps();
            let unit = super::unit(node.tensor.dtype());
            for (error, total) in errors.iter_mut().zip(total) {
                *error +=
                    if total.is_finite() { arithmetic.sum(count) * unit * total } else { 0.0 };
            }
            pool(*window, &shapes[0], &shapes[1], |x, y| {
                if doubtful[y] {
                    errors[x] = f64::INFINITY;
                }
            });
            errors
        }
        Op::PoolMaxGather(window) => {
            let doubtful = doubtful(*window, data, &shapes[0], &shape);
            let operands = [data.values.clone(), inputs[1].errors.clone()];
            let errors = structured::compute(node.tensor, &operands, shapes);
            let mark = |(error, doubtful)| if doubtful { f64::INFINITY } else { error };
            errors.into_iter().zip(doubtful).map(mark).collect()
        }
        Op::Gather { axis } => (0..values.len())
            .map(|position| {
                if inputs[1].errors[position] > 0.0 {
                    return f64::INFINITY;
                }
                let mut at = coordinate(&shape, position);
                at[*axis] = inputs[1].values[position] as usize;
                data.errors[linear(&shapes[0], &at)]
            })
            .collect(),
        op => unreachable!("reference: {} picks no elements", op.name()),
    }
}

/// Zero if the first best element of a line is certain.
fn first_best(data: &Known, line: &[usize], sign: f64) -> f64 {
    if line.iter().any(|&index| data.errors[index] == f64::INFINITY) {
        return f64::INFINITY;
    }
    if line.iter().any(|&index| data.values[index].is_nan()) {
        return 0.0;
    }
    let value = |index: usize| sign * data.values[index];
    let mut best = line[0];
    for &index in &line[1..] {
        if value(index) > value(best) {
            best = index;
        }
    }
    let rival = |index: usize| {
        let doubt = data.errors[index] + data.errors[best];
        index != best && doubt > 0.0 && value(index) + doubt >= value(best)
    };
    if line.iter().any(|&index| rival(index)) { f64::INFINITY } else { 0.0 }
}

/// Infinite for the whole line if rounding may exchange two of its elements.
fn order(data: &Known, line: &[usize]) -> Vec<f64> {
    let exact = line.iter().all(|&index| data.errors[index] == 0.0);
    if exact {
        return vec![0.0; line.len()];
    }
    let near = |a: usize, b: usize| {
        let doubt = data.errors[a] + data.errors[b];
        doubt > 0.0 && (doubt == f64::INFINITY || (data.values[a] - data.values[b]).abs() <= doubt)
    };
    let doubtful = |&own: &usize| line.iter().any(|&other| other != own && near(own, other));
    // One element that may move moves those between its places, too.
    let error = if line.iter().any(doubtful) { f64::INFINITY } else { 0.0 };
    vec![error; line.len()]
}

/// For each window whether rounding may decide where its maximum is.
fn doubtful(window: Window, data: &Known, input: &Shape, output: &Shape) -> Vec<bool> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); output.count()];
    pool(window, input, output, |x, y| members[y].push(x));
    members
        .iter()
        .map(|members| !members.is_empty() && first_best(data, members, 1.0) > 0.0)
        .collect()
}
