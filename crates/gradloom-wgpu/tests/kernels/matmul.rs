//! Matrix products: sizes around tiles, transposed and broadcast views, batches, dtypes, epilogues.

use gradloom_plan::{Factors, KernelKind, Level, Operation, Space, View};
use gradloom_tensor::op::{Binary, Permutation, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::harness::{Case, integers, numbers};

fn swap_last(rank: usize) -> Permutation {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 1, rank - 2);
    Permutation::new(&order)
}

/// A product `[batch.., m, k] x [batch.., k, n]` with operands stored transposed if asked.
fn product(batch: &[usize], [m, k, n]: [usize; 3], transposed: [bool; 2], dtype: DType) -> Case {
    let shape = |rows: usize, columns: usize| Shape::new(&[batch, &[rows, columns]].concat());
    let view = |rows: usize, columns: usize, transposed: bool| {
        if transposed {
            View::contiguous(shape(columns, rows)).permute(&swap_last(batch.len() + 2))
        } else {
            View::contiguous(shape(rows, columns))
        }
    };
    let (lhs, rhs) = (view(m, k, transposed[0]), view(k, n, transposed[1]));
    let kind = KernelKind::Matmul { lhs, rhs, factors: Factors::of(dtype) };
    let mut case = Case::new(kind, Space::elements(shape(m, n))).tolerance(5e-5);
    let values = |count, seed| match dtype.is_float() {
        true => numbers(count, seed),
        false => integers(count, 0, 9, seed),
    };
    case.input(dtype, values(lhs.shape.count(), 1));
    case.input(dtype, values(rhs.shape.count(), 2));
    case
}

#[test]
fn products_of_many_sizes() {
    for size in [
        [1, 1, 1],
        [1, 5, 7],
        [3, 40, 2],
        [8, 8, 8],
        [64, 64, 64],
        [65, 33, 67],
        [128, 20, 36],
        [1, 300, 500],
        [500, 300, 1],
        [2, 1000, 3],
        [16, 2000, 16],
        [130, 7, 129],
        [260, 70, 300],
        [256, 64, 384],
    ] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            let mut case = product(&[], size, transposed, DType::F32);
            let y = case.accumulator(DType::F32);
            case.output(y);
            case.check();
        }
    }
}

#[test]
fn batches_and_broadcast_batches() {
    let mut case = product(&[3, 2], [20, 9, 70], [false, true], DType::F32);
    let y = case.accumulator(DType::F32);
    case.output(y);
    case.check();

    // One right operand for all batches.
    let shape = Shape::new(&[4, 40, 24]);
    let lhs = View::contiguous(Shape::new(&[4, 40, 16]));
    let rhs = View::contiguous(Shape::new(&[1, 16, 24])).expand(Shape::new(&[4, 16, 24]));
    let kind = KernelKind::Matmul { lhs, rhs, factors: Factors::of(DType::F32) };
    let mut case = Case::new(kind, Space::elements(shape)).tolerance(1e-5);
    case.input(DType::F32, numbers(lhs.shape.count(), 1));
    case.input(DType::F32, numbers(16 * 24, 2));
    let y = case.accumulator(DType::F32);
    case.output(y);
    case.check();
}

#[test]
fn epilogues_add_bias_and_activate() {
    for size in [[70, 30, 40], [1, 600, 40]] {
        let mut case = product(&[], size, [false, false], DType::F32);
        let shape = case.kernel.space.shape;
        let bias = case.input(DType::F32, numbers(size[2], 3));
        let residual = case.input(DType::F32, numbers(shape.count(), 4));
        let acc = case.accumulator(DType::F32);
        let bias = case.load(bias, View::contiguous(Shape::new(&[1, size[2]])).expand(shape));
        let residual = case.load(residual, View::contiguous(shape));
        let y = case.binary(Binary::Add, acc, bias);
        let y = case.unary(Unary::Relu, y);
        let z = case.binary(Binary::Add, y, residual);
        case.output(y);
        case.output(z);
        case.check();
    }
}

#[test]
fn other_dtypes_accumulate_wide() {
    for dtype in [DType::F16, DType::BF16, DType::I32, DType::U32] {
        for size in [[33, 50, 65], [1, 200, 9]] {
            let mut case = product(&[], size, [false, true], dtype);
            let y = case.accumulator(dtype);
            case.output(y);
            if dtype.is_float() {
                let y = case.cast(y, dtype);
                let wide = case.push(Operation::Cast(y), DType::F32, Level::Element);
                case.output(wide);
            }
            case.check();
        }
    }
}

#[test]
fn products_of_bytes_are_the_integers_they_are() {
    for size in [[5, 1, 5], [8, 7, 8], [33, 50, 65], [70, 64, 64], [64, 132, 12], [200, 300, 9]] {
        for transposed in [[false, false], [true, false], [false, true], [true, true]] {
            let mut case = product_of_bytes(&[], size, transposed);
            let y = case.accumulator(DType::I32);
            case.output(y);
            case.check();
        }
    }
    let mut case = product_of_bytes(&[3, 2], [20, 9, 72], [false, true]);
    let y = case.accumulator(DType::I32);
    let scale = case.constant(DType::F32, Scalar::Float(0.125));
    let wide = case.cast(y, DType::F32);
    let scaled = case.binary(Binary::Mul, wide, scale);
    case.output(scaled);
    let narrow = case.cast(scaled, DType::F16);
    case.output(narrow);
    let wrapped = case.push(Operation::Cast(y), DType::I8, Level::Element);
    case.output(wrapped);
    case.check();
}

fn product_of_bytes(batch: &[usize], size: [usize; 3], transposed: [bool; 2]) -> Case {
    let mut case = product(batch, size, transposed, DType::I8).tolerance(0.0);
    for (input, seed) in [(0, 1), (1, 2)] {
        case.inputs[input] = integers(case.inputs[input].len(), -128, 128, seed);
    }
    case
}

#[test]
fn long_products_are_split() {
    let mut case = product(&[], [40, 20_000, 24], [true, false], DType::F32).tolerance(2e-4);
    let y = case.accumulator(DType::F32);
    case.output(y);
    case.check();
}
