//! Products of matrices: tiles of all shapes, operands turned either way, vectors, parts, bytes.

use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_plan::{Factors, KernelKind, Space, View};
use gradloom_tensor::op::Permutation;
use gradloom_tensor::{DType, Shape};

use super::epilogue::{finish, store};
use crate::self_test::case::Case;

const WAYS: [[bool; 2]; 4] = [[false, false], [true, false], [false, true], [true, true]];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for turned in WAYS {
        for size in [[65, 33, 67], [64, 20, 68]] {
            let trial = product(&[], size, turned, DType::F32);
            cases.push(Case::of(format!("product of {size:?}, turned {turned:?}"), trial));
        }
        for size in [[130, 21, 133], [132, 20, 136]] {
            let trial = product(&[], size, turned, DType::F32);
            let case = Case::of(format!("large tiles of {size:?}, turned {turned:?}"), trial);
            cases.push(case.adjusted(|target| target.busy_workgroups = 4));
        }
        let trial = product(&[], [72, 68, 36], turned, DType::I8);
        cases.push(Case::of(format!("product of bytes, turned {turned:?}"), trial));
        let trial = product(&[], [33, 31, 29], turned, DType::I8);
        cases.push(Case::of(format!("odd product of bytes, turned {turned:?}"), trial));
    }
    cases.push(Case::of("thin product", product(&[], [5, 40, 300], [false, true], DType::F32)));
    cases.push(Case::of("tall product", product(&[], [300, 40, 5], [false, false], DType::F32)));
    cases.push(Case::of("narrow product", product(&[], [3, 200, 70], [false, true], DType::F32)));
    cases.push(Case::of("product in batches", product(&[3, 2], [20, 9, 70], WAYS[2], DType::F32)));
    cases.push(Case::of("product of i32", product(&[], [9, 50, 11], WAYS[0], DType::I32)));
    for dtype in [DType::F16, DType::BF16] {
        for turned in [WAYS[0], WAYS[2]] {
            let trial = product(&[], [36, 40, 68], turned, dtype);
            cases.push(Case::of(format!("product of {dtype}, turned {turned:?}"), trial));
        }
    }
    for turned in [WAYS[0], WAYS[3]] {
        let trial = product(&[], [20, 1001, 24], turned, DType::F32).tolerance(1e-4);
        cases.push(Case::of(format!("product in parts, turned {turned:?}"), trial));
    }
    let long = product(&[], [18, 9001, 20], WAYS[0], DType::F32).tolerance(2e-4);
    let whole = |target: &mut crate::codegen::Target| {
        (target.parts_max, target.busy_workgroups) = (0, 1);
    };
    cases.push(Case::of("long product in one part", long).adjusted(whole));
    cases
}

/// A product `[batch.., m, k] x [batch.., k, n]` with operands that are stored turned if asked.
fn product(batch: &[usize], [m, k, n]: [usize; 3], turned: [bool; 2], dtype: DType) -> Trial {
    let shape = |rows: usize, columns: usize| Shape::new(&[batch, &[rows, columns]].concat());
    let mut order: Vec<usize> = (0..batch.len() + 2).collect();
    order.swap(batch.len(), batch.len() + 1);
    let view = |rows: usize, columns: usize, turned: bool| match turned {
        true => View::contiguous(shape(columns, rows)).permute(&Permutation::new(&order)),
        false => View::contiguous(shape(rows, columns)),
    };
    let (lhs, rhs) = (view(m, k, turned[0]), view(k, n, turned[1]));
    let kind = KernelKind::Matmul { lhs, rhs, factors: Factors::of(dtype) };
    let mut trial = Trial::new(kind, Space::elements(shape(m, n))).tolerance(5e-5);
    let values = |count, seed| match dtype {
        DType::I8 => integers(count, -128, 128, seed),
        DType::I32 => integers(count, -90, 90, seed),
        _ => numbers(count, seed),
    };
    trial.input(dtype, values(lhs.shape.count(), 1));
    trial.input(dtype, values(rhs.shape.count(), 2));
    match dtype {
        DType::I8 => finish(&mut trial, DType::I32),
        DType::F32 | DType::I32 => finish(&mut trial, dtype),
        _ => store(&mut trial, dtype),
    }
    trial
}
