//! Matrices in quantized blocks: their numbers, their rows at indices, products with them.

use gradloom_tensor::blocks::interleave;
use gradloom_tensor::{BlockFormat, DType, Shape};

use super::fault::Fault;
use super::indexing::checked;
use super::matmul::dot;
use super::operand::{Operand, Operands, for_each};
use crate::view::View;

/// The numbers of a matrix.
pub(super) fn numbers(
    format: BlockFormat,
    [rows, columns]: [usize; 2],
    operand: &Operand,
) -> Result<Vec<f64>, Fault> {
    let whole = columns.is_multiple_of(format.elements());
    Fault::unless(whole, || format!("{format}: {columns} columns are no whole blocks"))?;
    Fault::unless(operand.dtype == DType::U32, || format!("{format}: words of {}", operand.dtype))?;
    let words = interleave::bytes(format, rows, columns) / 4;
    let words = operand.whole(Shape::new(&[words]))?;
    let bytes: Vec<u8> = words.iter().flat_map(|&word| (word as u32).to_ne_bytes()).collect();
    let mut values = vec![0.0; rows * columns];
    format.decode(&interleave::plain(format, rows, columns, &bytes), &mut values);
    Ok(values.into_iter().map(f64::from).collect())
}

/// The whole matrix, which is the space.
pub(super) fn dequantize(
    format: BlockFormat,
    space: &Shape,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    Fault::unless(space.rank() == 2, || format!("dequantize: a matrix of shape {space}"))?;
    numbers(format, [space[0], space[1]], operands.get(0)?)
}

/// `[m, k]` times the transpose of matrices whose rows follow one another.
pub(super) fn product(
    lhs: &View,
    parts: &[(BlockFormat, usize)],
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    Fault::unless(lhs.shape.rank() == 2, || format!("quantized matmul: lhs {}", lhs.shape))?;
    let inner = lhs.shape[1];
    let left = operands.get(0)?.load(lhs)?;
    let mut matrix = Vec::new();
    for (part, &(format, rows)) in parts.iter().enumerate() {
        matrix.extend(numbers(format, [rows, inner], operands.get(part + 1)?)?);
    }
    let columns: usize = parts.iter().map(|part| part.1).sum();
    let mut result = Vec::with_capacity(lhs.shape[0] * columns);
    for row in 0..lhs.shape[0] {
        let left = &left[row * inner..][..inner];
        for column in 0..columns {
            let right = &matrix[column * inner..][..inner];
            result.push(dot(DType::F32, left.iter().zip(right)));
        }
    }
    Ok(result)
}

/// Rows at indices.
pub(super) fn rows(
    (format, rows): (BlockFormat, usize),
    index: &View,
    space: &Shape,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let fit = space.rank() == 2 && index.shape[..] == space[..1];
    Fault::unless(fit, || format!("quantized rows: indices {} for {space}", index.shape))?;
    let columns = space[1];
    let matrix = numbers(format, [rows, columns], operands.get(0)?)?;
    let indices = operands.get(1)?;
    let mut result = Vec::with_capacity(space.count());
    for_each(&index.shape, |coordinate| {
        let row = checked(1, indices.at(index, coordinate)?, rows)?;
        result.extend(&matrix[row * columns..][..columns]);
        Ok(())
    })?;
    Ok(result)
}
