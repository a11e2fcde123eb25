//! Pooling, gather, scatter, scans, arg-reductions, sorting and joining.

use gradloom_plan::{KernelKind, Pool, View};
use gradloom_tensor::op::{ArgReduction, Binary, Permutation, Window2d};
use gradloom_tensor::{DType, Shape};

use super::oracle::{coordinate, elements, wrap};
use super::{Case, integers, numbers};

fn linear(shape: &[usize], coordinate: &[usize]) -> usize {
    shape.iter().zip(coordinate).fold(0, |index, (&size, &at)| index * size + at)
}

/// The positions of an output's window in its plane, in row-major order.
fn window_positions(pool: &Pool, output: usize) -> Vec<usize> {
    let (window, [height, width]) = (&pool.window, pool.input_size);
    let (oy, ox) = (output / pool.output_size[1], output % pool.output_size[1]);
    let mut positions = Vec::new();
    for ky in 0..window.kernel[0] {
        for kx in 0..window.kernel[1] {
            let y = (oy * window.stride[0] + ky * window.dilation[0])
                .wrapping_sub(window.padding[0][0]);
            let x = (ox * window.stride[1] + kx * window.dilation[1])
                .wrapping_sub(window.padding[1][0]);
            if y < height && x < width {
                positions.push(y * width + x);
            }
        }
    }
    positions
}

fn first_best(values: &[f64], positions: &[usize], larger: bool) -> usize {
    let mut best = positions[0];
    for &position in positions {
        let (a, b) = (values[position], values[best]);
        let better = if larger { a > b } else { a < b };
        if !b.is_nan() && (a.is_nan() || better) {
            best = position;
        }
    }
    best
}

