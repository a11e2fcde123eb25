//! The inner loop of convolutions: a tile of accumulators in registers, and the rows it reads found through
//! tables of offsets, so that no matrix of windows has to be made.
#![expect(unsafe_code, reason = "the loops read by pointer; bounds are checked once before them")]

use std::ops::Range;

use crate::kernels::cascade::Cascade;
use crate::kernels::panel::add_parts;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::tile::RowChain;
use crate::vector::{Real, Vector, VectorTask, load_first, store_first};

/// `out[row][position] = sum over k of weights[k][row] * source[offsets[k] + position]`.
pub(super) struct Product<'a, T> {
    /// `[rows / R][k][R]` with `R` rows of the level's tile, zero beyond the last row.
    pub(super) weights: &'a [T],
    /// What is read, with room for one tile after the last position.
    pub(super) source: &'a [T],
    /// Where the row of each `k` begins in the source.
    pub(super) offsets: &'a [usize],
    /// Rows and positions, the latter a multiple of the lanes.
    pub(super) rows: usize,
    pub(super) positions: usize,
    /// Positions that are kept: all but some of the last vector.
    pub(super) kept: usize,
    /// Rows `out_stride` apart.
    pub(super) out: Target<'a, T>,
    pub(super) out_stride: usize,
    /// What becomes of sums, which must be of one part.
    pub(super) chain: Chain<'a, T>,
}

/// What follows on rows that are made, and which of its rows and elements are the first of them.
pub(super) type Chain<'a, T> = Option<(&'a RowChain<'a, T>, [usize; 2])>;

/// What becomes of a product.
pub(super) enum Target<'a, T> {
    /// It replaces what is there.
    Set(&'a mut [T]),
    /// It is added to what is there.
    Added(&'a mut [T]),
}

/// Products that are added in registers; longer sums are made of blocks of so many.
pub(super) const DEPTH: usize = 1024;
/// Blocks that are added one after another: sums of more are made of parts.
pub(super) const BLOCKS_MAX: usize = 64;

/// Elements of a window of which the results are added one after another.
pub(super) const WINDOW_MAX: usize = 512;

/// Sources larger than this many bytes are walked once, with all rows for each few positions.
const SOURCE_MAX: usize = 512 * 1024;

impl<T: Real> Product<'_, T> {
    /// Computes all rows and positions.
    pub(super) fn run(self, level: Level) {
        let inner = self.offsets.len();
        if inner <= DEPTH * BLOCKS_MAX {
            return T::dispatch(level, PartProduct { whole: self, part: 0..inner });
        }
        let Product { weights, source, offsets, rows, positions, kept, out, out_stride, chain } =
            self;
        assert!(chain.is_none(), "convolution: a chain on sums of parts");
        let mut parts = Cascade::default();
        for first in (0..inner).step_by(DEPTH * BLOCKS_MAX) {
            let mut part = Scratch::take::<T>(rows * positions);
            let out = Target::Set(part.get_mut());
            let out_stride = positions;
            let (kept, chain) = (positions, None);
            let whole =
                Product { weights, source, offsets, rows, positions, kept, out, out_stride, chain };
            let range = first..inner.min(first + DEPTH * BLOCKS_MAX);
            T::dispatch(level, PartProduct { whole, part: range });
            parts.push(part, add_parts::<T>);
        }
        let Some(total) = parts.total(add_parts::<T>) else { return };
        let total = total.get::<T>().chunks_exact(positions.max(1));
        match out {
            Target::Set(out) => {
                for (out, row) in out.chunks_mut(out_stride).zip(total) {
                    out[..kept].copy_from_slice(&row[..kept]);
                }
            }
            Target::Added(out) => {
                for (out, row) in out.chunks_mut(out_stride).zip(total) {
                    add(level, &row[..kept], &mut out[..kept]);
                }
            }
        }
    }
}

vectorized! {
    /// Adds numbers to sums.
    pub(super) fn add['a][T: Real](values: &'a [T], sums: &'a mut [T]) {
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum = T::fused::<false>(T::ONE, value, *sum);
        }
    }
}

/// Some elements of the inner axis of a product, in blocks of [`DEPTH`].
struct PartProduct<'a, T> {
    whole: Product<'a, T>,
    part: Range<usize>,
}

