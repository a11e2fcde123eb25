//! Products of few rows or columns, which read a matrix once and do little with it. It is not packed: its
//! rows are added where they are contiguous, its columns transposed in registers where those are, and what
//! is left goes through panels that stay in the first-level cache. Sums have the order of all other products.

mod columns;
mod dots;
mod rows;

use std::ops::Range;

use self::columns::multiply_columns;
use self::dots::{DOTS_MAX, multiply_dots};
use self::rows::multiply_rows;
use super::matrix::Matrix;
use super::panel::{in_parts, multiply_panel, pack};
use super::tiles::{DEPTH, LEFT_STEP, Tiled};
use crate::scratch::Scratch;
use crate::simd::Level;

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
