//! The two inner loops of convolutions: a tile of accumulators in registers, and the rows it reads
//! found through tables of offsets, so that no matrix of windows has to be made.
#![expect(unsafe_code, reason = "the loops read by pointer; bounds are checked once before them")]

use std::ops::Range;

use crate::kernels::cascade::Cascade;
use crate::kernels::panel::add_parts;
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Vector, VectorTask};

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
    /// Rows `out_stride` apart.
    pub(super) out: Target<'a, T>,
    pub(super) out_stride: usize,
}

/// What becomes of a product.
pub(super) enum Target<'a, T> {
    /// It replaces what is there.
    Set(&'a mut [T]),
    /// It is added to what is there.
    Added(&'a mut [T]),
}

/// Products that are added in registers; longer sums are made of blocks of so many.
pub(super) const DEPTH: usize = 1024;
/// Blocks that are added one after another.
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
        let Product { weights, source, offsets, rows, positions, out, out_stride } = self;
        let mut parts = Cascade::default();
        for first in (0..inner).step_by(DEPTH * BLOCKS_MAX) {
            let mut part = Scratch::take::<T>(rows * positions);
            let out = Target::Set(part.get_mut());
            let out_stride = positions;
            let whole = Product { weights, source, offsets, rows, positions, out, out_stride };
            let range = first..inner.min(first + DEPTH * BLOCKS_MAX);
            T::dispatch(level, PartProduct { whole, part: range });
            parts.push(part, add_parts::<T>);
        }
        let Some(total) = parts.total(add_parts::<T>) else { return };
        let total = total.get::<T>().chunks_exact(positions.max(1));
        match out {
            Target::Set(out) => {
                for (out, row) in out.chunks_mut(out_stride).zip(total) {
                    out[..positions].copy_from_slice(row);
                }
            }
            Target::Added(out) => {
                for (out, row) in out.chunks_mut(out_stride).zip(total) {
                    add(level, row, &mut out[..positions]);
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
        let Product { weights, source, offsets, rows, positions, out, out_stride } = whole;
        let inner = offsets.len();
        let blocks = rows.div_ceil(ROWS);
        let reach = offsets.iter().copied().max().unwrap_or(0);
        let (out, added) = match out {
            Target::Set(out) => (out, false),
            Target::Added(out) => (out, true),
        };
        assert!(positions.is_multiple_of(V::LANES));
        assert!(weights.len() >= blocks * inner * ROWS && source.len() >= reach + positions);
        assert!(rows == 0 || out.len() >= (rows - 1) * out_stride + positions);
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
                    match columns {
                        1 => product_tile::<V, ROWS, 1>(
                            weights, source, offsets, out, out_stride, rows, added,
                        ),
                        2 => product_tile::<V, ROWS, 2>(
                            weights, source, offsets, out, out_stride, rows, added,
                        ),
                        _ => product_tile::<V, ROWS, COLUMNS>(
                            weights, source, offsets, out, out_stride, rows, added,
                        ),
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

/// One tile of [`Product`].
#[inline(always)]
unsafe fn product_tile<V: Vector, const ROWS: usize, const COLUMNS: usize>(
    weights: *const V::Scalar,
    source: *const V::Scalar,
    offsets: &[usize],
    out: *mut V::Scalar,
    out_stride: usize,
    rows: usize,
    added: bool,
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
    for index in 0..ROWS {
        if index < rows {
            for column in 0..COLUMNS {
                // SAFETY: as above.
                unsafe {
                    let target = out.add(index * out_stride + column * V::LANES);
                    let sum = sums[index][column];
                    let sum = if added { sum.plus(V::load(target)) } else { sum };
                    sum.store(target);
                }
            }
        }
    }
}

/// `sums[k][channel] += sum over positions of source[offsets[k] + position] * gradient[p][channel]`,
/// where position `p` of output row `y` and column `x` is `y * row_step + x * column_step`.
pub(super) struct Correlation<'a, T> {
    /// `[height * width][channels]`, channels a multiple of the lanes.
    pub(super) gradient: &'a [T],
    pub(super) channels: usize,
    /// What is read.
    pub(super) source: &'a [T],
    /// Where the row of each `k` begins in the source.
    pub(super) offsets: &'a [usize],
    pub(super) size: [usize; 2],
    pub(super) steps: [usize; 2],
    /// `[k][channels]`.
    pub(super) sums: &'a mut [T],
}

impl<T: Real> Correlation<'_, T> {
    /// Adds all positions to all sums.
    pub(super) fn run(self, level: Level) {
        T::dispatch(level, self);
    }
}

impl<T: Real> VectorTask<T> for Correlation<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let Correlation { gradient, channels, source, offsets, size, steps, sums } = self;
        let [height, width] = size;
        if height == 0 || width == 0 || offsets.is_empty() {
            return;
        }
        let reach = offsets.iter().copied().max().unwrap_or(0);
        let last = (height - 1) * steps[0] + (width - 1) * steps[1];
        assert!(channels.is_multiple_of(V::LANES) && source.len() > reach + last);
        assert!(gradient.len() >= height * width * channels);
        assert!(sums.len() >= offsets.len() * channels);
        let walk = Walk { size, steps, channels };
        let mut channel = 0;
        while channel < channels {
            let vectors = (channels - channel) / V::LANES;
            let mut first = 0;
            while first < offsets.len() {
                let left = offsets.len() - first;
                macro_rules! tile {
                    ($rows:literal, $columns:literal) => {{
                        // SAFETY: the assertions above cover all offsets, positions and channels.
                        unsafe {
                            correlation_tile::<V, $rows, $columns>(
                                gradient.as_ptr().add(channel),
                                source.as_ptr(),
                                &offsets[first..first + $rows],
                                walk,
                                sums.as_mut_ptr().add(first * channels + channel),
                            );
                        }
                        $rows
                    }};
                }
                // Accumulators stay below the number of registers: sixteen below AVX-512. What a level does
                // not use is not compiled for it.
                first += if const { ROWS * COLUMNS >= 24 } {
                    match vectors {
                        4.. if left >= 6 => tile!(6, 4),
                        4.. if left >= 3 => tile!(3, 4),
                        4.. => tile!(1, 4),
                        2.. if left >= 12 => tile!(12, 2),
                        2.. if left >= 9 => tile!(9, 2),
                        2.. if left >= 4 => tile!(4, 2),
                        2.. => tile!(1, 2),
                        _ if left >= 16 => tile!(16, 1),
                        _ if left >= 9 => tile!(9, 1),
                        _ if left >= 3 => tile!(3, 1),
                        _ => tile!(1, 1),
                    }
                } else {
                    match vectors {
                        2.. if left >= 4 => tile!(4, 2),
                        2.. => tile!(1, 2),
                        _ if left >= 9 => tile!(9, 1),
                        _ if left >= 3 => tile!(3, 1),
                        _ => tile!(1, 1),
                    }
                };
            }
            channel += V::LANES
                * match (vectors, ROWS * COLUMNS >= 24) {
                    (4.., true) => 4,
                    (2.., _) => 2,
                    _ => 1,
                };
        }
    }
}

/// Where positions are.
#[derive(Clone, Copy)]
struct Walk {
    size: [usize; 2],
    steps: [usize; 2],
    channels: usize,
}

/// One tile of [`Correlation`]: some `k` by some vectors of channels.
#[inline(always)]
unsafe fn correlation_tile<V: Vector, const ROWS: usize, const COLUMNS: usize>(
    gradient: *const V::Scalar,
    source: *const V::Scalar,
    offsets: &[usize],
    walk: Walk,
    sums: *mut V::Scalar,
) {
    let zero = bytemuck::Zeroable::zeroed();
    let mut totals = [[V::splat(zero); COLUMNS]; ROWS];
    let mut rows = [source; ROWS];
    // SAFETY: the caller checked all offsets, positions and channels against their slices.
    unsafe {
        for (row, &offset) in rows.iter_mut().zip(offsets) {
            *row = source.add(offset);
        }
        let mut gradient = gradient;
        let mut terms = 0;
        for y in 0..walk.size[0] {
            let mut position = y * walk.steps[0];
            let mut left = walk.size[1];
            while left > 0 {
                let count = left.min(DEPTH - terms);
                for _ in 0..count {
                    let mut values = [V::splat(zero); COLUMNS];
                    for column in 0..COLUMNS {
                        values[column] = V::load(gradient.add(column * V::LANES));
                    }
                    for index in 0..ROWS {
                        let value = V::splat(*rows[index].add(position));
                        for column in 0..COLUMNS {
                            totals[index][column] =
                                totals[index][column].multiply_add(value, values[column]);
                        }
                    }
                    gradient = gradient.add(walk.channels);
                    position += walk.steps[1];
                }
                left -= count;
                terms += count;
                if terms == DEPTH {
                    add_totals(&totals, walk.channels, sums);
                    totals = [[V::splat(zero); COLUMNS]; ROWS];
                    terms = 0;
                }
            }
        }
        add_totals(&totals, walk.channels, sums);
    }
}

/// Adds a tile's accumulators to the sums.
///
/// # Safety
/// `ROWS` rows of `COLUMNS` vectors, `channels` apart, are in bounds at `sums`.
#[inline(always)]
unsafe fn add_totals<V: Vector, const ROWS: usize, const COLUMNS: usize>(
    totals: &[[V; COLUMNS]; ROWS],
    channels: usize,
    sums: *mut V::Scalar,
) {
    for index in 0..ROWS {
        for column in 0..COLUMNS {
            // SAFETY: the caller vouches for all of them.
            unsafe {
                let target = sums.add(index * channels + column * V::LANES);
                V::load(target).plus(totals[index][column]).store(target);
            }
        }
    }
}
