//! Convolution, pooling, gather, scatter, scans, sorts and concatenation.

use gradloom_plan::{Convolution, Factors, KernelKind, Level, Operation, Pool, Space, View};
use gradloom_tensor::op::{ArgReduction, Binary, Window};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{Case, integers, numbers};

/// An epilogue that is not the identity: `2 * acc + 1` beside the plain value.
fn finish(case: &mut Case, dtype: DType) {
    let acc = case.accumulator(dtype);
    case.output(acc);
    let two = case.constant(dtype, Scalar::Int(2));
    let one = case.constant(dtype, Scalar::Int(1));
    let double = case.binary(Binary::Mul, acc, two);
    let y = case.binary(Binary::Add, double, one);
    case.output(y);
}

fn structured(kind: KernelKind, shape: Shape) -> Case {
    Case::new(kind, Space::elements(shape)).tolerance(2e-5)
}

fn windows() -> Vec<Window> {
    let plain = Window::new([3, 3]);
    vec![
        plain,
        plain.padding([[1, 1], [1, 1]]),
        Window::new([3, 2]).stride([2, 3]).padding([[1, 0], [0, 1]]),
        plain.stride([2, 2]).padding([[2, 1], [1, 2]]).dilation([2, 1]),
        Window::new([1, 1]),
        Window::new([2, 2]).stride([2, 2]),
        Window::new([4]).stride([2]).padding([[3, 0]]),
        Window::new([3, 3, 3]).padding([[1, 1]; 3]),
        Window::new([2, 3, 2]).stride([2, 1, 3]).padding([[1, 0], [0, 2], [1, 1]]),
        Window::new([2, 2, 1]).dilation([3, 2, 1]).padding([[2, 1], [0, 1], [0, 0]]),
    ]
}

/// Sizes of an input that all windows fit.
fn input_size(window: &Window) -> [usize; 3] {
    window.of(&Shape::new(&[5, 9, 8]))
}

/// The three kernels of a convolution.
fn convolutions(convolution: Convolution, dtype: DType) -> [Case; 3] {
    let (input, weight, output) = (convolution.input(), convolution.weight(), convolution.output());
    let mut cases = [
        structured(KernelKind::Convolution(convolution), output),
        structured(KernelKind::ConvolutionInput(convolution), input),
        structured(KernelKind::ConvolutionWeight(convolution), weight),
    ];
    let operands = [[input, weight], [weight, output], [input, output]];
    for (case, operands) in cases.iter_mut().zip(operands) {
        for (seed, operand) in operands.iter().enumerate() {
            case.input(dtype, numbers(operand.count(), seed as u64 + 1));
        }
        finish(case, dtype);
    }
    cases
}

#[test]
fn convolutions_and_their_transposes() {
    for window in windows() {
        for groups in [1, 2] {
            let input_size = input_size(&window);
            let convolution = Convolution {
                window,
                groups,
                batch: 3,
                channels: 4,
                outputs: 6,
                input_size,
                output_size: window.output(input_size).unwrap(),
                factors: Factors::of(DType::F32),
            };
            for case in convolutions(convolution, DType::F32) {
                case.check();
            }
        }
    }
}

#[test]
fn wide_and_depthwise_convolutions() {
    let window = Window::new([3, 3]).padding([[1, 1], [1, 1]]);
    for (groups, channels, outputs) in [(1, 20, 70), (8, 8, 8), (1, 3, 5)] {
        let convolution = Convolution {
            window,
            groups,
            batch: 2,
            channels,
            outputs,
            input_size: [1, 12, 13],
            output_size: [1, 12, 13],
            factors: Factors::of(DType::F32),
        };
        for dtype in [DType::F32, DType::F16] {
            let convolution = Convolution { factors: Factors::of(dtype), ..convolution };
            for case in convolutions(convolution, dtype) {
                case.tolerance(5e-3).check();
            }
        }
    }
}

#[test]
fn a_weight_gradient_over_many_pixels_is_split() {
    let window = Window::new([3, 3]).padding([[1, 1], [1, 1]]);
    let convolution = Convolution {
        window,
        groups: 1,
        batch: 8,
        channels: 3,
        outputs: 8,
        input_size: [1, 32, 32],
        output_size: [1, 32, 32],
        factors: Factors::of(DType::F32),
    };
    let [_, _, weight] = convolutions(convolution, DType::F32);
    weight.tolerance(1e-4).check();
}

