//! Matrices of stored elements that become lanes block by block, while they are packed or multiplied: a
//! product of f16 or bf16 makes no converted copy of an operand.

use bytemuck::Pod;
use gradloom_tensor::DType;

use super::matrix::Matrix;
use super::product::Number;
use crate::convert::Lane;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::tile::load_contiguous;
use crate::transpose::transpose;

/// The matrix itself as lanes, if its elements are stored as such.
pub(super) fn plain<S: Pod, T: Pod>(dtype: DType, matrix: Matrix<'_, S>) -> Option<Matrix<'_, T>> {
    let Matrix { values, offset, strides } = matrix;
    Lane::stores(dtype).then(|| Matrix { values: bytemuck::cast_slice(values), offset, strides })
}

/// All elements of a matrix as lanes, row by row.
pub(super) fn load_block<S: Pod, T: Pod>(
    level: Level,
    dtype: DType,
    matrix: Matrix<'_, S>,
    [rows, columns]: [usize; 2],
    out: &mut [T],
) {
    matrix.check(rows, columns);
    if rows == 0 || columns == 0 {
        return;
    }
    let out = &mut out[..rows * columns];
    let convert = |values: &[S], out: &mut [T]| {
        let (stored, lanes) = (bytemuck::cast_slice(values), bytemuck::cast_slice_mut(out));
        load_contiguous(level, dtype, stored, lanes);
    };
    let offset = matrix.offset as usize;
    match matrix.strides {
        [step, 1] => {
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                let first = (matrix.offset + row as isize * step) as usize;
                convert(&matrix.values[first..first + columns], out);
            }
        }
        [1, step] if step >= 0 => {
            let mut moved = Scratch::take::<S>(rows * columns);
            let source = &matrix.values[offset..];
            transpose(level, source, step as usize, [columns, rows], moved.get_mut(), columns);
            convert(&moved.get::<S>()[..rows * columns], out);
        }
        [row_step, column_step] => {
            let mut moved = Scratch::take::<S>(columns);
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                let mut at = matrix.offset + row as isize * row_step;
                for slot in &mut moved.get_mut::<S>()[..columns] {
                    *slot = matrix.values[at as usize];
                    at += column_step;
                }
                convert(&moved.get::<S>()[..columns], out);
            }
        }
    }
}

/// As [`Number::multiply`] on matrices of stored elements.
pub(super) fn multiply<S: Pod, T: Number>(
    level: Level,
    dtype: DType,
    out: &mut [T],
    [m, n, k]: [usize; 3],
    lhs: Matrix<'_, S>,
    rhs: Matrix<'_, S>,
) {
    if let (Some(lhs), Some(rhs)) = (plain(dtype, lhs), plain(dtype, rhs)) {
        return T::multiply(level, out, n, [m, n, k], lhs, rhs);
    }
    let (mut left, mut right) = (Scratch::take::<T>(m * k), Scratch::take::<T>(k * n));
    load_block(level, dtype, lhs, [m, k], left.get_mut::<T>());
    load_block(level, dtype, rhs, [k, n], right.get_mut::<T>());
    let lhs = Matrix { values: left.get(), offset: 0, strides: [k as isize, 1] };
    let rhs = Matrix { values: right.get(), offset: 0, strides: [n as isize, 1] };
    T::multiply(level, out, n, [m, n, k], lhs, rhs);
}

/// As [`Number::pack_columns`] on a matrix of stored elements, panel by panel.
pub(super) fn pack_columns<S: Pod, T: Number>(
    level: Level,
    dtype: DType,
    rhs: Matrix<'_, S>,
    inner: usize,
    columns: std::ops::Range<usize>,
    packed: &mut [T],
) {
    if let Some(rhs) = plain(dtype, rhs) {
        return T::pack_columns(level, rhs, inner, columns, packed);
    }
    let width = T::panel_width(level);
    let mut block = Scratch::take::<T>(inner * width);
    for (index, panel) in packed.chunks_mut((inner * width).max(1)).enumerate() {
        let first = columns.start + index * width;
        let count = width.min(columns.end.saturating_sub(first));
        let lanes = block.get_mut::<T>();
        load_block(level, dtype, rhs.from(0, first), [inner, count], lanes);
        let strides = [count as isize, 1];
        let lanes = Matrix { values: &lanes[..inner * count], offset: 0, strides };
        T::pack_columns(level, lanes, inner, 0..count, panel);
    }
}
