//! Reductions: short and long rows, strided columns, two stages, softmax and norms.

use gradloom_plan::{Operation, View};
use gradloom_tensor::op::{Binary, Permutation, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{Case, integers, numbers};

#[test]
fn sums_and_extremes_of_rows_of_many_lengths() {
    for (rows, columns) in [
        (1, 1),
        (3, 2),
        (7, 5),
        (300, 4),
        (5, 33),
        (2, 256),
        (3, 1000),
        (2, 1025),
        (1, 70_000),
        (70, 3000),
    ] {
        let shape = Shape::new(&[rows, columns]);
        let mut case = Case::reduce(&shape, 1).tolerance(1e-5);
        let x = case.input(DType::F32, numbers(rows * columns, 5));
        let x = case.load(x, View::contiguous(shape));
        for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min] {
            let y = case.reduction(reduction, x);
            case.output(y);
        }
        case.check();
    }
}

#[test]
fn sums_over_strided_columns() {
    for (columns, rows) in [(4, 1000), (50, 7), (5000, 3), (300, 100), (20_000, 40)] {
        // The buffer is [columns, rows]; the reduced axis is the outer one.
        let stored = Shape::new(&[columns, rows]);
        let view = View::contiguous(stored).permute(&Permutation::new(&[1, 0]));
        let mut case = Case::reduce(&view.shape, 1).tolerance(1e-5);
        let x = case.input(DType::F32, numbers(rows * columns, 6));
        let x = case.load(x, view);
        let square = case.binary(Binary::Mul, x, x);
        let sum = case.reduction(Reduction::Sum, square);
        let max = case.reduction(Reduction::Max, x);
        let root = case.unary(Unary::Sqrt, sum);
        case.output(root);
        case.output(max);
        case.check();
    }
}

#[test]
fn reductions_of_several_axes() {
    // Batch-norm statistics: keep the channel of [N, C, H, W].
    let stored = Shape::new(&[9, 6, 5, 7]);
    let view = View::contiguous(stored).permute(&Permutation::new(&[1, 0, 2, 3]));
    let mut case = Case::reduce(&view.shape, 1).tolerance(1e-5);
    let x = case.input(DType::F32, numbers(stored.count(), 7));
    let x = case.load(x, view);
    let sum = case.reduction(Reduction::Sum, x);
    let count = case.constant(DType::F32, Scalar::Float(315.0));
    let mean = case.binary(Binary::Div, sum, count);
    case.output(mean);
    case.check();
}

#[test]
fn integer_and_bool_reductions() {
    for dtype in [DType::I32, DType::U32, DType::U8, DType::Bool] {
        for columns in [0, 3, 700] {
            let shape = Shape::new(&[4, columns]);
            let mut case = Case::reduce(&shape, 1);
            let high = if dtype == DType::Bool { 2 } else { 100 };
            let x = case.input(dtype, integers(4 * columns, 0, high, 8));
            let x = case.load(x, View::contiguous(shape));
            for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min] {
                if dtype == DType::Bool && reduction == Reduction::Sum {
                    continue;
                }
                let y = case.reduction(reduction, x);
                case.output(y);
            }
            case.check();
        }
    }
}

#[test]
fn nan_wins_extremes_and_nothing_gives_the_identity() {
    let shape = Shape::new(&[3, 4]);
    let mut case = Case::reduce(&shape, 1);
    let nan = f64::NAN;
    let x =
        case.input(DType::F32, vec![1.0, nan, 3.0, 2.0, 1.0, 5.0, 3.0, 2.0, -1.0, -2.0, -9.0, nan]);
    let x = case.load(x, View::contiguous(shape));
    for reduction in [Reduction::Max, Reduction::Min, Reduction::Sum] {
        let y = case.reduction(reduction, x);
        case.output(y);
    }
    case.check();

    let shape = Shape::new(&[3, 0]);
    let mut case = Case::reduce(&shape, 1);
    let x = case.input(DType::F32, Vec::new());
    let x = case.load(x, View::contiguous(shape));
    for reduction in [Reduction::Max, Reduction::Min, Reduction::Sum] {
        let y = case.reduction(reduction, x);
        case.output(y);
    }
    case.check();
}

