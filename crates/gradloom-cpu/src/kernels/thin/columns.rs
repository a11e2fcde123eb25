//! Thin products with a matrix whose columns are contiguous: they are transposed in registers.
#![expect(unsafe_code, reason = "the loop reads by pointer; bounds are checked once before it")]

use crate::kernels::matrix::Matrix;
use crate::kernels::tiles::{DEPTH, Tiled};
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::{Real, Vector, VectorTask};

/// Rows of a result that are made at the same time.
const ROWS: usize = 3;
/// Distance of addresses that have the same place in the first-level cache of most processors.
const PLACE_BYTES: usize = 4096;
/// Bytes of a matrix that may still be in a cache since it was last read.
const CACHED_BYTES: usize = 16 * 1024 * 1024;

/// Vectors of columns, which are contiguous: eight elements of each are transposed in registers.
pub(super) fn multiply_columns<T: Tiled>(
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
    if columns == 0 {
        return;
    }
    let values = &rhs.values[rhs.offset as usize..];
    let step = rhs.strides[1] as usize;
    let mut row = 0;
    while row < rows {
        let taken = if rows - row == 1 { 1 } else { ROWS.min(rows - row) };
        let size = [taken, columns, inner];
        let (left, out) = (&left[row * inner..], &mut out[row * out_stride..]);
        T::dispatch(level.narrow(), Columns { left, values, step, size, out, out_stride });
        row += taken;
    }
}

/// `out[row][column] = sum over inner of left[row][inner] * values[column][inner]`.
struct Columns<'a, T> {
    left: &'a [T],
    values: &'a [T],
    step: usize,
    /// At most [`ROWS`] rows, columns, which are whole vectors, and inner size.
    size: [usize; 3],
    out: &'a mut [T],
    out_stride: usize,
}

impl<T: Real> VectorTask<T> for Columns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const _ROWS: usize, const _COLUMNS: usize>(self) {
        let Columns { left, values, step, size: [rows, columns, inner], out, out_stride } = self;
        assert!((1..=ROWS).contains(&rows) && columns.is_multiple_of(V::LANES) && columns > 0);
        assert!(left.len() >= rows * inner && values.len() >= (columns - 1) * step + inner);
        assert!(out.len() >= (rows - 1) * out_stride + columns);
        // Columns so far apart share one place of the first-level cache, which holds eight. A matrix that
        // comes from memory is read faster in more columns all the same.
        let crowded = rows == 1
            && inner >= 2 * DEPTH
            && (step * size_of::<T>()).is_multiple_of(PLACE_BYTES)
            && size_of_val(values) <= CACHED_BYTES;
        let mut column = 0;
        while column < columns {
            // SAFETY: the assertions above cover all rows and columns.
            unsafe {
                let values = values.as_ptr().add(column * step);
                let out = out.as_mut_ptr().add(column);
                let left = left.as_ptr();
                let walk = Walk { left, values, step, rows, inner, out, out_stride };
                column += V::LANES
                    * match (rows, !crowded && columns - column >= 2 * V::LANES) {
                        (1, true) => walk.run_two_vectors::<V, 1>(),
                        (1, false) => walk.run::<V, 1>(),
                        (_, true) => walk.run_two_vectors::<V, ROWS>(),
                        (_, false) => walk.run::<V, ROWS>(),
                    };
            }
        }
    }
}

/// One or two vectors of columns. Two chains of additions at a time, of two vectors or of two blocks, hide
/// how long an addition takes.
struct Walk<T> {
    left: *const T,
    values: *const T,
    step: usize,
    rows: usize,
    inner: usize,
    out: *mut T,
    out_stride: usize,
}

/// Where the second chain reads: elements after the first, of the columns and of the left rows.
type Apart = [usize; 2];