impl<T: Real> VectorTask<T> for PartProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let PartProduct { whole, part } = self;
        let Product { weights, source, offsets, rows, positions, kept, out, out_stride, chain } =
            whole;
        let inner = offsets.len();
        let blocks = rows.div_ceil(ROWS);
        let reach = offsets.iter().copied().max().unwrap_or(0);
        let (out, added) = match out {
            Target::Set(out) => (out, false),
            Target::Added(out) => (out, true),
        };
        assert!(positions.is_multiple_of(V::LANES));
        assert!(weights.len() >= blocks * inner * ROWS && source.len() >= reach + positions);
        assert!(kept <= positions && kept + V::LANES > positions);
        assert!(rows == 0 || out.len() >= (rows - 1) * out_stride + kept);
        assert!(chain.is_none_or(|(chain, [row, element])| chain.covers(
            row,
            rows,
            element + kept
        )));
        let step = COLUMNS * V::LANES;
        let tiles = positions.div_ceil(step);
        // Closures would be compiled without the level's features, so one loop serves both orders.
        let by_position = size_of_val(source) > SOURCE_MAX;
        for index in 0..tiles * blocks {
            let (block, tile) = match by_position {
                true => (index % blocks, index / blocks),
                false => (index / tiles, index % tiles),
            };
            let (first, position) = (block * ROWS, tile * step);
            let columns = ((positions - position) / V::LANES).min(COLUMNS);
            let mut first_k = part.start;
            let mut added = added;
            // An empty inner axis still sets what is there.
            loop {
                let depth = (part.end - first_k).min(DEPTH);
                // SAFETY: the assertions above: weights of this block, source and output of these
                // positions for every offset and row are in their slices.
                unsafe {
                    let weights = weights.as_ptr().add((block * inner + first_k) * ROWS);
                    let source = source.as_ptr().add(position);
                    let out = out.as_mut_ptr().add(first * out_stride + position);
                    let rows = ROWS.min(rows - first);
                    let offsets = &offsets[first_k..first_k + depth];
                    // The last vector of the positions may be kept in part.
                    let last = V::LANES.min(kept + V::LANES - position - columns * V::LANES);
                    let chain = match first_k + depth == part.end {
                        true => chain.map(|(chain, [row, element])| {
                            (chain, [row + first, element + position])
                        }),
                        false => None,
                    };
                    let to = Kept { out, out_stride, rows, last, added, chain };
                    match columns {
                        1 => product_tile::<V, ROWS, 1>(weights, source, offsets, &to),
                        2 => product_tile::<V, ROWS, 2>(weights, source, offsets, &to),
                        _ => product_tile::<V, ROWS, COLUMNS>(weights, source, offsets, &to),
                    }
                }
                first_k += depth;
                added = true;
                if first_k >= part.end {
                    break;
                }
            }
        }
    }
}

/// Where a tile goes.
struct Kept<'a, T> {
    out: *mut T,
    out_stride: usize,
    /// Rows that are kept, and elements of the last vector of each.
    rows: usize,
    last: usize,
    added: bool,
    chain: Chain<'a, T>,
}

/// One tile of [`Product`].
#[inline(always)]
unsafe fn product_tile<V: Vector, const ROWS: usize, const COLUMNS: usize>(
    weights: *const V::Scalar,
    source: *const V::Scalar,
    offsets: &[usize],
    to: &Kept<'_, V::Scalar>,
) {
    let zero = bytemuck::Zeroable::zeroed();
    let mut sums = [[V::splat(zero); COLUMNS]; ROWS];
    let mut weights = weights;
    for &offset in offsets {
        // SAFETY: the caller checked the slices behind the pointers for all offsets and rows.
        unsafe {
            let row = source.add(offset);
            let mut values = [V::splat(zero); COLUMNS];
            for column in 0..COLUMNS {
                values[column] = V::load(row.add(column * V::LANES));
            }
            for index in 0..ROWS {
                let weight = V::splat(*weights.add(index));
                for column in 0..COLUMNS {
                    sums[index][column] = sums[index][column].multiply_add(weight, values[column]);
                }
            }
            weights = weights.add(ROWS);
        }
    }
    let target = |index: usize, column: usize| {
        to.out.wrapping_add(index * to.out_stride + column * V::LANES)
    };
    let whole = |column: usize| column + 1 < COLUMNS || to.last == V::LANES;
    if to.added {
        for index in 0..ROWS {
            if index < to.rows {
                for column in 0..COLUMNS {
                    // SAFETY: as above.
                    let earlier = unsafe {
                        match whole(column) {
                            true => V::load(target(index, column)),
                            false => load_first(target(index, column), to.last),
                        }
                    };
                    sums[index][column] = sums[index][column].plus(earlier);
                }
            }
        }
    }
    if let Some((chain, [row, element])) = to.chain {
        // SAFETY: the caller checked that the chain has these rows and elements.
        unsafe { chain.apply([row, to.rows], [element, to.last], &mut sums) };
    }
    for index in 0..ROWS {
        if index < to.rows {
            for column in 0..COLUMNS {
                // SAFETY: as above.
                unsafe {
                    match whole(column) {
                        true => sums[index][column].store(target(index, column)),
                        false => store_first(sums[index][column], target(index, column), to.last),
                    }
                }
            }
        }
    }
}
