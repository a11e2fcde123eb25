//! Matrices in blocks: numbers, rows and products of every format.

use gradloom_plan::trial::{Trial, block_words, integers, numbers};
use gradloom_plan::{KernelKind, Space, View};
use gradloom_tensor::{BlockFormat, DType, Shape};

use super::epilogue::finish;
use crate::self_test::case::Case;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for format in BlockFormat::ALL {
        let (rows, columns) = (19, 2 * format.elements());
        let shape = Shape::new(&[rows, columns]);
        let mut trial = Trial::new(KernelKind::Dequantize(format), Space::elements(shape));
        trial.input(DType::U32, block_words(format, rows, columns, 1));
        finish(&mut trial, DType::F32);
        cases.push(Case::of(format!("numbers of {format}"), trial));

        let index = View::contiguous(Shape::new(&[7]));
        let kind = KernelKind::QuantizedRows { format, rows, index };
        let mut trial = Trial::new(kind, Space::elements(Shape::new(&[7, columns])));
        trial.input(DType::U32, block_words(format, rows, columns, 2));
        trial.input(DType::I32, integers(7, 0, rows as i64, 3));
        finish(&mut trial, DType::F32);
        cases.push(Case::of(format!("rows of {format}"), trial));

        for m in [3, 11] {
            let name = format!("product of {m} rows with {format}");
            cases.push(Case::of(name, product(m, columns, &[(format, rows)])));
        }
    }
    let several = [(BlockFormat::Q4_K, 48), (BlockFormat::Q6_K, 20), (BlockFormat::Q8_0, 5)];
    for m in [4, 20] {
        cases.push(Case::of(format!("product of {m} rows with three"), product(m, 512, &several)));
    }
    cases
}

fn product(m: usize, inner: usize, parts: &[(BlockFormat, usize)]) -> Trial {
    let lhs = View::contiguous(Shape::new(&[m, inner]));
    let kind = KernelKind::QuantizedMatmul { lhs, parts: parts.to_vec() };
    let columns = parts.iter().map(|part| part.1).sum();
    let mut trial = Trial::new(kind, Space::elements(Shape::new(&[m, columns]))).tolerance(1e-4);
    trial.input(DType::F32, numbers(m * inner, 4));
    for (&(format, rows), seed) in parts.iter().zip(5..) {
        trial.input(DType::U32, block_words(format, rows, inner, seed));
    }
    finish(&mut trial, DType::F32);
    trial
}