#[test]
fn pools_and_their_transposes() {
    for window in windows() {
        let input_size = input_size(&window);
        let output_size = window.output(input_size).unwrap();
        let pool = Pool { window, planes: 6, input_size, output_size };
        let (input, output) = (window.shape(2, 3, input_size), window.shape(2, 3, output_size));
        // Few different values, so that ties for the maximum are common.
        let data = |shape: Shape| integers(shape.count(), 0, 4, 3);
        for (kind, shape, operands) in [
            (KernelKind::PoolMax(pool), output, vec![data(input)]),
            (
                KernelKind::PoolMaxScatter(pool),
                input,
                vec![data(input), numbers(output.count(), 4)],
            ),
            (KernelKind::PoolMaxGather(pool), output, vec![data(input), numbers(input.count(), 5)]),
            (KernelKind::PoolSum(pool), output, vec![numbers(input.count(), 6)]),
            (KernelKind::PoolSumScatter(pool), input, vec![numbers(output.count(), 7)]),
        ] {
            let mut case = structured(kind, shape);
            for operand in operands {
                case.input(DType::F32, operand);
            }
            finish(&mut case, DType::F32);
            case.check();
        }
    }
}

#[test]
fn nan_wins_a_pooled_maximum() {
    let window = Window::new([2, 2]);
    let pool = Pool { window, planes: 1, input_size: [1, 3, 3], output_size: [1, 2, 2] };
    let mut case = structured(KernelKind::PoolMax(pool), Shape::new(&[1, 1, 2, 2]));
    case.input(DType::F32, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, f64::NAN]);
    finish(&mut case, DType::F32);
    case.check();
}

#[test]
fn gather_picks_along_any_axis() {
    for axis in 0..3 {
        let data = Shape::new(&[5, 6, 7]);
        let shape = data.with(axis, 9);
        for dtype in [DType::F32, DType::F16, DType::U8, DType::Bool] {
            let index = View::contiguous(shape);
            let mut case = structured(KernelKind::Gather { data, axis, index }, shape);
            let high = if dtype == DType::Bool { 2 } else { 100 };
            case.input(dtype, integers(data.count(), 0, high, 1));
            case.input(DType::I32, integers(shape.count(), 0, data[axis] as i64, 2));
            let acc = case.accumulator(dtype);
            case.output(acc);
            case.check();
        }
    }
    // Rows of an embedding: the index repeats along the columns.
    let (data, shape) = (Shape::new(&[50, 16]), Shape::new(&[20, 16]));
    let index = View::contiguous(Shape::new(&[20, 1])).expand(shape);
    let mut case = structured(KernelKind::Gather { data, axis: 0, index }, shape);
    case.input(DType::F32, numbers(data.count(), 1));
    case.input(DType::I32, integers(20, 0, 50, 2));
    finish(&mut case, DType::F32);
    case.check();
}

#[test]
fn scatter_add_sums_in_order() {
    for (axis, count) in [(0, 9), (1, 9), (2, 9), (0, 100), (1, 3000)] {
        let shape = Shape::new(&[5, 6, 7]);
        let updates = shape.with(axis, count);
        for repeated in [false, true] {
            let index = if repeated {
                let mut narrow = updates;
                for inner in axis + 1..3 {
                    narrow = narrow.with(inner, 1);
                }
                View::contiguous(narrow).expand(updates)
            } else {
                View::contiguous(updates)
            };
            let kind = KernelKind::ScatterAdd { axis, index, updates: View::contiguous(updates) };
            let mut case = structured(kind, shape).tolerance(1e-4);
            let (low, high) = gradloom_high(&index);
            // Some indices lie outside and are skipped.
            case.input(DType::I32, integers(high + 1 - low, -1, shape[axis] as i64 + 1, 3));
            case.input(DType::F32, numbers(updates.count(), 4));
            finish(&mut case, DType::F32);
            case.check();
        }
    }
}

