//! Pooling, gather, scatter, scans, arg-reductions, sorting and joining.

use gradloom_plan::{KernelKind, Pool, View};
use gradloom_tensor::op::{ArgReduction, Binary, Permutation, Window};
use gradloom_tensor::{DType, Shape};

use super::{Case, integers, numbers, window};

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
    let pool = |planes, input_size: &[usize], window: Window| {
        let input_size = window.of(&Shape::new(input_size));
        let output_size = window.output(input_size).expect("windows fit");
        Pool { window, planes, input_size, output_size }
    };
    vec![
        pool(64, &[26, 26], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
        pool(5, &[7, 9], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
        pool(3, &[10, 40], window([3, 3], [2, 2], [[1, 1], [1, 1]], [1, 1])),
        pool(4, &[8, 9], window([3, 2], [1, 1], [[0, 1], [1, 0]], [1, 2])),
        pool(2, &[9, 9], window([9, 9], [1, 1], [[0; 2]; 2], [1, 1])),
        pool(0, &[4, 4], window([2, 2], [2, 2], [[0; 2]; 2], [1, 1])),
        // Windows that are all padding: of empty pictures, and around a small one.
        pool(2, &[0, 3], window([2, 2], [1, 1], [[1, 1], [1, 0]], [1, 1])),
        pool(2, &[3, 0], window([2, 2], [2, 2], [[0, 1], [1, 1]], [1, 1])),
        pool(2, &[2, 2], window([2, 2], [1, 2], [[3, 2], [2, 4]], [1, 1])),
        pool(3, &[40], window([3], [2], [[1, 0]], [2])),
        pool(3, &[4, 6, 9], window([2, 2, 2], [2, 2, 2], [[0; 2]; 3], [1, 1, 1])),
        pool(2, &[5, 6, 20], window([3, 3, 3], [2, 1, 2], [[1, 0], [1, 1], [0, 2]], [1, 1, 1])),
        pool(2, &[7, 4, 5], window([2, 1, 2], [1, 2, 3], [[3, 1], [0, 0], [1, 1]], [3, 1, 2])),
    ]
}

#[test]
fn pooling_and_its_transposes() {
    for dtype in [DType::F32, DType::F16, DType::I32] {
        for pool in pools() {
            let input = pool.window.shape(1, pool.planes, pool.input_size);
            let output = pool.window.shape(1, pool.planes, pool.output_size);
            let kinds = [
                (KernelKind::PoolMax(pool), vec![input], output),
                (KernelKind::PoolMaxScatter(pool), vec![input, output], input),
                (KernelKind::PoolMaxGather(pool), vec![input, input], output),
                (KernelKind::PoolSum(pool), vec![input], output),
                (KernelKind::PoolSumScatter(pool), vec![output], input),
            ];
            for (kind, operands, space) in kinds {
                for epilogue in [false, true] {
                    let mut case = Case::new(kind.clone(), &space, space.rank());
                    for (seed, shape) in operands.iter().enumerate() {
                        // Few distinct values, so that maxima are not unique.
                        let mut values = integers(seed as u32, shape.count(), -3, 4);
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
    case.input(DType::F32, numbers(1, 2400));
    let other = case.input(DType::F32, numbers(2, 2400));
    let view = View::contiguous(Shape::new(&[60, 40])).permute(&Permutation::new(&[1, 0]));
    let sum = case.accumulator(DType::F32);
    let other = case.load(other, view);
    let product = case.binary(Binary::Mul, sum, other);
    case.output(product);
    case.check();
}
