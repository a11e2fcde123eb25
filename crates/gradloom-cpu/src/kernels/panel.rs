//! Products of f32 and f64 matrices: the right one is packed in panels a few vectors wide, the left one is
//! copied block by block to rows that lie close together, and tiles of accumulators in registers go through
//! both (Goto and van de Geijn, "Anatomy of high-performance matrix multiplication", 2008).
//!
//! Each sum runs over the inner axis in blocks of fixed size, so its bits depend on nothing else; parts of
//! many blocks are added pairwise.
#![expect(unsafe_code, reason = "tiles read by pointer; bounds are checked before them")]

use std::ops::Range;

use super::cascade::Cascade;
use super::matrix::Matrix;
use super::tiles::{DEPTH, LEFT_STEP, Tile, TileFunction, Tiled, Tiles};
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::vector::Real;

/// Blocks that are added one after another.
const BLOCKS_MAX: usize = 256;
/// Rows of a left block, which stays in the second-level cache: a multiple of the height of every tile.
const ROWS_MAX: usize = 144;
/// Elements of a tile at most.
const TILE_MAX: usize = 12 * 64;

/// Columns of a panel on a level.
pub(super) fn panel_width<T: Tiled>(level: Level) -> usize {
    T::tiles(level).width()
}

/// Elements that some columns take when packed: whole panels, and at the end as many vectors as needed.
pub(super) fn packed_len<T: Tiled>(level: Level, columns: usize, depth: usize) -> usize {
    columns.next_multiple_of(T::tiles(level).lanes) * depth
}

/// Packs columns of a matrix of `depth` rows into `[panel][row][width]`, zero beyond the last column.
/// `packed` holds the panels of `columns`, which begin at a multiple of the width; the last panel is
/// only as wide as it must be.
pub(super) fn pack<T: Tiled>(
    level: Level,
    matrix: Matrix<'_, T>,
    depth: usize,
    columns: Range<usize>,
    packed: &mut [T],
) {
    let (whole, lanes) = (panel_width::<T>(level), T::tiles(level).lanes);
    for (index, panel) in packed.chunks_mut((depth * whole).max(1)).enumerate() {
        let first = columns.start + index * whole;
        let count = whole.min(columns.end.saturating_sub(first));
        let width = count.next_multiple_of(lanes);
        let panel = &mut panel[..depth * width];
        if count < width {
            panel.fill(T::zeroed());
        }
        matrix.from(0, first).copy(level, [depth, count], panel, width);
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

impl<T: Tiled> PanelProduct<'_, T> {
    /// Computes all rows and columns on the calling thread.
    pub(super) fn run(self, level: Level) {
        let PanelProduct { source, packed, size, out, out_stride } = self;
        in_parts(size, out, out_stride, |out, out_stride, blocks| {
            multiply_blocks(level, source, packed, size, out, out_stride, blocks);
        });
    }
}

/// A product whose inner axis is taken in parts of many blocks, each by a call of `product` with where its
/// result goes and its blocks of [`DEPTH`]; parts are added pairwise.
pub(super) fn in_parts<T: Real>(
    [rows, columns, inner]: [usize; 3],
    out: &mut [T],
    out_stride: usize,
    mut product: impl FnMut(&mut [T], usize, Range<usize>),
) {
    let blocks = inner.div_ceil(DEPTH).max(1);
    if blocks <= BLOCKS_MAX || rows * columns == 0 {
        return product(out, out_stride, 0..blocks);
    }
    let mut parts = Cascade::default();
    for first in (0..blocks).step_by(BLOCKS_MAX) {
        let mut part = Scratch::take::<T>(rows * columns);
        product(part.get_mut(), columns, first..blocks.min(first + BLOCKS_MAX));
        parts.push(part, add_parts::<T>);
    }
    if let Some(total) = parts.total(add_parts::<T>) {
        for (out, row) in out.chunks_mut(out_stride).zip(total.get::<T>().chunks_exact(columns)) {
            out[..columns].copy_from_slice(row);
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
fn multiply_blocks<T: Tiled>(
    level: Level,
    source: Matrix<'_, T>,
    packed: &[T],
    [rows, columns, inner]: [usize; 3],
    out: &mut [T],
    out_stride: usize,
    blocks: Range<usize>,
) {
    let tiles = T::tiles(level);
    let width = tiles.width();
    assert!(packed.len() >= packed_len::<T>(level, columns, inner), "product: panels are missing");
    // Groups of rows are about equally large, so that the last one is not much work for few rows.
    let groups = rows.div_ceil(ROWS_MAX).max(1);
    let group = rows.div_ceil(groups).next_multiple_of(tiles.height());
    let mut left = Scratch::take::<T>(group.min(rows) * LEFT_STEP);
    let left: &mut [T] = left.get_mut();
    for first in (0..rows).step_by(group.max(1)) {
        let count = group.min(rows - first);
        for block in blocks.clone() {
            let depth = DEPTH.min(inner - block * DEPTH);
            source.from(first, block * DEPTH).copy(level, [count, depth], left, LEFT_STEP);
            for panel in 0..columns.div_ceil(width) {
                let own = width.min(columns - panel * width);
                let packed_row = own.next_multiple_of(tiles.lanes);
                let from = panel * inner * width + block * DEPTH * packed_row;
                let packed = &packed[from..from + depth * packed_row];
                let out = &mut out[first * out_stride + panel * width..];
                let added = block > blocks.start;
                multiply_panel(tiles, left, packed, [count, own, depth], out, out_stride, added);
            }
        }
    }
}

/// All rows of a left block times a block of a panel.
pub(super) fn multiply_panel<T: Tiled>(
    tiles: &Tiles<T>,
    left: &[T],
    packed: &[T],
    [rows, columns, depth]: [usize; 3],
    out: &mut [T],
    out_stride: usize,
    added: bool,
) {
    let vectors = columns.div_ceil(tiles.lanes);
    let packed_row = vectors * tiles.lanes;
    assert!(rows > 0 && columns > 0 && depth <= DEPTH, "product: an empty tile");
    assert!(left.len() >= (rows - 1) * LEFT_STEP + depth && packed.len() >= depth * packed_row);
    assert!(out.len() >= (rows - 1) * out_stride + columns, "product: the result is too small");
    // The whole vectors of a last panel that is not full go here first.
    let mut overhang = [T::zeroed(); TILE_MAX];
    let mut row = 0;
    while row < rows {
        let (height, function): (usize, TileFunction<T>) = tiles.next(rows - row, vectors);
        let at = row * out_stride;
        let direct = columns == packed_row;
        let count = if direct { (rows - row) / height } else { 1 };
        let taken = height * count;
        if !direct && added {
            for index in 0..taken {
                overhang[index * packed_row..index * packed_row + columns]
                    .copy_from_slice(&out[at + index * out_stride..][..columns]);
            }
        }
        // SAFETY: the assertions above: the left block has these rows of `depth` elements, the panel
        // `depth` rows of whole vectors, and the target `taken` rows of `columns`, or of whole vectors
        // where they are in the result or in `overhang`; the tiles are those of a level that exists.
        unsafe {
            let (target, step) = match direct {
                true => (out.as_mut_ptr().add(at), out_stride),
                false => (overhang.as_mut_ptr(), packed_row),
            };
            let left = left.as_ptr().add(row * LEFT_STEP);
            let packed = packed.as_ptr();
            function(&Tile { count, left, packed, depth, target, step, added });
        }
        if !direct {
            for index in 0..taken {
                out[at + index * out_stride..][..columns]
                    .copy_from_slice(&overhang[index * packed_row..index * packed_row + columns]);
            }
        }
        row += taken;
    }
}
