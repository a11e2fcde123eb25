//! Reductions, products, convolutions, pooling, indexing and sorting of the reference backend.

use gradloom_tensor::op::{ArgReduction, Reduction, Window};
use gradloom_tensor::{DType, Op, Shape, Tensor};

use super::lines::lines;
use super::{Values, coordinate, integers, linear, reduced_index, round};

pub(super) fn compute(tensor: &Tensor, values: &[Values], shapes: &[Shape]) -> Vec<f64> {
    let shape = *tensor.shape();
    let moves = matches!(tensor.op(), Op::Gather { .. });
    if !moves && tensor.inputs().iter().any(|input| input.dtype() == DType::I64) {
        return integers::structured(tensor, values, shapes);
    }
    let result = match tensor.op() {
        Op::Reduce(reduction, _) => reduce(*reduction, &values[0], &shapes[0], &shape),
        Op::ArgReduce(reduction, axis) => lines(&shapes[0], *axis, |line| {
            let list: Vec<f64> = line.iter().map(|&index| values[0][index]).collect();
            vec![arg_reduce(*reduction, &list) as f64]
        }),
        Op::ArgSort { axis, descending } => lines(&shapes[0], *axis, |line| {
            let mut order: Vec<usize> = (0..line.len()).collect();
            let key = |position: usize| values[0][line[position]];
            order.sort_by(|&a, &b| {
                let ascending = compare(key(a), key(b));
                if *descending { ascending.reverse() } else { ascending }
            });
            order.into_iter().map(|position| position as f64).collect()
        }),
        Op::Scan { axis, reverse } => lines(&shapes[0], *axis, |line| {
            let mut line: Vec<f64> = line.iter().map(|&index| values[0][index]).collect();
            if *reverse {
                line.reverse();
            }
            let mut sum = Sum::default();
            let running = |&value: &f64| {
                sum.add(value);
                sum.total()
            };
            let mut sums: Vec<f64> = line.iter().map(running).collect();
            if *reverse {
                sums.reverse();
            }
            sums
        }),
        Op::Matmul => matmul(&values[0], &values[1], &shapes[0], &shapes[1], &shape),
        Op::Convolution(window, groups) => {
            let mut out = sums(&shape);
            convolve(*window, *groups, &shapes[0], &shapes[1], &shape, |x, w, y| {
                out[y].add(values[0][x] * values[1][w]);
            });
            totals(&out)
        }
        Op::ConvolutionInput(window, groups) => {
            let mut out = sums(&shape);
            convolve(*window, *groups, &shape, &shapes[0], &shapes[1], |x, w, y| {
                out[x].add(values[0][w] * values[1][y]);
            });
            totals(&out)
        }
        Op::ConvolutionWeight(window, groups) => {
            let mut out = sums(&shape);
            convolve(*window, *groups, &shapes[0], &shape, &shapes[1], |x, w, y| {
                out[w].add(values[0][x] * values[1][y]);
            });
            totals(&out)
        }
        Op::PoolMax(window) => {
            let mut out = vec![f64::NEG_INFINITY; shape.count()];
            pool(*window, &shapes[0], &shape, |x, y| {
                if values[0][x].is_nan() || values[0][x] > out[y] {
                    out[y] = values[0][x];
                }
            });
            out
        }
        Op::PoolMaxScatter(window) => {
            let winners = winners(*window, &values[0], &shapes[0], &shapes[1]);
            let mut out = sums(&shape);
            for (y, winner) in winners.into_iter().enumerate() {
                if let Some(winner) = winner {
                    out[winner].add(values[1][y]);
                }
            }
            totals(&out)
        }
        Op::PoolMaxGather(window) => {
            let winners = winners(*window, &values[0], &shapes[0], &shape);
            winners
                .into_iter()
                .map(|winner| winner.map_or(0.0, |winner| values[1][winner]))
                .collect()
        }
        Op::PoolSum(window) => {
            let mut out = sums(&shape);
            pool(*window, &shapes[0], &shape, |x, y| out[y].add(values[0][x]));
            totals(&out)
        }
        Op::PoolSumScatter(window) => {
            let mut out = sums(&shape);
            pool(*window, &shape, &shapes[0], |x, y| out[x].add(values[0][y]));
            totals(&out)
        }
        Op::Gather { axis } => (0..shape.count())
            .map(|position| {
                let mut at = coordinate(&shape, position);
                at[*axis] = values[1][position] as usize;
                values[0][linear(&shapes[0], &at)]
            })
            .collect(),
        Op::ScatterAdd { axis } => {
            let mut out = sums(&shape);
            for position in 0..shapes[0].count() {
                let mut at = coordinate(&shapes[0], position);
                at[*axis] = values[0][position] as usize;
                out[linear(&shape, &at)].add(values[1][position]);
            }
            totals(&out)
        }
        op => unreachable!("reference: {} is not structured", op.name()),
    };
    if tensor.dtype().is_float() {
        return result;
    }
    result.into_iter().map(|value| round(tensor.dtype(), value)).collect()
}

