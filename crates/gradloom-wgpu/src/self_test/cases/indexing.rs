//! Gathers, scatters, scans, sorts, concatenation, writes.

use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_plan::{KernelKind, Space, View};
use gradloom_tensor::op::{ArgReduction, Binary};
use gradloom_tensor::{DType, Scalar, Shape};

use super::epilogue::{finish, store};
use crate::self_test::case::{Case, Work};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for dtype in [DType::F32, DType::F16, DType::U8] {
        cases.push(Case::of(format!("gather of {dtype}"), gather(dtype)));
        cases.push(Case::of(format!("concat of {dtype}"), concat(dtype)));
        cases.push(Case::of(format!("write of {dtype}, copied"), write(dtype)));
        let work = Work::InPlace(Box::new(write(dtype)));
        let name = format!("write of {dtype}, in place");
        cases.push(Case { name, work, adjust: |_| {} });
    }
    for (count, shared) in [(9, false), (100, true), (100, false), (33_000, true)] {
        let name = format!("scatter of {count}, shared {shared}");
        cases.push(Case::of(name, scatter(count, shared)));
    }
    for reverse in [false, true] {
        for (dims, axis) in [([5, 20, 3], 1), ([2, 3, 700], 2), ([9001, 1, 2], 0)] {
            for dtype in [DType::F32, DType::I32] {
                let name = format!("scan of {dtype} along {axis} of {dims:?}, reverse {reverse}");
                cases.push(Case::of(name, scan(dims, axis, reverse, dtype)));
            }
        }
    }
    for (dims, axis) in [([3, 40, 2], 1), ([2, 3, 700], 2), ([2, 100, 3], 1)] {
        for reduction in [ArgReduction::Max, ArgReduction::Min] {
            let name = format!("{reduction:?} place along {axis} of {dims:?}");
            cases.push(Case::of(name, arg_reduce(dims, axis, reduction)));
        }
    }
    for (dims, axis) in [([4, 10, 3], 1), ([2, 3, 1000], 2), ([1, 1, 5000], 2)] {
        for descending in [false, true] {
            let name = format!("sort along {axis} of {dims:?}, descending {descending}");
            cases.push(Case::of(name, sort(dims, axis, descending)));
        }
    }
    cases
}

fn gather(dtype: DType) -> Trial {
    let data = Shape::new(&[5, 6, 7]);
    let shape = data.with(1, 9);
    let index = View::contiguous(Shape::new(&[5, 9, 1])).expand(shape);
    let mut trial = Trial::structured(KernelKind::Gather { data, axis: 1, index }, shape);
    trial.input(dtype, integers(data.count(), 0, 100, 1));
    trial.input(DType::I32, integers(45, 0, 6, 2));
    store(&mut trial, dtype);
    trial
}

fn concat(dtype: DType) -> Trial {
    let base = Shape::new(&[3, 4, 5]);
    let parts: Vec<Shape> = [2, 0, 7, 1].iter().map(|&size| base.with(1, size)).collect();
    let kind = KernelKind::Concat { axis: 1, parts: parts.clone() };
    let mut trial = Trial::structured(kind, base.with(1, 10));
    for (part, seed) in parts.iter().zip(1..) {
        trial.input(dtype, integers(part.count(), 0, 90, seed));
    }
    store(&mut trial, dtype);
    trial
}

/// A write of `2 x`, at a place of its own for every batch element.
fn write(dtype: DType) -> Trial {
    let (data, update) = (Shape::new(&[2, 3, 9, 4]), Shape::new(&[2, 3, 4, 4]));
    let start = View::contiguous(Shape::new(&[2]));
    let kind = KernelKind::Write { data, axis: 2, start };
    let mut trial = Trial::new(kind, Space::elements(update)).tolerance(0.0);
    trial.input(dtype, integers(data.count(), 0, 90, 1));
    trial.input(DType::I32, vec![1.0, 5.0]);
    let x = trial.input(dtype, integers(update.count(), 0, 90, 3));
    let x = trial.load(x, View::contiguous(update));
    let two = trial.constant(dtype, Scalar::Int(2));
    let value = trial.binary(Binary::Mul, x, two);
    trial.output_of(value, data.count());
    trial
}

fn scatter(count: usize, shared: bool) -> Trial {
    let shape = Shape::new(&[5, 3]);
    let updates = shape.with(0, count);
    let index = match shared {
        true => View::contiguous(updates.with(1, 1)).expand(updates),
        false => View::contiguous(updates),
    };
    let kind = KernelKind::ScatterAdd { axis: 0, index, updates: View::contiguous(updates) };
    let mut trial = Trial::structured(kind, shape).tolerance(1e-4);
    // Some indices lie outside and are skipped.
    let indices = if shared { count } else { updates.count() };
    trial.input(DType::I32, integers(indices, -1, 6, 3));
    trial.input(DType::F32, numbers(updates.count(), 4));
    finish(&mut trial, DType::F32);
    trial
}

fn scan(dims: [usize; 3], axis: usize, reverse: bool, dtype: DType) -> Trial {
    let shape = Shape::new(&dims);
    let mut trial = Trial::structured(KernelKind::Scan { axis, reverse }, shape).tolerance(1e-4);
    let values = match dtype {
        DType::I32 => integers(shape.count(), -9, 9, 1),
        _ => numbers(shape.count(), 1),
    };
    trial.input(dtype, values);
    finish(&mut trial, dtype);
    trial
}

fn arg_reduce(dims: [usize; 3], axis: usize, reduction: ArgReduction) -> Trial {
    let input = Shape::new(&dims);
    let kind = KernelKind::ArgReduce { reduction, input, axis };
    let mut trial = Trial::structured(kind, input.with(axis, 1));
    let mut values = integers(input.count(), 0, 20, 5);
    values[input.count() / 2] = f64::NAN;
    trial.input(DType::F32, values);
    finish(&mut trial, DType::I32);
    trial
}

fn sort(dims: [usize; 3], axis: usize, descending: bool) -> Trial {
    let shape = Shape::new(&dims);
    let mut trial = Trial::structured(KernelKind::ArgSort { axis, descending }, shape);
    let mut values = integers(shape.count(), -40, 40, 6);
    let middle = values.len() / 2;
    values[middle] = f64::NAN;
    values[middle / 2] = f64::INFINITY;
    values[middle / 3] = -0.0;
    trial.input(DType::F32, values);
    finish(&mut trial, DType::I32);
    trial
}
