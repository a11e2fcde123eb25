//! References of the kinds with a shape of their own, straight from their definitions.

use gradloom_plan::{Convolution, KernelKind, Pool, View};
use gradloom_tensor::Shape;
use gradloom_tensor::op::{ArgReduction, Window2d};

use crate::harness::Case;
use crate::reference::for_each;

/// What the kind itself computes, before its epilogue.
pub(crate) fn reference(case: &Case, kind: &KernelKind) -> Vec<f64> {
    let inputs = &case.inputs;
    let shape = case.kernel.space.shape;
    match kind {
        KernelKind::Convolution(convolution)
        | KernelKind::ConvolutionInput(convolution)
        | KernelKind::ConvolutionWeight(convolution) => convolve(case, kind, convolution),
        KernelKind::PoolMax(pool)
        | KernelKind::PoolMaxScatter(pool)
        | KernelKind::PoolMaxGather(pool)
        | KernelKind::PoolSum(pool)
        | KernelKind::PoolSumScatter(pool) => pool_kinds(case, kind, pool),
        KernelKind::Gather { data, axis, index } => {
            let mut result = Vec::new();
            for_each(&shape, |coordinate| {
                let mut source = coordinate.to_vec();
                source[*axis] = inputs[1][index.element(coordinate).unwrap()] as usize;
                result.push(inputs[0][linear(data, &source)]);
            });
            result
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            let mut result = vec![0.0; shape.count()];
            for_each(&updates.shape, |coordinate| {
                let target = index.element(coordinate).map_or(0.0, |at| inputs[0][at]);
                if target >= 0.0 && (target as usize) < shape[*axis] {
                    let mut place = coordinate.to_vec();
                    place[*axis] = target as usize;
                    result[linear(&shape, &place)] +=
                        updates.element(coordinate).map_or(0.0, |at| inputs[1][at]);
                }
            });
            result
        }
        KernelKind::Scan { axis, reverse } => scan(&inputs[0], &shape, *axis, *reverse),
        KernelKind::ArgReduce { reduction, input, axis } => {
            let mut result = Vec::new();
            for_each(&shape, |coordinate| {
                let values = along(&inputs[0], input, coordinate, *axis);
                let better = |a: f64, b: f64| match reduction {
                    ArgReduction::Max => a > b || a.is_nan() && !b.is_nan(),
                    ArgReduction::Min => a < b || a.is_nan() && !b.is_nan(),
                };
                let mut best = 0;
                for place in 1..values.len() {
                    if better(values[place], values[best]) {
                        best = place;
                    }
                }
                result.push(best as f64);
            });
            result
        }
        KernelKind::ArgSort { axis, descending } => sort(&inputs[0], &shape, *axis, *descending),
        KernelKind::Concat { axis, parts } => {
            let mut result = Vec::new();
            for_each(&shape, |coordinate| {
                let mut source = coordinate.to_vec();
                let mut part = 0;
                while source[*axis] >= parts[part][*axis] {
                    source[*axis] -= parts[part][*axis];
                    part += 1;
                }
                result.push(inputs[part][linear(&parts[part], &source)]);
            });
            result
        }
        KernelKind::Write { .. } => Vec::new(),
        KernelKind::Dequantize(_)
        | KernelKind::QuantizedMatmul { .. }
        | KernelKind::QuantizedRows { .. }
        | KernelKind::Attention { .. } => crate::sequences::reference(case, kind),
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row | KernelKind::Matmul { .. } => {
            unreachable!("handled by the interpreter")
        }
    }
}

fn linear(shape: &Shape, coordinate: &[usize]) -> usize {
    View::contiguous(*shape).element(coordinate).unwrap()
}

/// The elements along one axis through a coordinate.
fn along(data: &[f64], shape: &Shape, coordinate: &[usize], axis: usize) -> Vec<f64> {
    let mut at = coordinate.to_vec();
    (0..shape[axis])
        .map(|place| {
            at[axis] = place;
            data[linear(shape, &at)]
        })
        .collect()
}

fn scan(data: &[f64], shape: &Shape, axis: usize, reverse: bool) -> Vec<f64> {
    let mut result = Vec::new();
    for_each(shape, |coordinate| {
        let values = along(data, shape, coordinate, axis);
        let k = coordinate[axis];
        let part = if reverse { &values[k..] } else { &values[..=k] };
        result.push(part.iter().sum());
    });
    result
}

