//! Products of few rows or columns, which read a matrix once and do little with it. It is not packed: its
//! rows are added where they are contiguous, its columns transposed in registers where those are, and what
//! is left goes through panels that stay in the first-level cache. Sums have the order of all other products.
#![expect(unsafe_code, reason = "the loops read by pointer; bounds are checked once before them")]

use std::ops::Range;

use super::matrix::Matrix;
use super::panel::{in_parts, multiply_panel, pack};
use super::tiles::{DEPTH, LEFT_STEP, Tiled};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Vector, VectorTask};

/// Elements of a result up to which each is a sum of its own.
const DOTS_MAX: usize = 4;
/// Blocks whose sums are made at the same time: each is a chain of additions that wait for one another.
const CHAINS: usize = 8;
/// Columns of sums that stay in the first-level cache while rows are added.
const COLUMNS: usize = 1024;
/// Rows that are added together.
const TOGETHER: usize = 8;
/// Rows of a result that are made at the same time where columns are contiguous.
const ROWS: usize = 3;

/// `out[row * out_stride + column] = lhs x rhs` for rows, columns and inner size, of which rows or columns
/// are few.
pub(super) fn multiply_thin<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    size: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    let [m, n, k] = size;
    if m <= n {
        return in_parts(size, out, out_stride, |out, out_stride, blocks| {
            multiply_few_rows(level, out, out_stride, size, lhs, rhs, blocks);
        });
    }
    let mut columns = Scratch::take::<T>(n * m);
    let (turned, size) = (columns.get_mut(), [n, m, k]);
    let (lhs, rhs) = (rhs.transposed(), lhs.transposed());
    in_parts(size, turned, m, |out, out_stride, blocks| {
        multiply_few_rows(level, out, out_stride, size, lhs, rhs, blocks);
    });
    for (row, out) in out.chunks_mut(out_stride.max(1)).take(m).enumerate() {
        for (column, slot) in out[..n].iter_mut().enumerate() {
            *slot = turned[column * m + row];
        }
    }
}

/// Some blocks of a product of few rows and at least as many columns.
fn multiply_few_rows<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
    blocks: Range<usize>,
) {
    let first = blocks.start * DEPTH;
    let inner = inner.min(blocks.end * DEPTH) - first;
    let (lhs, rhs) = (lhs.from(0, first), rhs.from(first, 0));
    let size = [rows, columns, inner];
    if rows * columns <= DOTS_MAX {
        return multiply_dots(level, out, out_stride, size, lhs, rhs);
    }
    let lanes = T::tiles(level).lanes;
    let whole = columns / lanes * lanes;
    let done = match rhs.strides {
        _ if inner == 0 => 0,
        [step, 1] if step >= 0 => {
            multiply_rows(level, out, out_stride, [rows, whole, inner], lhs, rhs);
            whole
        }
        [1, step] if step >= 0 => {
            multiply_columns(level, out, out_stride, [rows, whole, inner], lhs, rhs);
            whole
        }
        _ => 0,
    };
    if done < columns {
        let (rhs, out) = (rhs.from(0, done), &mut out[done..]);
        multiply_in_panels(level, out, out_stride, [rows, columns - done, inner], lhs, rhs);
    }
}

/// Every element of the result by itself.
fn multiply_dots<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    let (mut left, mut right) =
        (Scratch::take::<T>(rows * inner), Scratch::take::<T>(columns * inner));
    let left = contiguous(level, lhs, [rows, inner], &mut left);
    let right = contiguous(level, rhs.transposed(), [columns, inner], &mut right);
    for row in 0..rows {
        for column in 0..columns {
            let (left, right) = (&left[row * inner..], &right[column * inner..]);
            out[row * out_stride + column] = dot(level, &left[..inner], &right[..inner]);
        }
    }
}

/// The matrix row by row without gaps: as it is, or copied.
fn contiguous<'a, T: Tiled>(
    level: Level,
    matrix: Matrix<'a, T>,
    [rows, columns]: [usize; 2],
    copy: &'a mut Scratch,
) -> &'a [T] {
    let [row_step, column_step] = matrix.strides;
    if (column_step == 1 || columns == 1) && (row_step == columns as isize || rows == 1) {
        matrix.check(rows, columns);
        return match rows * columns {
            0 => &[],
            count => &matrix.values[matrix.offset as usize..][..count],
        };
    }
    matrix.copy(level, [rows, columns], copy.get_mut(), columns);
    copy.get()
}

/// The sum of products, block by block.
fn dot<T: Tiled>(level: Level, left: &[T], right: &[T]) -> T {
    let blocks = left.len().div_ceil(DEPTH);
    let mut sums = Scratch::take::<T>(blocks);
    let sums: &mut [T] = sums.get_mut();
    let lanes = T::tiles(level).lanes;
    let side_by_side = left.len() / DEPTH / lanes * lanes;
    if side_by_side > 0 {
        T::dispatch(level, DotBlocks { left, right, sums: &mut sums[..side_by_side] });
    }
    let first = side_by_side * DEPTH;
    dot_blocks(level, &left[first..], &right[first..], &mut sums[side_by_side..]);
    match sums.split_first() {
        Some((&first, rest)) => {
            rest.iter().fold(first, |total, &sum| T::fused::<false>(sum, T::ONE, total))
        }
        None => T::zeroed(),
    }
}

