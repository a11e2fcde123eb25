//! [`Matrix`]: rows and columns somewhere in a slice, at any distance.

use bytemuck::Pod;

use crate::scratch::Scratch;
use crate::simd::Level;
use crate::transpose::transpose;

/// A matrix somewhere in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    /// What it lies in.
    pub(crate) values: &'a [T],
    /// Position of its first element.
    pub(crate) offset: isize,
    /// Elements from one row to the next, and from one column to the next.
    pub(crate) strides: [isize; 2],
}

impl<'a, T> Matrix<'a, T> {
    /// The same matrix from another row and column on.
    #[inline(always)]
    pub(crate) fn from(self, row: usize, column: usize) -> Matrix<'a, T> {
        let offset =
            self.offset + row as isize * self.strides[0] + column as isize * self.strides[1];
        Matrix { offset, ..self }
    }

    /// Rows as columns.
    pub(crate) fn transposed(self) -> Matrix<'a, T> {
        Matrix { strides: [self.strides[1], self.strides[0]], ..self }
    }

    /// Panics unless all elements of a matrix of this size lie in the slice.
    pub(crate) fn check(&self, rows: usize, columns: usize) {
        let (mut low, mut high) = (self.offset, self.offset);
        for (size, stride) in [rows, columns].into_iter().zip(self.strides) {
            let reach = (size as isize - 1) * stride;
            low += reach.min(0);
            high += reach.max(0);
        }
        assert!(
            rows == 0 || columns == 0 || (low >= 0 && (high as usize) < self.values.len()),
            "product: a matrix of {rows} x {columns} leaves its buffer of {}",
            self.values.len()
        );
    }
}

impl<'a, T: Pod> Matrix<'a, T> {
    /// Copies some rows and columns to rows that are `step` apart.
    pub(crate) fn copy(
        self,
        level: Level,
        [rows, columns]: [usize; 2],
        out: &mut [T],
        step: usize,
    ) {
        if rows == 0 || columns == 0 {
            return;
        }
        self.check(rows, columns);
        let from = self.offset as usize;
        match self.strides {
            [row_step, 1] if row_step >= 0 => {
                for row in 0..rows {
                    let from = from + row * row_step as usize;
                    let source = &self.values[from..from + columns];
                    copy_row(source, &mut out[row * step..row * step + columns]);
                }
            }
            [1, column_step] if column_step >= 0 => {
                let values = &self.values[from..];
                transpose(level, values, column_step as usize, [columns, rows], out, step);
            }
            [row_step, column_step] => {
                for row in 0..rows {
                    let mut at = self.offset + row as isize * row_step;
                    for slot in &mut out[row * step..row * step + columns] {
                        *slot = self.values[at as usize];
                        at += column_step;
                    }
                }
            }
        }
    }

    /// All elements row by row without gaps: as they lie, or copied.
    pub(crate) fn contiguous<'b>(
        self,
        level: Level,
        [rows, columns]: [usize; 2],
        copy: &'b mut Scratch,
    ) -> &'b [T]
    where
        'a: 'b,
    {
        let [row_step, column_step] = self.strides;
        if (column_step == 1 || columns == 1) && (row_step == columns as isize || rows == 1) {
            self.check(rows, columns);
            return match rows * columns {
                0 => &[],
                count => &self.values[self.offset as usize..][..count],
            };
        }
        self.copy(level, [rows, columns], copy.get_mut(), columns);
        copy.get()
    }
}

/// Short rows are copied in registers: a call for each would take longer than the copy.
#[inline]
fn copy_row<T: Pod>(source: &[T], target: &mut [T]) {
    const LANES: usize = 8;
    if source.len() > 8 * LANES {
        return target.copy_from_slice(source);
    }
    let (source, source_rest) = source.as_chunks::<LANES>();
    let (target, target_rest) = target.as_chunks_mut::<LANES>();
    for (target, source) in target.iter_mut().zip(source) {
        *target = *source;
    }
    for (target, source) in target_rest.iter_mut().zip(source_rest) {
        *target = *source;
    }
}
