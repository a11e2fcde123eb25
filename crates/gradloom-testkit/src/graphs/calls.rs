//! Short names for arguments that printed recipes need.

use std::sync::OnceLock;

use gradloom_tensor::op::Op;
use gradloom_tensor::{BlockFormat, DType, Device, Slice, SliceRange, Tensor};

use super::pattern::Pattern;

/// Pairs of numbers, for [`Tensor::pad`].
pub fn pairs(sizes: &[usize]) -> Vec<(usize, usize)> {
    sizes.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Sizes after the first three.
pub fn tail(sizes: &[usize]) -> &[usize] {
    &sizes[3..]
}

/// Start, end and step of every axis, for [`Tensor::slice`].
pub fn steps(numbers: &[isize]) -> Slice {
    let range = |part: &[isize]| SliceRange::Range {
        start: Some(part[0]),
        end: Some(part[1]),
        step: part[2],
    };
    Slice::new(numbers.chunks_exact(3).map(range).collect())
}

/// A value that is used after another.
pub fn barrier(value: &Tensor, after: &Tensor) -> Tensor {
    let inputs = vec![value.clone(), after.clone()];
    Tensor::from_op(Op::Barrier, inputs, *value.shape(), value.dtype(), value.device())
}

/// A running sum from the end.
pub fn cumsum_from_end(value: &Tensor, axis: usize) -> Tensor {
    let op = Op::Scan { axis, reverse: true };
    Tensor::from_op(op, vec![value.clone()], *value.shape(), value.dtype(), value.device())
}

/// A mask in which every query sees the first key: one that sees nothing has no meaning.
pub fn seen(mask: &Tensor) -> Tensor {
    mask.logical_or(Tensor::iota(*mask.shape(), -1, mask.device()).eq(0))
}

/// A matrix in blocks.
///
/// # Panics
/// If the device refuses it.
pub fn blocks(
    format: BlockFormat,
    [rows, columns]: [usize; 2],
    seed: usize,
    on: &Device,
) -> Tensor {
    let values: Vec<f32> = Pattern::Small
        .values(DType::F32, rows * columns, seed as u64)
        .into_iter()
        .map(|value| value as f32)
        .collect();
    let mut bytes = vec![0; values.len() / format.elements() * format.bytes()];
    format.encode(&values, &mut bytes);
    Tensor::from_blocks(format, [rows, columns], &bytes, on)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A value that has been on another device, where something was made of it that is exact. The reference knows
/// the errors of what it computes itself alone, so there it stays.
pub fn there_and_back(value: &Tensor) -> Tensor {
    static OTHER: OnceLock<Device> = OnceLock::new();
    let (own, other) = (value.device(), OTHER.get_or_init(crate::reference::device));
    if own.name() == "reference" {
        return barrier(value, value);
    }
    match value.dtype().is_float() {
        true => value.to_device(other).neg().to_device(own).neg(),
        false => value.to_device(other).to_device(own),
    }
}