impl<T: Real> Walk<T> {
    /// All blocks of one vector, two at a time.
    ///
    /// # Safety
    /// `rows` rows and a vector of columns are in bounds.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const TAKEN: usize>(self) -> usize {
        let mut totals = [V::splat(T::zeroed()); TAKEN];
        let mut first = 0;
        // SAFETY: the caller vouches for rows and columns.
        unsafe {
            while first < self.inner {
                if first + 2 * DEPTH <= self.inner {
                    let sums = self.sums::<V, TAKEN, 2>(first, DEPTH, [DEPTH, DEPTH]);
                    for row in 0..TAKEN {
                        let [one, two] = sums[row];
                        let total = if first == 0 { one } else { one.plus(totals[row]) };
                        totals[row] = two.plus(total);
                    }
                    first += 2 * DEPTH;
                } else {
                    let depth = DEPTH.min(self.inner - first);
                    let sums = self.sums::<V, TAKEN, 1>(first, depth, [0, 0]);
                    for row in 0..TAKEN {
                        let [sum] = sums[row];
                        totals[row] = if first == 0 { sum } else { sum.plus(totals[row]) };
                    }
                    first += depth;
                }
            }
            for row in 0..TAKEN.min(self.rows) {
                totals[row].store(self.out.add(row * self.out_stride));
            }
        }
        1
    }

    /// All blocks of two vectors.
    ///
    /// # Safety
    /// `rows` rows and two vectors of columns are in bounds.
    #[inline(always)]
    unsafe fn run_two_vectors<V: Vector<Scalar = T>, const TAKEN: usize>(self) -> usize {
        // SAFETY: the caller vouches for rows and columns.
        unsafe {
            let mut totals = [[V::splat(T::zeroed()); 2]; TAKEN];
            for first in (0..self.inner).step_by(DEPTH) {
                let depth = DEPTH.min(self.inner - first);
                let sums = self.sums::<V, TAKEN, 2>(first, depth, [V::LANES * self.step, 0]);
                for row in 0..TAKEN {
                    for vector in 0..2 {
                        let sum = sums[row][vector];
                        let total = totals[row][vector];
                        totals[row][vector] = if first == 0 { sum } else { sum.plus(total) };
                    }
                }
            }
            for row in 0..TAKEN.min(self.rows) {
                for vector in 0..2 {
                    let out = self.out.add(row * self.out_stride + vector * V::LANES);
                    totals[row][vector].store(out);
                }
            }
        }
        2
    }

    /// The sums of blocks of `depth` elements. Where there are fewer than `TAKEN` rows, the last one is
    /// computed several times.
    ///
    /// # Safety
    /// Rows and columns of all chains are in bounds.
    #[inline(always)]
    unsafe fn sums<V: Vector<Scalar = T>, const TAKEN: usize, const CHAINS: usize>(
        &self,
        first: usize,
        depth: usize,
        apart: Apart,
    ) -> [[V; CHAINS]; TAKEN] {
        let mut sums = [[V::splat(T::zeroed()); CHAINS]; TAKEN];
        let mut lefts = [self.left; TAKEN];
        for row in 0..TAKEN {
            lefts[row] = self.left.wrapping_add(row.min(self.rows - 1) * self.inner);
        }
        for at in (first..first + depth).step_by(8) {
            let count = (first + depth - at).min(8);
            for chain in 0..CHAINS {
                // SAFETY: the caller vouches for rows and columns; fewer than eight elements are read one by
                // one.
                unsafe {
                    let values = self.values.add(chain * apart[0] + at);
                    if count == 8 {
                        let columns = V::load_columns(values, self.step);
                        for row in 0..TAKEN {
                            let left = lefts[row].add(chain * apart[1] + at);
                            for index in 0..8 {
                                let factor = V::splat(*left.add(index));
                                sums[row][chain] =
                                    sums[row][chain].multiply_add(factor, columns[index]);
                            }
                        }
                        continue;
                    }
                    for index in 0..count {
                        let mut column = [T::zeroed(); 16];
                        for lane in 0..V::LANES {
                            column[lane] = *values.add(lane * self.step + index);
                        }
                        let column = V::load(column.as_ptr());
                        for row in 0..TAKEN {
                            let factor = V::splat(*lefts[row].add(chain * apart[1] + at + index));
                            sums[row][chain] = sums[row][chain].multiply_add(factor, column);
                        }
                    }
                }
            }
        }
        sums
    }
}