/// The sums of whole blocks, a vector of blocks at a time: the blocks are rows whose columns are loaded.
struct DotBlocks<'a, T> {
    left: &'a [T],
    right: &'a [T],
    /// Whole vectors.
    sums: &'a mut [T],
}

impl<T: Real> VectorTask<T> for DotBlocks<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let DotBlocks { left, right, sums } = self;
        assert!(sums.len().is_multiple_of(V::LANES));
        assert!(left.len() >= sums.len() * DEPTH && right.len() >= sums.len() * DEPTH);
        for first in (0..sums.len()).step_by(V::LANES) {
            let mut sum = V::splat(T::zeroed());
            for inner in (0..DEPTH).step_by(8) {
                let at = first * DEPTH + inner;
                // SAFETY: the assertions above cover whole blocks.
                unsafe {
                    let left = V::load_columns(left.as_ptr().add(at), DEPTH);
                    let right = V::load_columns(right.as_ptr().add(at), DEPTH);
                    for index in 0..8 {
                        sum = sum.multiply_add(left[index], right[index]);
                    }
                }
            }
            // SAFETY: sums are whole vectors.
            unsafe { sum.store(sums.as_mut_ptr().add(first)) }
        }
    }
}

vectorized! {
    /// The sums of blocks, of which the last may be shorter.
    fn dot_blocks['a][T: Real](left: &'a [T], right: &'a [T], sums: &'a mut [T]) {
        let together = left.chunks(CHAINS * DEPTH).zip(right.chunks(CHAINS * DEPTH));
        for ((left, right), sums) in together.zip(sums.chunks_mut(CHAINS)) {
            let mut chains = [T::zeroed(); CHAINS];
            let whole = left.len() / DEPTH;
            for inner in 0..DEPTH {
                for chain in 0..whole {
                    let at = chain * DEPTH + inner;
                    chains[chain] = T::fused::<FMA>(left[at], right[at], chains[chain]);
                }
            }
            for at in whole * DEPTH..left.len() {
                chains[whole] = T::fused::<FMA>(left[at], right[at], chains[whole]);
            }
            sums.copy_from_slice(&chains[..sums.len()]);
        }
    }
}

/// Adds multiples of the right matrix's rows, which are contiguous. Columns are whole vectors.
fn multiply_rows<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    rhs.check(inner, columns);
    let mut left = Scratch::take::<T>(rows * inner);
    let left = contiguous(level, lhs, [rows, inner], &mut left);
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

/// Vectors of columns, which are contiguous: eight elements of each are transposed in registers.
fn multiply_columns<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    rhs.check(inner, columns);
    let mut left = Scratch::take::<T>(rows * inner);
    let left = contiguous(level, lhs, [rows, inner], &mut left);
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
        let mut column = 0;
        while column < columns {
            // SAFETY: the assertions above cover all rows and columns.
            unsafe {
                let values = values.as_ptr().add(column * step);
                let out = out.as_mut_ptr().add(column);
                let left = left.as_ptr();
                let walk = Walk { left, values, step, rows, inner, out, out_stride };
                column += V::LANES
                    * match (rows, columns - column >= 2 * V::LANES) {
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

/// Columns panel by panel, each packed for as long as it is needed.
fn multiply_in_panels<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    let tiles = T::tiles(level);
    let width = tiles.width();
    let blocks = inner.div_ceil(DEPTH).max(1);
    let mut left = Scratch::take::<T>(blocks * rows * LEFT_STEP);
    let left: &mut [T] = left.get_mut();
    let depth_of = |block: usize| DEPTH.min(inner - block * DEPTH);
    for (block, left) in left.chunks_exact_mut(rows * LEFT_STEP).enumerate() {
        lhs.from(0, block * DEPTH).copy(level, [rows, depth_of(block)], left, LEFT_STEP);
    }
    let mut panel = Scratch::take::<T>(width * DEPTH.min(inner));
    let panel: &mut [T] = panel.get_mut();
    for first in (0..columns).step_by(width) {
        let own = width.min(columns - first);
        let out = &mut out[first..];
        for (block, left) in left.chunks_exact(rows * LEFT_STEP).enumerate() {
            let depth = depth_of(block);
            let panel = &mut panel[..own.next_multiple_of(tiles.lanes) * depth];
            pack(level, rhs.from(block * DEPTH, first), depth, 0..own, panel);
            multiply_panel(tiles, left, panel, [rows, own, depth], out, out_stride, block > 0);
        }
    }
}