/// First and last element that a contiguous or repeated view reads.
fn gradloom_high(view: &View) -> (usize, usize) {
    let last: Vec<usize> = view.shape.iter().map(|size| size - 1).collect();
    (0, view.element(&last).unwrap())
}

#[test]
fn scans_along_any_axis_both_ways() {
    for dims in [[3, 40, 2], [2, 3, 700], [600, 2, 30]] {
        for axis in 0..3 {
            for reverse in [false, true] {
                for dtype in [DType::F32, DType::I32] {
                    let shape = Shape::new(&dims);
                    let mut case = structured(KernelKind::Scan { axis, reverse }, shape);
                    case.tolerance = 1e-4;
                    case.input(
                        dtype,
                        match dtype {
                            DType::I32 => integers(shape.count(), -9, 9, 1),
                            _ => numbers(shape.count(), 1),
                        },
                    );
                    finish(&mut case, dtype);
                    case.check();
                }
            }
        }
    }
}

#[test]
fn arg_reductions_give_the_first_extreme() {
    for dims in [[3, 40, 2], [2, 3, 700], [7, 1, 5], [2, 100, 3]] {
        for axis in 0..3 {
            for reduction in [ArgReduction::Max, ArgReduction::Min] {
                for dtype in [DType::F32, DType::I32, DType::U8] {
                    let input = Shape::new(&dims);
                    let kind = KernelKind::ArgReduce { reduction, input, axis };
                    let mut case = structured(kind, input.with(axis, 1));
                    let mut values = integers(input.count(), 0, 20, 5);
                    if dtype == DType::F32 {
                        values[input.count() / 2] = f64::NAN;
                    }
                    case.input(dtype, values);
                    finish(&mut case, DType::I32);
                    case.check();
                }
            }
        }
    }
}

#[test]
fn sorts_are_stable_and_put_nan_last() {
    for (dims, axis) in
        [([4, 10, 3], 1), ([4, 1, 3], 1), ([2, 3, 1000], 2), ([1500, 2, 1], 0), ([1, 1, 5000], 2)]
    {
        for descending in [false, true] {
            for dtype in [DType::F32, DType::I32, DType::U32] {
                let shape = Shape::new(&dims);
                let mut case = structured(KernelKind::ArgSort { axis, descending }, shape);
                let low = if dtype == DType::U32 { 0 } else { -40 };
                let mut values = integers(shape.count(), low, 40, 6);
                if dtype == DType::F32 {
                    let middle = values.len() / 2;
                    values[middle] = f64::NAN;
                    values[middle / 2] = f64::INFINITY;
                    values[middle / 3] = -0.0;
                    values[middle + middle / 2] = 0.5;
                }
                case.input(dtype, values);
                finish(&mut case, DType::I32);
                case.check();
            }
        }
    }
}

#[test]
fn concatenation_along_any_axis() {
    for axis in 0..3 {
        for dtype in [DType::F32, DType::Bool, DType::BF16] {
            let base = Shape::new(&[3, 4, 5]);
            let parts: Vec<Shape> =
                [2, 0, 7, 1].iter().map(|&size| base.with(axis, size)).collect();
            let kind = KernelKind::Concat { axis, parts: parts.clone() };
            let mut case = structured(kind, base.with(axis, 10));
            for (seed, part) in parts.iter().enumerate() {
                case.input(dtype, integers(part.count(), 0, 2, seed as u64));
            }
            let acc = case.accumulator(dtype);
            case.output(acc);
            case.check();
        }
    }
}

#[test]
fn a_gather_checks_the_index_it_computes() {
    // The check runs in the epilogue here: any kernel may hold one.
    let shape = Shape::new(&[6]);
    let index = View::contiguous(shape);
    let data = Shape::new(&[4]);
    let mut case = structured(KernelKind::Gather { data, axis: 0, index }, shape);
    case.input(DType::I32, vec![3.0, 1.0, 2.0, 0.0]);
    case.input(DType::I32, integers(6, 0, 4, 1));
    let acc = case.accumulator(DType::I32);
    let check = Operation::CheckIndex { value: acc, size: 4, site: 0 };
    let checked = case.push(check, DType::I32, Level::Element);
    case.output(checked);
    case.check();
}