/// The kernel's own result by definition.
pub(crate) fn reference(case: &Case) -> Vec<f64> {
    let shape = case.kernel.space.shape;
    let mut out = vec![0.0; shape.count()];
    let inputs = &case.inputs;
    let pooled = |pool: &Pool, visit: &mut dyn FnMut(usize, usize, usize, &[usize])| {
        let (area, out_area) =
            (pool.input_size[0] * pool.input_size[1], pool.output_size[0] * pool.output_size[1]);
        for plane in 0..pool.planes {
            for output in 0..out_area {
                let positions = window_positions(pool, output);
                visit(plane * area, plane * out_area + output, output, &positions);
            }
        }
    };
    match &case.kernel.kind {
        KernelKind::PoolMax(pool) => pooled(pool, &mut |plane, output, _, positions| {
            out[output] = inputs[0][plane + first_best(&inputs[0][plane..], positions, true)];
        }),
        KernelKind::PoolMaxScatter(pool) => pooled(pool, &mut |plane, output, _, positions| {
            let best = first_best(&inputs[0][plane..], positions, true);
            out[plane + best] += inputs[1][output];
        }),
        KernelKind::PoolMaxGather(pool) => pooled(pool, &mut |plane, output, _, positions| {
            let best = first_best(&inputs[0][plane..], positions, true);
            out[output] = inputs[1][plane + best];
        }),
        KernelKind::PoolSum(pool) => pooled(pool, &mut |plane, output, _, positions| {
            out[output] = positions.iter().map(|position| inputs[0][plane + position]).sum();
        }),
        KernelKind::PoolSumScatter(pool) => pooled(pool, &mut |plane, output, _, positions| {
            for position in positions {
                out[plane + position] += inputs[0][output];
            }
        }),
        KernelKind::Gather { data, axis, index } => {
            let index = elements(index, &inputs[1]);
            for (position, slot) in out.iter_mut().enumerate() {
                let mut at = coordinate(&shape, position);
                at[*axis] = index[position] as usize;
                *slot = inputs[0][linear(data, &at)];
            }
        }
        KernelKind::ScatterAdd { axis, index, updates } => {
            let targets = elements(index, &inputs[0]);
            for (position, update) in elements(updates, &inputs[1]).into_iter().enumerate() {
                let mut at = coordinate(&updates.shape, position);
                at[*axis] = targets[position] as usize;
                out[linear(&shape, &at)] += update;
            }
        }
        KernelKind::Scan { axis, reverse } => {
            for position in 0..out.len() {
                let at = coordinate(&shape, position);
                let range = if *reverse { at[*axis]..shape[*axis] } else { 0..at[*axis] + 1 };
                let sum = range.map(|step| {
                    let mut at = at.clone();
                    at[*axis] = step;
                    inputs[0][linear(&shape, &at)]
                });
                out[position] = wrap(case.kernel.inputs[0].dtype, sum.sum());
            }
        }
        KernelKind::ArgReduce { reduction, input, axis } => {
            for (position, slot) in out.iter_mut().enumerate() {
                let mut at = coordinate(&shape, position);
                let values: Vec<f64> = (0..input[*axis])
                    .map(|step| {
                        at[*axis] = step;
                        inputs[0][linear(input, &at)]
                    })
                    .collect();
                let all: Vec<usize> = (0..values.len()).collect();
                *slot = first_best(&values, &all, *reduction == ArgReduction::Max) as f64;
            }
        }
        KernelKind::ArgSort { axis, descending } => {
            for position in 0..out.len() {
                let at = coordinate(&shape, position);
                if at[*axis] != 0 {
                    continue;
                }
                let place = |step: usize| {
                    let mut at = at.clone();
                    at[*axis] = step;
                    linear(&shape, &at)
                };
                let key = |step: usize| {
                    let value = inputs[0][place(step)];
                    (value.is_nan(), if value.is_nan() { 0.0 } else { value })
                };
                let mut order: Vec<usize> = (0..shape[*axis]).collect();
                order.sort_by(|&a, &b| {
                    let order = key(a).partial_cmp(&key(b)).expect("no NaN is left");
                    if *descending { order.reverse() } else { order }
                });
                for (step, value) in order.into_iter().enumerate() {
                    out[place(step)] = value as f64;
                }
            }
        }
        KernelKind::Concat { axis, parts } => {
            for (position, slot) in out.iter_mut().enumerate() {
                let mut at = coordinate(&shape, position);
                let mut part = 0;
                while at[*axis] >= parts[part][*axis] {
                    at[*axis] -= parts[part][*axis];
                    part += 1;
                }
                *slot = inputs[part][linear(&parts[part], &at)];
            }
        }
        other => panic!("not structured: {other:?}"),
    }
    out
}

/// Adds an epilogue (or none) and checks.
#[track_caller]
fn finish(mut case: Case, dtype: DType, epilogue: bool) {
    let value = case.accumulator(dtype);
    if epilogue {
        let other = case.whole(dtype, integers(9, case.kernel.space.shape.count(), 0, 2));
        let sum = case.binary(Binary::Maximum, value, other);
        case.output(sum);
    } else {
        case.output(value);
    }
    case.check();
}

