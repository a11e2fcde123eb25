//! Transposing matrices: elements of 32 and 64 bits eight by eight or four by four in registers where there
//! is AVX2, others one by one in small blocks.
#![cfg_attr(
    target_arch = "x86_64",
    expect(
        unsafe_code,
        reason = "loads and stores by pointer; bounds are checked once before them"
    )
)]

use bytemuck::Pod;

use crate::simd::Level;

/// `out[column * out_step + row] = values[row * step + column]` for `rows` and `columns` of `values`.
pub(crate) fn transpose<T: Pod>(
    level: Level,
    values: &[T],
    step: usize,
    [rows, columns]: [usize; 2],
    out: &mut [T],
    out_step: usize,
) {
    if rows == 0 || columns == 0 {
        return;
    }
    assert!((rows - 1) * step + columns <= values.len(), "transpose: rows leave the source");
    assert!((columns - 1) * out_step + rows <= out.len(), "transpose: columns leave the target");
    #[cfg(target_arch = "x86_64")]
    if let Some(side) = x86::side(level, size_of::<T>()) {
        let (whole_rows, whole_columns) = (rows / side * side, columns / side * side);
        let whole = [whole_rows, whole_columns];
        // SAFETY: the level has AVX2, elements have the bytes of the type, and the assertions above cover
        // all whole blocks.
        unsafe {
            match side {
                8 => x86::blocks_of_4_bytes(
                    values.as_ptr().cast(),
                    step,
                    whole,
                    out.as_mut_ptr().cast(),
                    out_step,
                ),
                _ => x86::blocks_of_8_bytes(
                    values.as_ptr().cast(),
                    step,
                    whole,
                    out.as_mut_ptr().cast(),
                    out_step,
                ),
            }
        }
        simply(values, step, 0..rows, whole_columns..columns, out, out_step);
        simply(values, step, whole_rows..rows, 0..whole_columns, out, out_step);
        return;
    }
    let _ = level;
    simply(values, step, 0..rows, 0..columns, out, out_step);
}

fn simply<T: Pod>(
    values: &[T],
    step: usize,
    rows: std::ops::Range<usize>,
    columns: std::ops::Range<usize>,
    out: &mut [T],
    out_step: usize,
) {
    /// Rows and columns of a block, which stays in the first-level cache.
    const BLOCK: usize = 16;
    for first_row in rows.clone().step_by(BLOCK) {
        let last_row = rows.end.min(first_row + BLOCK);
        for first_column in columns.clone().step_by(BLOCK) {
            let last_column = columns.end.min(first_column + BLOCK);
            for column in first_column..last_column {
                let out = &mut out[column * out_step + first_row..column * out_step + last_row];
                for (row, slot) in (first_row..last_row).zip(out) {
                    *slot = values[row * step + column];
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::simd::Level;
    use crate::vector::{square_f32, square_f64};

    /// Rows and columns that are transposed in registers, of elements of so many bytes.
    pub(super) fn side(level: Level, bytes: usize) -> Option<usize> {
        match bytes {
            _ if level.name() == "baseline" => None,
            4 => Some(8),
            8 => Some(4),
            _ => None,
        }
    }

    macro_rules! blocks {
        ($name:ident, $element:ty, $side:literal, $square:ident, $store:ident) => {
            /// Whole blocks.
            ///
            /// # Safety
            /// All rows of the source and all columns of the target are in bounds.
            #[target_feature(enable = "avx2")]
            pub(super) unsafe fn $name(
                values: *const $element,
                step: usize,
                [rows, columns]: [usize; 2],
                out: *mut $element,
                out_step: usize,
            ) {
                for row in (0..rows).step_by($side) {
                    for column in (0..columns).step_by($side) {
                        // SAFETY: the caller vouches for whole blocks.
                        unsafe {
                            let transposed = $square(values.add(row * step + column), step);
                            let target = out.add(column * out_step + row);
                            for (index, vector) in transposed.into_iter().enumerate() {
                                $store(target.add(index * out_step), vector);
                            }
                        }
                    }
                }
            }
        };
    }

    blocks!(blocks_of_4_bytes, f32, 8, square_f32, _mm256_storeu_ps);
    blocks!(blocks_of_8_bytes, f64, 4, square_f64, _mm256_storeu_pd);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        rows_become_columns_of(|value| value as u16);
        rows_become_columns_of(|value| value as u32);
        rows_become_columns_of(|value| value as u64);
    }

    fn rows_become_columns_of<T: Pod + PartialEq + std::fmt::Debug>(element: impl Fn(usize) -> T) {
        for level in Level::available() {
            for [rows, columns] in [[1, 1], [8, 8], [16, 24], [9, 17], [33, 7], [0, 3]] {
                let (step, out_step) = (columns + 3, rows + 2);
                let values: Vec<T> = (0..rows * step).map(&element).collect();
                let mut out = vec![T::zeroed(); columns * out_step];
                transpose(level, &values, step, [rows, columns], &mut out, out_step);
                for row in 0..rows {
                    for column in 0..columns {
                        assert_eq!(out[column * out_step + row], values[row * step + column]);
                    }
                }
            }
        }
    }
}
