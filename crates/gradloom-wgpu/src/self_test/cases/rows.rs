//! Reductions and rows: short and long, along memory and across it, in one stage and in two.

use gradloom_plan::View;
use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_tensor::op::{Binary, Permutation, Reduction, Unary};
use gradloom_tensor::{DType, Scalar, Shape};

use crate::self_test::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for [rows, columns] in [[7, 5], [4099, 3], [3, 1025], [1, 20_011]] {
        let trial = reductions(rows, columns, DType::F32);
        cases.push(Case::of(format!("reductions of {rows} rows of {columns}"), trial));
    }
    for dtype in [DType::I32, DType::F16, DType::U8] {
        let trial = reductions(3, 700, dtype);
        cases.push(Case::of(format!("reductions of {dtype}"), trial));
    }
    for [columns, rows] in [[50, 7], [4, 1030], [3000, 3]] {
        let trial = across(columns, rows);
        cases.push(Case::of(format!("reductions of {columns} across memory, {rows} rows"), trial));
    }
    for [rows, columns] in [[9, 33], [2, 1500]] {
        let trial = softmax(rows, columns, DType::F32, false);
        cases.push(Case::of(format!("softmax of {rows} rows of {columns}"), trial));
    }
    cases.push(Case::of("softmax of bf16", softmax(3, 260, DType::BF16, false)));
    cases.push(Case::of("softmax of f16 in long rows", softmax(2, 1200, DType::F16, false)));
    cases.push(Case::of("softmax across memory", softmax(20, 37, DType::F32, true)));
    cases.push(Case::of("long softmax across memory", softmax(20, 1300, DType::F32, true)));
    cases
}

fn reductions(rows: usize, columns: usize, dtype: DType) -> Trial {
    let shape = Shape::new(&[rows, columns]);
    let mut trial = Trial::reduce(&shape, 1).tolerance(1e-5);
    let values = match dtype.is_float() {
        true => numbers(rows * columns, 5),
        false => integers(rows * columns, 0, 100, 5),
    };
    let x = trial.input(dtype, values);
    let x = trial.load(x, View::contiguous(shape));
    for reduction in [Reduction::Sum, Reduction::Max, Reduction::Min] {
        let y = trial.reduction(reduction, x);
        trial.output(y);
    }
    trial
}

/// The buffer is [columns, rows]; the reduced axis is the outer one.
fn across(columns: usize, rows: usize) -> Trial {
    let stored = Shape::new(&[columns, rows]);
    let view = View::contiguous(stored).permute(&Permutation::new(&[1, 0]));
    let mut trial = Trial::reduce(&view.shape, 1).tolerance(1e-5);
    let x = trial.input(DType::F32, numbers(rows * columns, 6));
    let x = trial.load(x, view);
    let square = trial.binary(Binary::Mul, x, x);
    let sum = trial.reduction(Reduction::Sum, square);
    let max = trial.reduction(Reduction::Max, x);
    let root = trial.unary(Unary::Sqrt, sum);
    trial.output(root);
    trial.output(max);
    trial
}

/// Softmax, and the logarithm of its sum: two reductions, one after the other.
fn softmax(rows: usize, columns: usize, dtype: DType, across: bool) -> Trial {
    let shape = Shape::new(&[rows, columns]);
    let view = match across {
        false => View::contiguous(shape),
        true => View::contiguous(Shape::new(&[columns, rows])).permute(&Permutation::new(&[1, 0])),
    };
    let mut trial = Trial::row(&shape, 1).tolerance(1e-5);
    let x = trial.input(dtype, numbers(shape.count(), 7).into_iter().map(|x| x * 6.0).collect());
    let x = trial.load(x, view);
    let x = trial.cast(x, DType::F32);
    let max = trial.reduction(Reduction::Max, x);
    let shifted = trial.binary(Binary::Sub, x, max);
    let powers = trial.unary(Unary::Exp, shifted);
    let sum = trial.reduction(Reduction::Sum, powers);
    let weights = trial.binary(Binary::Div, powers, sum);
    let scale = trial.constant(DType::F32, Scalar::Float(100.0));
    let scaled = trial.binary(Binary::Mul, weights, scale);
    let stored = trial.cast(scaled, dtype);
    trial.output(stored);
    let logarithm = trial.unary(Unary::Log, sum);
    trial.output(logarithm);
    trial
}