fn sort(data: &[f64], shape: &Shape, axis: usize, descending: bool) -> Vec<f64> {
    let mut result = Vec::new();
    for_each(shape, |coordinate| {
        let values = along(data, shape, coordinate, axis);
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (values[a], values[b]);
            let ascending = match (a.is_nan(), b.is_nan()) {
                (false, false) => a.partial_cmp(&b).unwrap(),
                (a, b) => a.cmp(&b),
            };
            if descending { ascending.reverse() } else { ascending }
        });
        result.push(order[coordinate[axis]] as f64);
    });
    result
}

/// Calls `visit(window coordinate, kernel coordinate, input coordinate)` where windows meet the input.
fn for_each_tap(
    window: &Window2d,
    input: [usize; 2],
    output: [usize; 2],
    mut visit: impl FnMut([usize; 2], [usize; 2], [usize; 2]),
) {
    let all = Shape::new(&[output[0], output[1], window.kernel[0], window.kernel[1]]);
    for_each(&all, |c| {
        let at = |axis: usize| {
            (c[axis] * window.stride[axis] + c[axis + 2] * window.dilation[axis])
                .checked_sub(window.padding[axis][0])
                .filter(|&place| place < input[axis])
        };
        if let (Some(y), Some(x)) = (at(0), at(1)) {
            visit([c[0], c[1]], [c[2], c[3]], [y, x]);
        }
    });
}

fn convolve(case: &Case, kind: &KernelKind, convolution: &Convolution) -> Vec<f64> {
    let Convolution { window, groups, batch, channels, outputs, input_size, output_size } =
        *convolution;
    let (group_in, group_out) = (channels / groups, outputs / groups);
    let input_shape = Shape::new(&[batch, channels, input_size[0], input_size[1]]);
    let output_shape = Shape::new(&[batch, outputs, output_size[0], output_size[1]]);
    let weight_shape = Shape::new(&[outputs, group_in, window.kernel[0], window.kernel[1]]);
    let mut result = vec![0.0; case.kernel.space.shape.count()];
    let (first, second) = (&case.inputs[0], &case.inputs[1]);
    for n in 0..batch {
        for o in 0..outputs {
            for c in 0..group_in {
                let channel = o / group_out * group_in + c;
                for_each_tap(&window, input_size, output_size, |place, tap, source| {
                    let input = linear(&input_shape, &[n, channel, source[0], source[1]]);
                    let weight = linear(&weight_shape, &[o, c, tap[0], tap[1]]);
                    let output = linear(&output_shape, &[n, o, place[0], place[1]]);
                    match kind {
                        KernelKind::ConvolutionInput(_) => {
                            result[input] += first[weight] * second[output];
                        }
                        KernelKind::ConvolutionWeight(_) => {
                            result[weight] += first[input] * second[output];
                        }
                        _ => result[output] += first[input] * second[weight],
                    }
                });
            }
        }
    }
    result
}

fn pool_kinds(case: &Case, kind: &KernelKind, pool: &Pool) -> Vec<f64> {
    let Pool { window, planes, input_size, output_size } = *pool;
    let inputs = Shape::new(&[planes, input_size[0], input_size[1]]);
    let outputs = Shape::new(&[planes, output_size[0], output_size[1]]);
    let mut result = vec![0.0; case.kernel.space.shape.count()];
    let data = &case.inputs[0];
    for plane in 0..planes {
        // The first maximum of each window.
        let mut winners: Vec<Option<usize>> = vec![None; output_size[0] * output_size[1]];
        for_each_tap(&window, input_size, output_size, |place, _, source| {
            let input = linear(&inputs, &[plane, source[0], source[1]]);
            let output = linear(&outputs, &[plane, place[0], place[1]]);
            let winner = &mut winners[place[0] * output_size[1] + place[1]];
            match kind {
                KernelKind::PoolSum(_) => result[output] += data[input],
                KernelKind::PoolSumScatter(_) => result[input] += data[output],
                _ => {
                    let better = winner.is_none_or(|best: usize| {
                        data[input] > data[best] || data[input].is_nan() && !data[best].is_nan()
                    });
                    if better {
                        *winner = Some(input);
                    }
                }
            }
        });
        for (place, winner) in winners.iter().enumerate() {
            let output = plane * winners.len() + place;
            match (kind, winner) {
                (KernelKind::PoolMax(_), Some(at)) => result[output] = data[*at],
                (KernelKind::PoolMax(_), None) => result[output] = f64::NEG_INFINITY,
                (KernelKind::PoolMaxGather(_), Some(at)) => result[output] = case.inputs[1][*at],
                (KernelKind::PoolMaxScatter(_), Some(at)) => {
                    result[*at] += case.inputs[1][output];
                }
                _ => {}
            }
        }
    }
    result
}
