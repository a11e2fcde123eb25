//! Matrices of stored elements that become lanes block by block, while they are packed or multiplied: a
//! product of f16 or bf16, or of operands that are cast as they are read, makes no converted copy of one.

use bytemuck::Pod;

use super::lanes::with_bits;
use super::matrix::Matrix;
use super::product::Number;
use super::reading::Reading;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::transpose::transpose;

/// Rows of a left matrix that become lanes at a time: whole tiles of every height, and whole panels of
/// most widths.
const LANE_ROWS: usize = 96;
/// Rows of a panel that become lanes at a time, so that they are in the cache when they are packed.
const PACKED_ROWS: usize = 128;

/// A matrix of stored elements; offset and strides count elements.
#[derive(Clone, Copy)]
pub(super) struct StoredMatrix<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) reading: Reading,
    pub(super) offset: isize,
    pub(super) strides: [isize; 2],
}

impl<'a> StoredMatrix<'a> {
    /// The same matrix from another row and column on.
    pub(super) fn from(self, row: usize, column: usize) -> StoredMatrix<'a> {
        let offset =
            self.offset + row as isize * self.strides[0] + column as isize * self.strides[1];
        StoredMatrix { offset, ..self }
    }

    /// Rows as columns.
    pub(super) fn transposed(self) -> StoredMatrix<'a> {
        StoredMatrix { strides: [self.strides[1], self.strides[0]], ..self }
    }

    /// The matrix itself as lanes, if its elements are stored as such.
    pub(super) fn plain<T: Pod>(self) -> Option<Matrix<'a, T>> {
        self.reading.is_plain().then(|| self.elements())
    }

    /// The elements as they are stored.
    fn elements<S: Pod>(self) -> Matrix<'a, S> {
        let StoredMatrix { bytes, offset, strides, .. } = self;
        Matrix { values: bytemuck::cast_slice(bytes), offset, strides }
    }

    /// All elements as lanes, row by row.
    pub(super) fn load<T: Pod>(self, level: Level, size: [usize; 2], out: &mut [T]) {
        with_bits!(self.reading.stored, |S| {
            load_block::<S, T>(level, self.reading, self.elements(), size, out);
        });
    }
}

fn load_block<S: Pod, T: Pod>(
    level: Level,
    reading: Reading,
    matrix: Matrix<'_, S>,
    [rows, columns]: [usize; 2],
    out: &mut [T],
) {
    matrix.check(rows, columns);
    if rows == 0 || columns == 0 {
        return;
    }
    let out = &mut out[..rows * columns];
    let offset = matrix.offset as usize;
    match matrix.strides {
        [step, 1] if step >= 0 => {
            let source = &matrix.values[offset..];
            reading.load(level, source, step as usize, [rows, columns], out, columns);
        }
        [1, step] if step >= 0 => {
            let mut moved = Scratch::take::<S>(rows * columns);
            let source = &matrix.values[offset..];
            transpose(level, source, step as usize, [columns, rows], moved.get_mut(), columns);
            reading.load(level, moved.get::<S>(), columns, [rows, columns], out, columns);
        }
        [row_step, column_step] => {
            let mut moved = Scratch::take::<S>(columns);
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                let mut at = matrix.offset + row as isize * row_step;
                for slot in &mut moved.get_mut::<S>()[..columns] {
                    *slot = matrix.values[at as usize];
                    at += column_step;
                }
                reading.load(level, moved.get::<S>(), 0, [1, columns], out, columns);
            }
        }
    }
}

/// As [`Number::multiply`] on matrices of stored elements.
pub(super) fn multiply<T: Number>(
    level: Level,
    out: &mut [T],
    [m, n, k]: [usize; 3],
    lhs: StoredMatrix<'_>,
    rhs: StoredMatrix<'_>,
) {
    if let (Some(lhs), Some(rhs)) = (lhs.plain(), rhs.plain()) {
        return T::multiply(level, out, n, [m, n, k], lhs, rhs);
    }
    let (mut left, mut right) = (Scratch::take::<T>(m * k), Scratch::take::<T>(k * n));
    lhs.load(level, [m, k], left.get_mut::<T>());
    rhs.load(level, [k, n], right.get_mut::<T>());
    let lhs = Matrix { values: left.get(), offset: 0, strides: [k as isize, 1] };
    let rhs = Matrix { values: right.get(), offset: 0, strides: [n as isize, 1] };
    T::multiply(level, out, n, [m, n, k], lhs, rhs);
}

/// Rows of a result (rows, columns and inner size), made by `multiply` of rows of lanes: all at once where
/// the left matrix is stored as lanes, else some at a time, which become such.
pub(super) fn multiply_rows<T: Number>(
    level: Level,
    out: &mut [T],
    [rows, columns, inner]: [usize; 3],
    lhs: StoredMatrix<'_>,
    multiply: impl Fn(&mut [T], [usize; 3], Matrix<'_, T>),
) {
    if let Some(lhs) = lhs.plain() {
        return multiply(out, [rows, columns, inner], lhs);
    }
    let mut lanes = Scratch::take::<T>(LANE_ROWS.min(rows) * inner);
    let outs = out[..rows * columns].chunks_mut((LANE_ROWS * columns).max(1));
    for (index, out) in outs.enumerate() {
        let first = index * LANE_ROWS;
        let count = LANE_ROWS.min(rows - first);
        lhs.from(first, 0).load(level, [count, inner], lanes.get_mut::<T>());
        let lhs = Matrix { values: lanes.get(), offset: 0, strides: [inner as isize, 1] };
        multiply(out, [count, columns, inner], lhs);
    }
}

/// As [`Number::pack_columns`] on a matrix of stored elements, panel by panel.
pub(super) fn pack_columns<T: Number>(
    level: Level,
    rhs: StoredMatrix<'_>,
    inner: usize,
    columns: std::ops::Range<usize>,
    packed: &mut [T],
) {
    if let Some(rhs) = rhs.plain() {
        return T::pack_columns(level, rhs, inner, columns, packed);
    }
    let width = T::panel_width(level);
    let mut block = Scratch::take::<T>(PACKED_ROWS.min(inner) * width);
    for (index, panel) in packed.chunks_mut((inner * width).max(1)).enumerate() {
        let first = columns.start + index * width;
        let count = width.min(columns.end.saturating_sub(first));
        let own = T::packed_len(level, count, 1);
        let rhs = rhs.from(0, first);
        if count == own && rhs.strides[1] == 1 && rhs.strides[0] >= 0 {
            // The columns of a panel, row by row, are how it is packed.
            rhs.load(level, [inner, count], panel);
            continue;
        }
        for (part, panel) in panel.chunks_mut((PACKED_ROWS * own).max(1)).enumerate() {
            let row = part * PACKED_ROWS;
            let rows = PACKED_ROWS.min(inner.saturating_sub(row));
            let lanes = block.get_mut::<T>();
            rhs.from(row, 0).load(level, [rows, count], lanes);
            let strides = [count as isize, 1];
            let lanes = Matrix { values: &lanes[..rows * count], offset: 0, strides };
            T::pack_columns(level, lanes, rows, 0..count, panel);
        }
    }
}
