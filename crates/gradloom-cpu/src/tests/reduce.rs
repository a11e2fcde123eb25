//! Reduce and Row kernels: all orders of memory, lengths around the blocks, phases.

use gradloom_plan::{KernelKind, View};
use gradloom_tensor::op::{Binary, Permutation, Reduction, Unary};
use gradloom_tensor::{DType, Shape};

use super::{Case, integers, numbers};

const REDUCTIONS: [Reduction; 3] = [Reduction::Sum, Reduction::Max, Reduction::Min];

/// Rows and columns on both sides of every limit.
const SIZES: [[usize; 2]; 12] = [
    [1, 1],
    [3, 5],
    [100, 10],
    [7, 1000],
    [5, 1024],
    [4, 1025],
    [3, 5000],
    [2, 40_000],
    [1, 200_000],
    [70, 17_000],
    [2000, 3],
    [1, 0],
];

#[test]
fn contiguous_rows() {
    for [rows, columns] in SIZES {
        let mut case = Case::new(KernelKind::Reduce, &[rows, columns], 1);
        let a = case.whole(DType::F32, numbers(1, rows * columns));
        for reduction in REDUCTIONS {
            let value = case.reduce(reduction, a);
            case.output(value);
        }
        case.check();
    }
}

#[test]
fn rows_side_by_side() {
    for [columns, rows] in SIZES {
        let mut case = Case::new(KernelKind::Reduce, &[rows, columns], 1);
        case.tolerance = 1e-5;
        let input = case.input(DType::F32, numbers(1, rows * columns));
        let view =
            View::contiguous(Shape::new(&[columns, rows])).permute(&Permutation::new(&[1, 0]));
        let a = case.load(input, view);
        let square = case.binary(Binary::Mul, a, a);
        for reduction in REDUCTIONS {
            let value = case.reduce(reduction, a);
            case.output(value);
        }
        let sum = case.reduce(Reduction::Sum, square);
        let root = case.unary(Unary::Sqrt, sum);
        case.output(root);
        case.check();
    }
}

#[test]
fn middle_axes_and_values_of_rows() {
    // Batch statistics: reduce N, H, W of [N, C, H, W] with a value per channel.
    let (n, c, h, w) = (5, 6, 9, 11);
    let mut case = Case::new(KernelKind::Reduce, &[c, n, h, w], 1);
    let input = case.input(DType::F32, numbers(1, n * c * h * w));
    let view =
        View::contiguous(Shape::new(&[n, c, h, w])).permute(&Permutation::new(&[1, 0, 2, 3]));
    let a = case.load(input, view);
    let means = case.input(DType::F32, numbers(2, c));
    let mean = View::contiguous(Shape::new(&[c, 1, 1, 1])).expand(Shape::new(&[c, n, h, w]));
    let mean = case.load_row(means, mean);
    let centered = case.binary(Binary::Sub, a, mean);
    let square = case.binary(Binary::Mul, centered, centered);
    let sum = case.reduce(Reduction::Sum, square);
    let shifted = case.binary(Binary::Add, sum, mean);
    case.output(shifted);
    case.output(sum);
    case.check();
}

#[test]
fn all_dtypes() {
    for dtype in DType::ALL {
        for shape in [[40, 300], [2, 33_000]] {
            let count = shape[0] * shape[1];
            let mut case = Case::new(KernelKind::Reduce, &shape, 1);
            let values =
                if dtype.is_float() { numbers(1, count) } else { integers(1, count, 0, 2) };
            let a = case.whole(dtype, values);
            for reduction in REDUCTIONS {
                let bool_sum = dtype == DType::Bool && reduction == Reduction::Sum;
                let half = matches!(dtype, DType::F16 | DType::BF16) && reduction == Reduction::Sum;
                if !bool_sum && !half {
                    let value = case.reduce(reduction, a);
                    case.output(value);
                }
            }
            case.check();
        }
    }
}

#[test]
fn nan_wins_extremes() {
    let mut values = numbers(1, 3 * 500);
    values[700] = f64::NAN;
    let mut case = Case::new(KernelKind::Reduce, &[3, 500], 1);
    let a = case.whole(DType::F32, values);
    for reduction in [Reduction::Max, Reduction::Min] {
        let value = case.reduce(reduction, a);
        case.output(value);
    }
    case.check();
}

#[test]
fn an_empty_row_gives_the_identity() {
    for dtype in [DType::F32, DType::I32, DType::U8] {
        let mut case = Case::new(KernelKind::Reduce, &[3, 0], 1);
        let a = case.whole(dtype, Vec::new());
        for reduction in REDUCTIONS {
            let value = case.reduce(reduction, a);
            case.output(value);
        }
        case.check();
    }
}