/// A sum and what rounding has cut off it (Neumaier's): long sums of f64 are as exact as short ones.
#[derive(Clone, Copy, Default)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, term: f64) {
        let next = self.sum + term;
        let (large, small) =
            if self.sum.abs() >= term.abs() { (self.sum, term) } else { (term, self.sum) };
        self.lost += large - next + small;
        self.sum = next;
    }

    pub(super) fn total(&self) -> f64 {
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

fn sums(shape: &Shape) -> Vec<Sum> {
    vec![Sum::default(); shape.count()]
}

fn totals(sums: &[Sum]) -> Vec<f64> {
    sums.iter().map(Sum::total).collect()
}

fn reduce(reduction: Reduction, values: &[f64], from: &Shape, to: &Shape) -> Vec<f64> {
    let start = match reduction {
        Reduction::Sum => {
            let mut out = sums(to);
            for (index, &value) in values.iter().enumerate() {
                out[reduced_index(from, to, index)].add(value);
            }
            return totals(&out);
        }
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
    };
    let mut out = vec![start; to.count()];
    for (index, &value) in values.iter().enumerate() {
        let slot = &mut out[reduced_index(from, to, index)];
        *slot = match reduction {
            Reduction::Max if value.is_nan() || value > *slot => value,
            Reduction::Min if value.is_nan() || value < *slot => value,
            Reduction::Sum | Reduction::Max | Reduction::Min => *slot,
        };
    }
    out
}

fn arg_reduce(reduction: ArgReduction, list: &[f64]) -> usize {
    let mut best = 0;
    for position in 1..list.len() {
        let (value, champion) = (list[position], list[best]);
        let better = match reduction {
            ArgReduction::Max => value > champion,
            ArgReduction::Min => value < champion,
        };
        if !champion.is_nan() && (value.is_nan() || better) {
            best = position;
        }
    }
    best
}

/// NaN counts as largest.
fn compare(a: f64, b: f64) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

fn matmul(a: &[f64], b: &[f64], a_shape: &Shape, b_shape: &Shape, out: &Shape) -> Vec<f64> {
    let rank = out.rank();
    let (m, n, k) = (out[rank - 2], out[rank - 1], a_shape[rank - 1]);
    debug_assert_eq!(b_shape[rank - 2], k);
    let mut result = vec![0.0; out.count()];
    for (index, slot) in result.iter_mut().enumerate() {
        let (batch, row, column) = (index / (m * n), index / n % m, index % n);
        let mut sum = Sum::default();
        for i in 0..k {
            sum.add(a[(batch * m + row) * k + i] * b[(batch * k + i) * n + column]);
        }
        *slot = sum.total();
    }
    result
}

/// Calls `visit(input, weight, output)` for every product of a convolution.
fn convolve(
    window: Window,
    groups: usize,
    input: &Shape,
    weight: &Shape,
    output: &Shape,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let per_group = output[1] / groups;
    for y in 0..output.count() {
        let at = coordinate(output, y);
        for w in 0..weight.count() / weight[0] {
            let tap = coordinate(&Shape::new(&weight[1..]), w);
            let channel = at[1] / per_group * weight[1] + tap[0];
            if let Some(place) = place(&window, input, &at[2..], &tap[1..]) {
                let x = linear(input, &[&[at[0], channel], &place[..]].concat());
                visit(x, at[1] * (weight.count() / weight[0]) + w, y);
            }
        }
    }
}

/// The input position of a window's tap, if it is not padding.
fn place(window: &Window, input: &Shape, at: &[usize], tap: &[usize]) -> Option<Vec<usize>> {
    let own = window.own();
    (0..window.axes)
        .map(|axis| {
            let all = own.start + axis;
            let position = (at[axis] * window.stride[all] + tap[axis] * window.dilation[all])
                .checked_sub(window.padding[all][0])?;
            (position < input[2 + axis]).then_some(position)
        })
        .collect()
}

/// Calls `visit(input, output)` for every element of every window, in row-major order.
pub(super) fn pool(
    window: Window,
    input: &Shape,
    output: &Shape,
    mut visit: impl FnMut(usize, usize),
) {
    let kernel = Shape::new(&window.kernel[window.own()]);
    for y in 0..output.count() {
        let at = coordinate(output, y);
        for tap in 0..kernel.count() {
            let tap = coordinate(&kernel, tap);
            if let Some(place) = place(&window, input, &at[2..], &tap) {
                visit(linear(input, &[&at[..2], &place[..]].concat()), y);
            }
        }
    }
}

/// For each window the index of its first maximum.
fn winners(window: Window, x: &[f64], input: &Shape, output: &Shape) -> Vec<Option<usize>> {
    let mut winners: Vec<Option<usize>> = vec![None; output.count()];
    pool(window, input, output, |candidate, y| {
        let better = winners[y].is_none_or(|champion: usize| {
            !x[champion].is_nan() && (x[candidate].is_nan() || x[candidate] > x[champion])
        });
        if better {
            winners[y] = Some(candidate);
        }
    });
    winners
}
