//! Products of f32 matrices: one operand is packed in panels a few vectors wide, the other is read
//! where it lies, one number at a time for a whole tile of accumulators in registers.
//!
//! Each sum runs over the inner axis in blocks of fixed size, so its bits depend on nothing else; parts of
//! many blocks are added pairwise.
#![expect(unsafe_code, reason = "the loop reads by pointer; bounds are checked once before it")]

use std::ops::Range;

use super::cascade::Cascade;
use super::matrix::Matrix;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::transpose::transpose;
use crate::vector::{Real, Vector, VectorTask, tiling};

/// Inner elements of a block: a block of a panel stays in the second-level cache.
pub(super) const DEPTH: usize = 1024;
/// Blocks that are added one after another.
const BLOCKS_MAX: usize = 64;

/// Columns of a panel on a level.
pub(super) fn panel_width<T: Real>(level: Level) -> usize {
    let tiling = tiling::<T>(level);
    tiling.lanes * if tiling.rows * tiling.columns >= 24 { 4 } else { 2 }
}

/// Elements that some columns take when packed: whole panels, and at the end as many vectors as needed.
pub(super) fn packed_len<T: Real>(level: Level, columns: usize, depth: usize) -> usize {
    columns.next_multiple_of(tiling::<T>(level).lanes) * depth
}

/// Packs columns of a matrix of `depth` rows into `[panel][row][width]`, zero beyond the last column.
/// `packed` holds the panels of `columns`, which begin at a multiple of the width; the last panel is
/// only as wide as it must be.
pub(super) fn pack<T: Real>(
    level: Level,
    matrix: Matrix<'_, T>,
    depth: usize,
    columns: Range<usize>,
    packed: &mut [T],
) {
    let (whole, lanes) = (panel_width::<T>(level), tiling::<T>(level).lanes);
    for (index, panel) in packed.chunks_mut((depth * whole).max(1)).enumerate() {
        let first = columns.start + index * whole;
        let count = whole.min(columns.end.saturating_sub(first));
        let width = count.next_multiple_of(lanes);
        let panel = &mut panel[..depth * width];
        let matrix = matrix.from(0, first);
        matrix.check(depth, count);
        if count < width {
            panel.fill(T::zeroed());
        }
        let offset = matrix.offset as usize;
        match matrix.strides {
            _ if count == 0 => {}
            [row_step, 1] if row_step >= 0 => {
                let values = &matrix.values[offset..];
                copy_rows(level, values, row_step as usize, count, width, panel);
            }
            [1, column_step] if column_step >= 0 => {
                let values = &matrix.values[offset..];
                transpose(level, values, column_step as usize, [count, depth], panel, width);
            }
            [row_step, column_step] => {
                for (row, panel) in panel.chunks_exact_mut(width).enumerate() {
                    let mut at = matrix.offset + row as isize * row_step;
                    for slot in &mut panel[..count] {
                        *slot = matrix.values[at as usize];
                        at += column_step;
                    }
                }
            }
        }
    }
}

vectorized! {
    fn copy_rows['a][T: Real](
        values: &'a [T], step: usize, count: usize, width: usize, panel: &'a mut [T]
    ) {
        for (row, panel) in panel.chunks_exact_mut(width).enumerate() {
            let values = &values[row * step..row * step + count];
            panel[..count].copy_from_slice(values);
        }
    }
}

/// `out[row][column] = sum over inner of source[row][inner] * panels[inner][column]`.
pub(super) struct PanelProduct<'a, T> {
    /// Rows of the result times the inner axis.
    pub(super) source: Matrix<'a, T>,
    /// All panels of the columns, see [`pack`].
    pub(super) packed: &'a [T],
    /// Rows, columns and inner size.
    pub(super) size: [usize; 3],
    pub(super) out: &'a mut [T],
    pub(super) out_stride: usize,
}

impl<T: Real> PanelProduct<'_, T> {
    /// Computes all rows and columns on the calling thread.
    pub(super) fn run(self, level: Level) {
        let [rows, columns, inner] = self.size;
        let blocks = inner.div_ceil(DEPTH).max(1);
        if blocks <= BLOCKS_MAX || rows * columns == 0 {
            return T::dispatch(level, PartProduct { whole: self, blocks: 0..blocks });
        }
        let PanelProduct { source, packed, size, out, out_stride } = self;
        let mut parts = Cascade::default();
        for first in (0..blocks).step_by(BLOCKS_MAX) {
            let mut part = Scratch::take::<T>(rows * columns);
            let out = part.get_mut();
            let whole = PanelProduct { source, packed, size, out, out_stride: columns };
            let blocks = first..blocks.min(first + BLOCKS_MAX);
            T::dispatch(level, PartProduct { whole, blocks });
            parts.push(part, add_parts::<T>);
        }
        if let Some(total) = parts.total(add_parts::<T>) {
            for (out, row) in out.chunks_mut(out_stride).zip(total.get::<T>().chunks_exact(columns))
            {
                out[..columns].copy_from_slice(row);
            }
        }
    }
}

/// The sum of two parts of a product.
pub(super) fn add_parts<T: Real>(earlier: Scratch, mut part: Scratch) -> Scratch {
    for (sum, &value) in part.get_mut::<T>().iter_mut().zip(earlier.get::<T>()) {
        *sum = T::fused::<false>(T::ONE, value, *sum);
    }
    part
}