/// Softmax with its logarithm's sum: outputs of both levels.
fn softmax(shape: &[usize], dtype: DType) -> Case {
    let mut case = Case::new(KernelKind::Row, shape, shape.len() - 1);
    let a = case.whole(dtype, numbers(1, shape.iter().product()));
    let max = case.reduce(Reduction::Max, a);
    let shifted = case.binary(Binary::Sub, a, max);
    let exp = case.unary(Unary::Exp, shifted);
    let sum = case.reduce(Reduction::Sum, exp);
    let quotient = case.binary(Binary::Div, exp, sum);
    case.output(quotient);
    let log = case.unary(Unary::Log, sum);
    let log = case.binary(Binary::Add, log, max);
    case.output(log);
    case
}

#[test]
fn softmax_of_all_lengths() {
    for [rows, columns] in SIZES {
        if columns > 0 {
            softmax(&[rows, columns], DType::F32).check();
        }
    }
    softmax(&[3, 2, 100_000], DType::F32).check();
    softmax(&[50, 64], DType::F64).check();
    softmax(&[50, 64], DType::F16).check();
}

#[test]
fn softmax_of_a_transposed_operand() {
    let shape = Shape::new(&[90, 100]);
    let mut case = Case::new(KernelKind::Row, &shape, 1);
    let input = case.input(DType::F32, numbers(1, 9000));
    let view = View::contiguous(Shape::new(&[100, 90])).permute(&Permutation::new(&[1, 0]));
    let a = case.load(input, view);
    let max = case.reduce(Reduction::Max, a);
    let shifted = case.binary(Binary::Sub, a, max);
    let exp = case.unary(Unary::Exp, shifted);
    let sum = case.reduce(Reduction::Sum, exp);
    let quotient = case.binary(Binary::Div, exp, sum);
    case.output(quotient);
    case.check();
}

#[test]
fn softmax_in_place() {
    for shape in [[300, 10], [50, 2000], [2, 70_000]] {
        let mut case = softmax(&shape, DType::F32);
        case.in_place = vec![(0, 0)];
        case.check();
    }
}

#[test]
fn layer_norm_with_weights() {
    for [rows, columns] in [[64, 48], [9, 768], [5, 1500], [2, 70_000]] {
        let shape = Shape::new(&[rows, columns]);
        let mut case = Case::new(KernelKind::Row, &shape, 1);
        case.tolerance = 1e-6;
        let a = case.whole(DType::F32, numbers(1, rows * columns));
        let scale = case.constant(1.0 / columns as f64, DType::F32);
        let sum = case.reduce(Reduction::Sum, a);
        let mean = case.binary(Binary::Mul, sum, scale);
        let centered = case.binary(Binary::Sub, a, mean);
        let square = case.binary(Binary::Mul, centered, centered);
        let sum = case.reduce(Reduction::Sum, square);
        let variance = case.binary(Binary::Mul, sum, scale);
        let epsilon = case.constant(1e-5, DType::F32);
        let variance = case.binary(Binary::Add, variance, epsilon);
        let inverse = case.unary(Unary::Rsqrt, variance);
        let normal = case.binary(Binary::Mul, centered, inverse);
        let weights = case.input(DType::F32, numbers(2, columns));
        let weight = View::contiguous(Shape::new(&[1, columns])).expand(shape);
        let weight = case.load(weights, weight);
        let scaled = case.binary(Binary::Mul, normal, weight);
        for value in [scaled, mean, inverse] {
            case.output(value);
        }
        case.check();
    }
}

#[test]
fn running_statistics_in_place() {
    // Few long rows, many short ones; each with neighbours in the row and in other rows.
    for [rows, columns] in [[10, 30_000], [700, 40]] {
        let shape = Shape::new(&[rows, columns]);
        let along = View::contiguous(shape);
        let across = View::contiguous(Shape::new(&[columns, rows]));
        for view in [along, across.permute(&Permutation::new(&[1, 0]))] {
            let mut case = Case::new(KernelKind::Reduce, &shape, 1);
            let input = case.input(DType::F32, integers(1, rows * columns, -3, 4));
            let a = case.load(input, view);
            let running = case.input(DType::F32, numbers(2, rows));
            let view = View::contiguous(Shape::new(&[rows, 1])).expand(shape);
            let running = case.load_row(running, view);
            let sum = case.reduce(Reduction::Sum, a);
            let value = case.binary(Binary::Add, sum, running);
            case.output(value);
            case.in_place = vec![(1, 0)];
            case.check();
        }
    }
}

#[test]
fn the_number_of_elements_is_a_sum_of_ones() {
    let mut case = Case::new(KernelKind::Reduce, &[4, 3000], 1);
    let a = case.whole(DType::F32, numbers(1, 12_000));
    let one = case.constant(1.0, DType::F32);
    let sum = case.reduce(Reduction::Sum, one);
    let other = case.reduce(Reduction::Max, a);
    case.output(sum);
    case.output(other);
    case.check();
}
