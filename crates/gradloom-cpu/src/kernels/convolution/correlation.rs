//! The sums over all positions of a picture that make gradients of weights: a tile of accumulators in registers
//! for some elements of the window and some vectors of channels.
#![expect(unsafe_code, reason = "the loops read by pointer; bounds are checked once before them")]

use super::tile::DEPTH;
use crate::simd::Level;
use crate::vector::{Real, Vector, VectorTask};

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
