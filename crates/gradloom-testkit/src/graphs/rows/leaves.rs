//! Rows without operands.

use gradloom_tensor::{BlockFormat, Key, Scalar, Shape, Tensor};

use super::{Row, row};
use crate::graphs::fill::values;
use crate::graphs::{Fill, filled};

const fn shaped(row: Row) -> Row {
    Row { is_shaped: true, ..row }
}

pub(super) const ROWS: &[Row] = &[
    shaped(row("leaf", "{leaf}", |_, p, device| {
        filled(p.fill, p.seed, &p.sizes, p.dtype, device)
    })),
    shaped(row(
        "constant",
        "Tensor::constant({number}, {sizes}, {dtype}, &device)",
        |_, p, device| Tensor::constant(scalar(p), Shape::new(&p.sizes), p.dtype, device),
    )),
    Row {
        is_argument: true,
        ..shaped(row("full", "Tensor::full({sizes}, {number}, {dtype}, &device)", |_, p, device| {
            Tensor::full(Shape::new(&p.sizes), scalar(p), p.dtype, device)
        }))
    },
    shaped(row("iota", "Tensor::iota({sizes}, {axis}, &device)", |_, p, device| {
        Tensor::iota(Shape::new(&p.sizes), p.axes[0], device)
    })),
    shaped(row(
        "random_bits",
        "Tensor::random_bits(Key::new({seed}), {sizes}, &device)",
        |_, p, device| Tensor::random_bits(Key::new(p.seed), Shape::new(&p.sizes), device),
    )),
    shaped(row(
        "uniform",
        "Tensor::uniform(Key::new({seed}), {sizes}, -1.0, 1.0, &device)",
        |_, p, device| Tensor::uniform(Key::new(p.seed), Shape::new(&p.sizes), -1.0, 1.0, device),
    )),
    shaped(row(
        "normal",
        "Tensor::normal(Key::new({seed}), {sizes}, 0.0, 1.0, &device)",
        |_, p, device| Tensor::normal(Key::new(p.seed), Shape::new(&p.sizes), 0.0, 1.0, device),
    )),
    row(
        "blocks",
        "filled(Fill::Fine, {seed}, &[{s0}, {s1}], DType::F32, &device).quantize(BlockFormat::ALL[{s2}]).unwrap()",
        |_, p, device| {
            let format = BlockFormat::ALL[p.sizes[2]];
            let [rows, columns] = [p.sizes[0], p.sizes[1]];
            let numbers: Vec<f32> = values(Fill::Fine, p.seed, rows * columns, gradloom_tensor::DType::F32)
                .into_iter()
                .map(|value| value as f32)
                .collect();
            let mut blocks = vec![0; numbers.len() / format.elements() * format.bytes()];
            format.encode(&numbers, &mut blocks);
            Tensor::from_blocks(format, [rows, columns], &blocks, device)
                .unwrap_or_else(|error| panic!("{error}"))
        },
    ),
];

/// The number in the variant that fits the dtype, as a literal of Rust would be.
pub(super) fn scalar(p: &crate::graphs::Parameters) -> Scalar {
    Scalar::Float(p.number).cast(p.dtype)
}