/// Some blocks of the inner axis of a product.
struct PartProduct<'a, T> {
    whole: PanelProduct<'a, T>,
    blocks: Range<usize>,
}

impl<T: Real> VectorTask<T> for PartProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let PartProduct { whole, blocks } = self;
        let PanelProduct { source, packed, size: [rows, columns, inner], out, out_stride } = whole;
        let wide = ROWS * COLUMNS >= 24;
        let width = V::LANES * if wide { 4 } else { 2 };
        let panels = columns.div_ceil(width);
        assert!(packed.len() >= columns.next_multiple_of(V::LANES) * inner);
        assert!(rows == 0 || columns == 0 || out.len() >= (rows - 1) * out_stride + columns);
        source.check(rows, inner);
        // The whole vectors of a last panel that is not full go here first.
        let mut overhang = [T::zeroed(); 12 * 64];
        for index in 0..panels * blocks.len() {
            // Panel after panel within a block, so that the source's part of the block stays in the cache.
            let (panel, block) = (index % panels, blocks.start + index / panels);
            let depth = DEPTH.min(inner - block * DEPTH);
            let count = width.min(columns - panel * width);
            let vectors = count.div_ceil(V::LANES);
            let packed_row = vectors * V::LANES;
            let added = block > blocks.start;
            let mut row = 0;
            while row < rows {
                let at = row * out_stride + panel * width;
                let taken = rows_of_tile(rows - row, vectors, wide);
                let direct = count == packed_row;
                if !direct && added {
                    for index in 0..taken {
                        overhang[index * packed_row..index * packed_row + count]
                            .copy_from_slice(&out[at + index * out_stride..][..count]);
                    }
                }
                // SAFETY: the checks above: the source has these rows and inner elements, the packed
                // panels this block, and the target `taken` rows of `count` columns, or of whole
                // vectors where they are in the result or in `overhang`.
                unsafe {
                    let panel = panel * inner * width + block * DEPTH * packed_row;
                    let packed = packed.as_ptr().add(panel);
                    let first = source.from(row, block * DEPTH);
                    let values = source.values.as_ptr().offset(first.offset);
                    let (target, stride) = match direct {
                        true => (out.as_mut_ptr().add(at), out_stride),
                        false => (overhang.as_mut_ptr(), packed_row),
                    };
                    let steps = source.strides;
                    let tile = Tile { values, steps, packed, depth, target, stride, added };
                    match (vectors, taken) {
                        (4, 6) => tile.run::<V, 6, 4>(),
                        (4, 3) => tile.run::<V, 3, 4>(),
                        (4, _) => tile.run::<V, 1, 4>(),
                        (3, 6) => tile.run::<V, 6, 3>(),
                        (3, _) => tile.run::<V, 1, 3>(),
                        (2, 12) => tile.run::<V, 12, 2>(),
                        (2, 4) => tile.run::<V, 4, 2>(),
                        (2, _) => tile.run::<V, 1, 2>(),
                        (_, 12) => tile.run::<V, 12, 1>(),
                        (_, 4) => tile.run::<V, 4, 1>(),
                        _ => tile.run::<V, 1, 1>(),
                    }
                }
                if !direct {
                    for index in 0..taken {
                        out[at + index * out_stride..][..count].copy_from_slice(
                            &overhang[index * packed_row..index * packed_row + count],
                        );
                    }
                }
                row += taken;
            }
        }
    }
}

/// Rows of the next tile: as many as have registers.
#[inline(always)]
fn rows_of_tile(left: usize, vectors: usize, wide: bool) -> usize {
    match (vectors, wide) {
        (4, _) if left >= 6 => 6,
        (4, _) if left >= 3 => 3,
        (3, _) if left >= 6 => 6,
        (1 | 2, true) if left >= 12 => 12,
        (1 | 2, _) if left >= 4 => 4,
        _ => 1,
    }
}

/// One tile of a product.
struct Tile<T> {
    /// The first row's first number, and the steps to the next row and the next inner element.
    values: *const T,
    steps: [isize; 2],
    packed: *const T,
    depth: usize,
    target: *mut T,
    stride: usize,
    added: bool,
}

impl<T: Real> Tile<T> {
    /// # Safety
    /// All numbers that the fields describe for `ROWS` rows and `COLUMNS` vectors are in bounds.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let mut sums = [[V::splat(T::zeroed()); COLUMNS]; ROWS];
        let (mut packed, mut inner) = (self.packed, 0);
        // SAFETY: the caller vouches for all numbers.
        unsafe {
            for _ in 0..self.depth {
                let mut vectors = [V::splat(T::zeroed()); COLUMNS];
                for column in 0..COLUMNS {
                    vectors[column] = V::load(packed.add(column * V::LANES));
                }
                for row in 0..ROWS {
                    let at = row as isize * self.steps[0] + inner;
                    let value = V::splat(*self.values.offset(at));
                    for column in 0..COLUMNS {
                        sums[row][column] = sums[row][column].multiply_add(value, vectors[column]);
                    }
                }
                packed = packed.add(COLUMNS * V::LANES);
                inner += self.steps[1];
            }
            for row in 0..ROWS {
                for column in 0..COLUMNS {
                    let target = self.target.add(row * self.stride + column * V::LANES);
                    let sum = sums[row][column];
                    let sum = if self.added { sum.plus(V::load(target)) } else { sum };
                    sum.store(target);
                }
            }
        }
    }
}
