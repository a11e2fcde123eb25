//! Thin products with a matrix whose rows are contiguous: multiples of them are added.
#![expect(unsafe_code, reason = "the loop reads by pointer; bounds are checked once before it")]

use crate::kernels::matrix::Matrix;
use crate::kernels::tiles::{DEPTH, Tiled};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Vector, VectorTask};

/// Columns of sums that stay in the first-level cache while rows are added.
const COLUMNS: usize = 1024;
/// Rows that are added together.
const TOGETHER: usize = 8;

/// Adds multiples of the right matrix's rows, which are contiguous. Columns are whole vectors.
pub(super) fn multiply_rows<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    rhs.check(inner, columns);
    let mut left = Scratch::take::<T>(rows * inner);
    let left = lhs.contiguous(level, [rows, inner], &mut left);
    let chunk = (COLUMNS / rows).next_multiple_of(T::tiles(level).lanes);
    let mut sums = Scratch::take::<T>(rows * chunk.min(columns));
    for first in (0..columns).step_by(chunk) {
        let count = chunk.min(columns - first);
        let sums = &mut sums.get_mut()[..rows * count];
        for block in 0..inner.div_ceil(DEPTH) {
            let depth = DEPTH.min(inner - block * DEPTH);
            let values = &rhs.values[rhs.from(block * DEPTH, first).offset as usize..];
            let factors = &left[block * DEPTH..];
            let step = rhs.strides[0] as usize;
            let size = [rows, count, depth];
            T::dispatch(level, AddRows { factors, factor_step: inner, values, step, size, sums });
            for (row, sums) in sums.chunks_exact(count).enumerate() {
                let out = &mut out[row * out_stride + first..][..count];
                match block {
                    0 => out.copy_from_slice(sums),
                    _ => add(level, sums, out),
                }
            }
        }
    }
}

vectorized! {
    /// Adds the sums of a block to those of the blocks before it.
    fn add['a][T: Real](sums: &'a [T], totals: &'a mut [T]) {
        for (total, &sum) in totals.iter_mut().zip(sums) {
            *total = T::fused::<FMA>(sum, T::ONE, *total);
        }
    }
}

/// `sums[row][column] = sum over inner of factors[row][inner] * values[inner][column]`.
struct AddRows<'a, T> {
    factors: &'a [T],
    factor_step: usize,
    values: &'a [T],
    step: usize,
    /// Rows, columns, which are whole vectors, and inner size.
    size: [usize; 3],
    sums: &'a mut [T],
}

impl<T: Real> VectorTask<T> for AddRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let AddRows { factors, factor_step, values, step, size: [rows, columns, inner], sums } =
            self;
        assert!(columns.is_multiple_of(V::LANES) && sums.len() == rows * columns);
        assert!(inner == 0 || values.len() >= (inner - 1) * step + columns);
        sums.fill(T::zeroed());
        let mut first = 0;
        while first < inner {
            let together = if inner - first >= TOGETHER { TOGETHER } else { 1 };
            for row in 0..rows {
                let factors = &factors[row * factor_step + first..];
                let sums = &mut sums[row * columns..(row + 1) * columns];
                // SAFETY: the assertions above: every row has as many elements as there are columns.
                unsafe {
                    let values = values.as_ptr().add(first * step);
                    match together {
                        TOGETHER => add_rows::<V, TOGETHER>(factors, values, step, sums),
                        _ => add_rows::<V, 1>(factors, values, step, sums),
                    }
                }
            }
            first += together;
        }
    }
}

/// Adds multiples of `ROWS` rows.
///
/// # Safety
/// Each row has as many elements as there are sums, which are whole vectors.
#[inline(always)]
unsafe fn add_rows<V: Vector, const ROWS: usize>(
    factors: &[V::Scalar],
    values: *const V::Scalar,
    step: usize,
    sums: &mut [V::Scalar],
) {
    let mut splat = [V::splat(bytemuck::Zeroable::zeroed()); ROWS];
    for row in 0..ROWS {
        splat[row] = V::splat(factors[row]);
    }
    for column in (0..sums.len()).step_by(V::LANES) {
        // SAFETY: the caller vouches for the rows.
        unsafe {
            let target = sums.as_mut_ptr().add(column);
            let mut sum = V::load(target);
            for row in 0..ROWS {
                sum = sum.multiply_add(splat[row], V::load(values.add(row * step + column)));
            }
            sum.store(target);
        }
    }
}
