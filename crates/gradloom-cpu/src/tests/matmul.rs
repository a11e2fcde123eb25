//! Products of all shapes, strides and dtypes, with epilogues.

use gradloom_plan::{Factors, KernelKind, View};
use gradloom_tensor::op::{Binary, Permutation, Unary};
use gradloom_tensor::{DType, Shape};

use super::{Case, integers, numbers, wide};
use crate::simd::Level;

/// A case over views of inputs with these numbers of elements.
fn case(dtype: DType, lhs: (View, usize), rhs: (View, usize)) -> Case {
    let rank = lhs.0.shape.rank();
    let shape: Vec<usize> =
        lhs.0.shape[..rank - 1].iter().copied().chain([rhs.0.shape[rank - 1]]).collect();
    let factors = Factors::of(dtype);
    let kind = KernelKind::Matmul { lhs: lhs.0, rhs: rhs.0, factors };
    let mut case = Case::new(kind, &shape, shape.len());
    for (seed, count) in [(1, lhs.1), (2, rhs.1)] {
        let values = if dtype.is_float() {
            numbers(seed, count).iter().map(|value| value / 4.0).collect()
        } else {
            integers(seed, count, 0, if dtype == DType::Bool { 2 } else { 5 })
        };
        let values = if dtype == DType::I64 { wide(values) } else { values };
        case.input(dtype, values);
    }
    case
}

fn contiguous(shape: &[usize]) -> (View, usize) {
    (View::contiguous(Shape::new(shape)), shape.iter().product())
}

fn transposed(shape: &[usize]) -> (View, usize) {
    let rank = shape.len();
    let mut stored = shape.to_vec();
    stored.swap(rank - 2, rank - 1);
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    let (view, count) = contiguous(&stored);
    (view.permute(&Permutation::new(&order)), count)
}

#[test]
fn shapes_and_transpositions() {
    shapes_and_transpositions_of(DType::F32);
    shapes_and_transpositions_of(DType::F64);
}

fn shapes_and_transpositions_of(dtype: DType) {
    for [m, n, k] in [
        [1, 1, 1],
        [3, 4, 5],
        [1, 300, 200],
        [300, 1, 200],
        [64, 65, 66],
        [33, 700, 100],
        [700, 33, 100],
        [200, 210, 220],
        [4, 5, 0],
    ] {
        for (lhs, rhs) in [
            (contiguous(&[m, k]), contiguous(&[k, n])),
            (transposed(&[m, k]), contiguous(&[k, n])),
            (contiguous(&[m, k]), transposed(&[k, n])),
            (transposed(&[m, k]), transposed(&[k, n])),
        ] {
            let mut case = case(dtype, lhs, rhs);
            let value = case.accumulator(dtype);
            case.output(value);
            case.check();
        }
    }
}

/// Large thin products are split among threads, by rows or columns of the matrix that is not thin.
#[test]
fn thin_products_have_the_same_bits_in_every_layout() {
    for dtype in [DType::F32, DType::F64] {
        for [m, n, k] in [[1, 700, 1500], [3, 1500, 700], [2, 5000, 130], [1, 3, 300_000]] {
            let mut first: Option<Vec<(&str, Vec<Vec<u8>>)>> = None;
            for (lhs, rhs, swapped) in [
                (contiguous(&[m, k]), contiguous(&[k, n]), false),
                (transposed(&[m, k]), transposed(&[k, n]), true),
            ] {
                let mut case = case(dtype, lhs, rhs);
                if swapped {
                    for (input, [rows, columns]) in case.inputs.iter_mut().zip([[m, k], [k, n]]) {
                        let row_by_row = input.clone();
                        for index in 0..rows * columns {
                            let (row, column) = (index / columns, index % columns);
                            input[column * rows + row] = row_by_row[index];
                        }
                    }
                }
                let value = case.accumulator(dtype);
                case.output(value);
                case.tolerance = 2e-6;
                case.check();
                let runs: Vec<_> = Level::available()
                    .into_iter()
                    .map(|level| (level.name(), case.run(level, 2)))
                    .collect();
                assert!(*first.get_or_insert_with(|| runs.clone()) == runs, "{m} x {n} x {k}");
            }
        }
    }
}