fn pools() -> Vec<Pool> {
    let window = |kernel: [usize; 2], stride, padding, dilation| Window2d {
        kernel,
        stride,
        padding,
        dilation,
    };
    let pool = |planes, input_size, window: Window2d| Pool {
        window,
        planes,
        input_size,
        output_size: window.output(input_size).expect("windows fit"),
    };
    vec![
        pool(64, [26, 26], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
        pool(5, [7, 9], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
        pool(3, [10, 40], window([3, 3], [2, 2], [[1, 1], [1, 1]], [1, 1])),
        pool(4, [8, 9], window([3, 2], [1, 1], [[0, 1], [1, 0]], [1, 2])),
        pool(2, [9, 9], window([9, 9], [1, 1], [[0; 2]; 2], [1, 1])),
        pool(0, [4, 4], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
    ]
}

#[test]
fn pooling_and_its_transposes() {
    for dtype in [DType::F32, DType::F16, DType::I32] {
        for pool in pools() {
            let [height, width] = pool.input_size;
            let [out_height, out_width] = pool.output_size;
            let input = [1, pool.planes, height, width];
            let output = [1, pool.planes, out_height, out_width];
            let kinds = [
                (KernelKind::PoolMax(pool), vec![input], output),
                (KernelKind::PoolMaxScatter(pool), vec![input, output], input),
                (KernelKind::PoolMaxGather(pool), vec![input, input], output),
                (KernelKind::PoolSum(pool), vec![input], output),
                (KernelKind::PoolSumScatter(pool), vec![output], input),
            ];
            for (kind, operands, space) in kinds {
                for epilogue in [false, true] {
                    let mut case = Case::new(kind.clone(), &space, 4);
                    case.tolerance = 1e-5;
                    for (seed, shape) in operands.iter().enumerate() {
                        // Few distinct values, so that maxima are not unique.
                        let mut values = integers(seed as u32, shape.iter().product(), -3, 4);
                        if dtype == DType::F32 && values.len() > 50 {
                            values[20] = f64::NAN;
                            values[21] = f64::NAN;
                        }
                        case.input(dtype, values);
                    }
                    finish(case, dtype, epilogue);
                }
            }
        }
    }
}

#[test]
fn gather_rows_and_elements() {
    for dtype in [DType::F32, DType::F16, DType::Bool, DType::F64] {
        // Data, axis, index shape, and the axes along which the index is expanded.
        let cases: [(&[usize], usize, &[usize], &[usize]); 6] = [
            (&[50, 64], 0, &[300, 64], &[1]),
            (&[50, 64], 0, &[7, 64], &[]),
            (&[6, 50], 1, &[6, 1], &[]),
            (&[3, 20, 4, 5], 1, &[3, 9, 4, 5], &[2, 3]),
            (&[3, 20, 4, 5], 1, &[3, 9, 4, 5], &[3]),
            (&[4, 5], 0, &[0, 5], &[]),
        ];
        for (data, axis, shape, expanded) in cases {
            let kept: Vec<usize> = (0..shape.len())
                .map(|axis| if expanded.contains(&axis) { 1 } else { shape[axis] })
                .collect();
            let index = View::contiguous(Shape::new(&kept)).expand(Shape::new(shape));
            let kind = KernelKind::Gather { data: Shape::new(data), axis, index };
            for epilogue in [false, true] {
                let mut case = Case::new(kind.clone(), shape, shape.len());
                let values = integers(1, data.iter().product(), 0, 2);
                case.input(dtype, values);
                let count = kept.iter().product();
                case.input(DType::I32, integers(2, count, 0, data[axis] as i64));
                finish(case, dtype, epilogue && dtype != DType::Bool);
            }
        }
    }
}

#[test]
fn scatter_adds_in_order() {
    for dtype in [DType::F32, DType::F16, DType::I32] {
        let cases: [(&[usize], usize, &[usize], &[usize]); 5] = [
            (&[50, 64], 0, &[3000, 64], &[1]),
            (&[50, 64], 0, &[30, 64], &[]),
            (&[6, 50], 1, &[6, 1], &[]),
            (&[3, 20, 4, 5], 1, &[3, 90, 4, 5], &[2, 3]),
            (&[4, 5], 0, &[0, 5], &[]),
        ];
        for (result, axis, shape, expanded) in cases {
            let kept: Vec<usize> = (0..shape.len())
                .map(|axis| if expanded.contains(&axis) { 1 } else { shape[axis] })
                .collect();
            let index = View::contiguous(Shape::new(&kept)).expand(Shape::new(shape));
            let updates = View::contiguous(Shape::new(shape));
            let reversed = updates.flip([0].into_iter().collect());
            for updates in [updates, reversed] {
                let kind = KernelKind::ScatterAdd { axis, index, updates };
                let mut case = Case::new(kind, result, result.len());
                case.tolerance = 1e-5;
                let count = kept.iter().product();
                case.input(DType::I32, integers(2, count, 0, result[axis] as i64));
                let count = shape.iter().product();
                let values =
                    if dtype == DType::I32 { integers(1, count, -5, 5) } else { numbers(1, count) };
                case.input(dtype, values);
                finish(case, dtype, dtype == DType::F32);
            }
        }
    }
}

#[test]
fn running_sums_both_ways() {
    for (shape, axis) in [([5, 7, 9], 0), ([5, 7, 9], 1), ([5, 7, 9], 2), ([1, 1000, 50], 1)] {
        for reverse in [false, true] {
            for dtype in [DType::F32, DType::BF16, DType::I32] {
                let mut case = Case::new(KernelKind::Scan { axis, reverse }, &shape, 3);
                case.tolerance = 1e-5;
                case.input(dtype, integers(1, shape.iter().product(), -3, 4));
                finish(case, dtype, false);
            }
        }
    }
}

#[test]
fn first_extremes() {
    for (shape, axis) in [([6, 70, 9], 1), ([600, 10, 1], 1), ([2, 3, 5000], 2), ([4, 1, 3], 0)] {
        for reduction in [ArgReduction::Max, ArgReduction::Min] {
            for dtype in [DType::F32, DType::F16, DType::I32, DType::U8] {
                let input = Shape::new(&shape);
                let kind = KernelKind::ArgReduce { reduction, input, axis };
                let mut case = Case::new(kind, &input.with(axis, 1), 3);
                let mut values = integers(1, input.count(), 0, 30);
                if dtype.is_float() {
                    values[7] = f64::NAN;
                    values[11] = f64::NAN;
                }
                case.input(dtype, values);
                finish(case, DType::I32, false);
            }
        }
    }
}

#[test]
fn sorting_is_stable_with_nan_last() {
    for (shape, axis) in [([6, 70, 9], 1), ([3, 5, 700], 2), ([40, 1, 3], 0)] {
        for descending in [false, true] {
            for dtype in [DType::F32, DType::F64, DType::I32, DType::U8] {
                let kind = KernelKind::ArgSort { axis, descending };
                let mut case = Case::new(kind, &shape, 3);
                let mut values = integers(1, shape.iter().product(), 0, 30);
                if dtype.is_float() {
                    values[7] = f64::NAN;
                    values[11] = f64::NAN;
                    values[13] = -0.0;
                }
                case.input(dtype, values);
                finish(case, DType::I32, false);
            }
        }
    }
}

#[test]
fn operands_one_after_another() {
    for dtype in [DType::F32, DType::U8, DType::F16] {
        for axis in 0..3 {
            let base = Shape::new(&[4, 30, 50]);
            let parts: Vec<Shape> =
                [3, 0, 1, 40].into_iter().map(|size| base.with(axis, size)).collect();
            let shape = base.with(axis, 44);
            let mut case = Case::new(KernelKind::Concat { axis, parts: parts.clone() }, &shape, 3);
            for (seed, part) in parts.iter().enumerate() {
                case.input(dtype, integers(seed as u32, part.count(), 0, 100));
            }
            finish(case, dtype, axis == 1);
        }
    }
}

#[test]
fn an_epilogue_may_read_a_transposed_operand() {
    let shape = Shape::new(&[40, 60]);
    let mut case = Case::new(KernelKind::Scan { axis: 1, reverse: false }, &shape, 2);
    case.tolerance = 1e-5;
    case.input(DType::F32, numbers(1, 2400));
    let other = case.input(DType::F32, numbers(2, 2400));
    let view = View::contiguous(Shape::new(&[60, 40])).permute(&Permutation::new(&[1, 0]));
    let sum = case.accumulator(DType::F32);
    let other = case.load(other, view);
    let product = case.binary(Binary::Mul, sum, other);
    case.output(product);
    case.check();
}