fn softmax(rows: usize, columns: usize, dtype: DType) -> Case {
    let shape = Shape::new(&[rows, columns]);
    let mut case = Case::row(&shape, 1);
    let x = case.input(dtype, numbers(rows * columns, 9).iter().map(|v| v * 4.0).collect());
    let x = case.load(x, View::contiguous(shape));
    let max = case.reduction(Reduction::Max, x);
    let shifted = case.binary(Binary::Sub, x, max);
    let exp = case.unary(Unary::Exp, shifted);
    let sum = case.reduction(Reduction::Sum, exp);
    let y = case.binary(Binary::Div, exp, sum);
    case.output(y);
    let log = case.unary(Unary::Log, sum);
    let log_sum = case.binary(Binary::Add, log, max);
    case.output(log_sum);
    case
}

#[test]
fn softmax_of_rows_of_many_lengths() {
    for (rows, columns) in [(1, 1), (10, 7), (3, 128), (5, 1000), (2, 5000), (600, 10)] {
        softmax(rows, columns, DType::F32).check();
    }
    softmax(4, 100, DType::F16).check();
    softmax(4, 3000, DType::BF16).check();
}

#[test]
fn layer_norm_with_weights_and_statistics() {
    for columns in [6, 300, 2000] {
        let shape = Shape::new(&[2, 5, columns]);
        let mut case = Case::row(&shape, 2).tolerance(2e-5);
        let x = case.input(DType::F32, numbers(shape.count(), 10));
        let weight = case.input(DType::F32, numbers(columns, 11));
        let bias = case.input(DType::F32, numbers(columns, 12));
        let per_row = case.input(DType::F32, numbers(10, 13));
        let column_shape = Shape::new(&[1, 1, columns]);
        let x = case.load(x, View::contiguous(shape));
        let weight = case.load(weight, View::contiguous(column_shape).expand(shape));
        let bias = case.load(bias, View::contiguous(column_shape).expand(shape));
        let per_row =
            case.load_row(per_row, View::contiguous(Shape::new(&[2, 5, 1])).expand(shape));
        let count = case.constant(DType::F32, Scalar::Float(columns as f64));
        let sum = case.reduction(Reduction::Sum, x);
        let mean = case.binary(Binary::Div, sum, count);
        let centred = case.binary(Binary::Sub, x, mean);
        let square = case.binary(Binary::Mul, centred, centred);
        let squares = case.reduction(Reduction::Sum, square);
        let variance = case.binary(Binary::Div, squares, count);
        let epsilon = case.constant(DType::F32, Scalar::Float(1e-5));
        let variance = case.binary(Binary::Add, variance, epsilon);
        let inverse = case.unary(Unary::Rsqrt, variance);
        let normal = case.binary(Binary::Mul, centred, inverse);
        let scaled = case.binary(Binary::Mul, normal, weight);
        let y = case.binary(Binary::Add, scaled, bias);
        let shifted_mean = case.binary(Binary::Add, mean, per_row);
        case.output(y);
        case.output(shifted_mean);
        case.output(centred);
        case.check();
    }
}

#[test]
fn outputs_may_take_the_place_of_inputs() {
    use gradloom_plan::BufferRef;
    let case = softmax(6, 3000, DType::F32);
    let expected = case.expected();
    let _shared = crate::harness::share();
    for device in crate::harness::devices() {
        let mut plan = case.plan();
        plan.outputs[0].reuses = Some(0);
        assert_eq!(plan.kernels[0].outputs[0].buffer, BufferRef::Output(0));
        let inputs = case.upload(&device).unwrap();
        let backend = crate::harness::backend(&device);
        let outputs = backend.run(&plan, &inputs, &[], &crate::harness::site).unwrap();
        assert!(std::sync::Arc::ptr_eq(outputs[0].shared(), inputs[0].shared()));
        let bytes = device.backend().download(&outputs[0]).unwrap();
        let found = crate::harness::from_bytes(DType::F32, &bytes);
        crate::harness::compare(&found, &expected[0], 2e-6, 0);
    }
}

#[test]
fn random_rows_read_their_own_counters() {
    let shape = Shape::new(&[3, 500]);
    let mut case = Case::reduce(&shape, 1);
    case.arguments = vec![(DType::U32, Scalar::Int(1)), (DType::U32, Scalar::Int(2))];
    let level = gradloom_plan::Level::Element;
    let index = case.push(Operation::Index(View::contiguous(shape)), DType::I32, level);
    let random = case.push(Operation::Random { index, key: [0, 1] }, DType::U32, level);
    let max = case.reduction(Reduction::Max, random);
    case.output(max);
    case.check();
}