#[test]
fn halves_become_lanes_in_every_layout() {
    let strided = |shape: &[usize]| {
        let (view, count) = contiguous(&[shape[0], 2 * shape[1]]);
        (view.slice(&[0, 1], &[1, 2], Shape::new(shape)), count)
    };
    for dtype in [DType::F16, DType::BF16] {
        for [m, n, k] in [
            [1, 1, 1],
            [3, 4, 5],
            [1, 300, 200],
            [300, 2, 200],
            [130, 65, 66],
            [33, 700, 100],
            [9, 5, 0],
        ] {
            for lhs in [contiguous(&[m, k]), transposed(&[m, k]), strided(&[m, k])] {
                for rhs in [contiguous(&[k, n]), transposed(&[k, n]), strided(&[k, n])] {
                    let mut case = case(dtype, lhs, rhs);
                    // The sum as it is, and as the dtype keeps it.
                    let value = case.accumulator(DType::F32);
                    case.output(value);
                    let half = case.cast(value, dtype);
                    case.output(half);
                    case.tolerance = 2e-6;
                    case.check();
                }
            }
        }
        let shared = View::contiguous(Shape::new(&[1, 30, 40])).expand(Shape::new(&[20, 30, 40]));
        let mut case = case(dtype, contiguous(&[20, 25, 30]), (shared, 30 * 40));
        let value = case.accumulator(DType::F32);
        case.output(value);
        case.tolerance = 2e-6;
        case.check();
    }
}

#[test]
fn batches_shared_and_own() {
    let shared = |shape: &[usize], batch: &[usize]| {
        let (view, count) = contiguous(shape);
        (view.expand(Shape::new(batch)), count)
    };
    let pairs = [
        (contiguous(&[50, 8, 9]), contiguous(&[50, 9, 10])),
        (contiguous(&[6, 70, 80]), contiguous(&[6, 80, 90])),
        (contiguous(&[6, 70, 80]), shared(&[1, 80, 90], &[6, 80, 90])),
        (contiguous(&[2, 3, 1, 80]), shared(&[1, 1, 80, 90], &[2, 3, 80, 90])),
        (shared(&[1, 70, 80], &[6, 70, 80]), transposed(&[6, 80, 90])),
        (contiguous(&[3, 300, 20]), contiguous(&[3, 20, 310])),
        (contiguous(&[0, 3, 4]), contiguous(&[0, 4, 3])),
    ];
    for (lhs, rhs) in pairs {
        let mut case = case(DType::F32, lhs, rhs);
        let value = case.accumulator(DType::F32);
        case.output(value);
        case.check();
    }
}

#[test]
fn dtypes() {
    for dtype in DType::ALL {
        let mut case = case(dtype, contiguous(&[40, 50]), transposed(&[50, 70]));
        let value = case.accumulator(dtype);
        case.output(value);
        case.check();
    }
}

#[test]
fn epilogues() {
    for [m, n] in [[30, 40], [50, 500], [500, 50]] {
        let mut case = case(DType::F32, contiguous(&[m, 64]), contiguous(&[64, n]));
        let bias = case.input(DType::F32, numbers(3, n));
        let view = View::contiguous(Shape::new(&[1, n])).expand(Shape::new(&[m, n]));
        let product = case.accumulator(DType::F32);
        let bias = case.load(bias, view);
        let sum = case.binary(Binary::Add, product, bias);
        let relu = case.unary(Unary::Relu, sum);
        case.output(relu);
        // Further outputs: the sum itself, a half and the product.
        case.output(sum);
        let half = case.cast(relu, DType::F16);
        case.output(half);
        case.output(product);
        case.check();
    }
}

#[test]
fn a_residual_in_place() {
    let mut case = case(DType::F32, contiguous(&[300, 64]), contiguous(&[64, 200]));
    let residual = case.whole(DType::F32, numbers(3, 300 * 200));
    let product = case.accumulator(DType::F32);
    let sum = case.binary(Binary::Add, product, residual);
    case.output(sum);
    case.in_place = vec![(2, 0)];
    case.check();
}
