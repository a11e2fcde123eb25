//! Transposing matrices of 32-bit elements: eight by eight in registers where there is AVX2, element by
//! element in small blocks elsewhere.
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
    if size_of::<T>() == 4 && level.name() != "baseline" {
        let (whole_rows, whole_columns) = (rows / 8 * 8, columns / 8 * 8);
        // SAFETY: the level has AVX2, elements have four bytes, and the assertions above cover all
        // whole blocks.
        unsafe {
            x86::blocks(
                values.as_ptr().cast(),
                step,
                [whole_rows, whole_columns],
                out.as_mut_ptr().cast(),
                out_step,
            );
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

    /// Whole blocks of eight by eight.
    ///
    /// # Safety
    /// All rows of the source and all columns of the target are in bounds.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn blocks(
        values: *const f32,
        step: usize,
        [rows, columns]: [usize; 2],
        out: *mut f32,
        out_step: usize,
    ) {
        for row in (0..rows).step_by(8) {
            for column in (0..columns).step_by(8) {
                // SAFETY: the caller vouches for whole blocks.
                unsafe {
                    let source = values.add(row * step + column);
                    let loaded: [__m256; 8] =
                        std::array::from_fn(|index| _mm256_loadu_ps(source.add(index * step)));
                    let transposed = square(loaded);
                    let target = out.add(column * out_step + row);
                    for (index, vector) in transposed.into_iter().enumerate() {
                        _mm256_storeu_ps(target.add(index * out_step), vector);
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx2")]
    fn square(rows: [__m256; 8]) -> [__m256; 8] {
        let [a, b, c, d, e, f, g, h] = rows;
        // Pairs, then quadruples within each half, then the halves.
        let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
        let (ef_low, ef_high) = (_mm256_unpacklo_ps(e, f), _mm256_unpackhi_ps(e, f));
        let (gh_low, gh_high) = (_mm256_unpacklo_ps(g, h), _mm256_unpackhi_ps(g, h));
        let left = [
            _mm256_shuffle_ps::<0x44>(ab_low, cd_low),
            _mm256_shuffle_ps::<0xee>(ab_low, cd_low),
            _mm256_shuffle_ps::<0x44>(ab_high, cd_high),
            _mm256_shuffle_ps::<0xee>(ab_high, cd_high),
        ];
        let right = [
            _mm256_shuffle_ps::<0x44>(ef_low, gh_low),
            _mm256_shuffle_ps::<0xee>(ef_low, gh_low),
            _mm256_shuffle_ps::<0x44>(ef_high, gh_high),
            _mm256_shuffle_ps::<0xee>(ef_high, gh_high),
        ];
        [
            _mm256_permute2f128_ps::<0x20>(left[0], right[0]),
            _mm256_permute2f128_ps::<0x20>(left[1], right[1]),
            _mm256_permute2f128_ps::<0x20>(left[2], right[2]),
            _mm256_permute2f128_ps::<0x20>(left[3], right[3]),
            _mm256_permute2f128_ps::<0x31>(left[0], right[0]),
            _mm256_permute2f128_ps::<0x31>(left[1], right[1]),
            _mm256_permute2f128_ps::<0x31>(left[2], right[2]),
            _mm256_permute2f128_ps::<0x31>(left[3], right[3]),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        for level in Level::available() {
            for [rows, columns] in [[1, 1], [8, 8], [16, 24], [9, 17], [33, 7], [0, 3]] {
                let (step, out_step) = (columns + 3, rows + 2);
                let values: Vec<u32> = (0..(rows * step) as u32).collect();
                let mut out = vec![u32::MAX; columns * out_step];
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
