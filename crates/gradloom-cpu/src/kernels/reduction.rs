//! How lanes are reduced: sums with several independent accumulators, extremes in which NaN wins.
//!
//! The order is fixed by the lengths alone, so results are the same bits on every run, and no value goes
//! through many additions.

use bytemuck::Pod;
use gradloom_tensor::op::Reduction;

use super::cascade::Cascade;
use crate::convert::Lane;
use crate::simd::{Level, vectorized};
use crate::tile::{TILE, lane_of_word, word_of_lane};

/// Lanes of an accumulator, of which a row has four.
const LANES: usize = 16;

/// A way to combine two values, as a type without size.
pub(crate) trait Combine<T>: Copy {
    /// What changes nothing.
    const IDENTITY: T;
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;
    /// Both in one.
    fn combine(a: T, b: T) -> T;
}

/// Addition; integers wrap.
#[derive(Clone, Copy)]
pub(crate) struct Sum;
/// The larger; NaN wins.
#[derive(Clone, Copy)]
pub(crate) struct Max;
/// The smaller; NaN wins.
#[derive(Clone, Copy)]
pub(crate) struct Min;

macro_rules! combine_float {
    ($($lane:ty: $wide:literal),*) => {$(
        impl Combine<$lane> for Sum {
            const IDENTITY: $lane = 0.0;
            const WIDE: bool = $wide;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                a + b
            }
        }
        impl Combine<$lane> for Max {
            const IDENTITY: $lane = <$lane>::NEG_INFINITY;
            const WIDE: bool = $wide;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                if (b > a) | b.is_nan() { b } else { a }
            }
        }
        impl Combine<$lane> for Min {
            const IDENTITY: $lane = <$lane>::INFINITY;
            const WIDE: bool = $wide;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                if (b < a) | b.is_nan() { b } else { a }
            }
        }
    )*};
}

macro_rules! combine_integer {
    ($($lane:ty),*) => {$(
        impl Combine<$lane> for Sum {
            const IDENTITY: $lane = 0;
            const WIDE: bool = false;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                a.wrapping_add(b)
            }
        }
        impl Combine<$lane> for Max {
            const IDENTITY: $lane = <$lane>::MIN;
            const WIDE: bool = false;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                a.max(b)
            }
        }
        impl Combine<$lane> for Min {
            const IDENTITY: $lane = <$lane>::MAX;
            const WIDE: bool = false;
            #[inline(always)]
            fn combine(a: $lane, b: $lane) -> $lane {
                a.min(b)
            }
        }
    )*};
}

combine_float!(f32: true, f64: false);
combine_integer!(i32, i64, u32);

/// All values in one.
#[inline(always)]
fn reduce_row<T: Pod, C: Combine<T>>(values: &[T]) -> T {
    if values.len() < LANES {
        return values.iter().fold(C::IDENTITY, |sum, &value| C::combine(sum, value));
    }
    let mut sums = [[C::IDENTITY; LANES]; 4];
    let chunks = values.chunks_exact(4 * LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (sums, chunk) in sums.iter_mut().zip(chunk.chunks_exact(LANES)) {
            combine_lanes::<T, C>(sums, chunk);
        }
    }
    let chunks = rest.chunks_exact(LANES);
    let rest = chunks.remainder();
    for (sums, chunk) in sums.iter_mut().zip(chunks) {
        combine_lanes::<T, C>(sums, chunk);
    }
    let [mut first, second, mut third, fourth] = sums;
    combine_lanes::<T, C>(&mut first, &second);
    combine_lanes::<T, C>(&mut third, &fourth);
    combine_lanes::<T, C>(&mut first, &third);
    let mut total = [C::IDENTITY; 4];
    for (lane, &value) in first.iter().enumerate() {
        total[lane % 4] = C::combine(total[lane % 4], value);
    }
    for (lane, &value) in rest.iter().enumerate() {
        total[lane % 4] = C::combine(total[lane % 4], value);
    }
    C::combine(C::combine(total[0], total[2]), C::combine(total[1], total[3]))
}

#[inline(always)]
fn combine_lanes<T: Pod, C: Combine<T>>(sums: &mut [T; LANES], values: &[T]) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum = C::combine(*sum, value);
    }
}

vectorized! {
    /// One result per row of `columns` values.
    fn rows['a][T: Pod, C: Combine<T>] wide(C::WIDE) (
        combine: C, values: &'a [T], columns: usize, out: &'a mut [T]
    ) {
        let _ = combine;
        if columns == 1 {
            return out.copy_from_slice(&values[..out.len()]);
        }
        for (slot, row) in out.iter_mut().zip(values.chunks_exact(columns)) {
            *slot = reduce_row::<T, C>(row);
        }
    }

    /// Combines every row of `sums.len()` values into `sums`, column by column.
    fn columns['a][T: Pod, C: Combine<T>] wide(C::WIDE) (combine: C, values: &'a [T], sums: &'a mut [T]) {
        let _ = combine;
        if values.len() <= TILE && values.len() >= FOLDED_MIN * sums.len() {
            return fold_columns::<T, C>(values, sums);
        }
        for row in values.chunks_exact(sums.len()) {
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = C::combine(*sum, value);
            }
        }
    }
}

/// Rows from which they are folded.
const FOLDED_MIN: usize = 4;

/// Rows of a tile, the later half added to the earlier one until one is left: a pairwise sum, in loops as
/// long as half the rows together, however short a row is.
#[inline(always)]
fn fold_columns<T: Pod, C: Combine<T>>(values: &[T], sums: &mut [T]) {
    let width = sums.len();
    let mut rows = values.len() / width;
    let mut folded = [C::IDENTITY; TILE / 2 + TILE / 4];
    let half = rows.div_ceil(2) * width;
    let folded = &mut folded[..half];
    folded.copy_from_slice(&values[..half]);
    for (slot, &value) in folded.iter_mut().zip(&values[half..rows * width]) {
        *slot = C::combine(*slot, value);
    }
    rows = rows.div_ceil(2);
    while rows > 1 {
        let half = rows.div_ceil(2) * width;
        let (first, second) = folded[..rows * width].split_at_mut(half);
        for (slot, &value) in first.iter_mut().zip(&*second) {
            *slot = C::combine(*slot, value);
        }
        rows = rows.div_ceil(2);
    }
    for (sum, &value) in sums.iter_mut().zip(&*folded) {
        *sum = C::combine(*sum, value);
    }
}

/// Calls a generic function with the lane type and the combination:
/// `with_reduction!(lane, reduction, |T, C, combine| expression)`.
macro_rules! with_reduction {
    ($lane:expr, $reduction:expr, |$type:ident, $combine:ident| $body:expr) => {{
        macro_rules! lane {
            ($t:ty) => {{
                type $type = $t;
                match $reduction {
                    Reduction::Sum => {
                        let $combine = Sum;
                        $body
                    }
                    Reduction::Max => {
                        let $combine = Max;
                        $body
                    }
                    Reduction::Min => {
                        let $combine = Min;
                        $body
                    }
                }
            }};
        }
        match $lane {
            Lane::F32 => lane!(f32),
            Lane::F64 => lane!(f64),
            Lane::I32 => lane!(i32),
            Lane::I64 => lane!(i64),
            Lane::U32 => lane!(u32),
        }
    }};
}

fn identity_of<T: Pod, C: Combine<T>>(_: C) -> T {
    C::IDENTITY
}

fn combine_of<T: Pod, C: Combine<T>>(_: C, a: T, b: T) -> T {
    C::combine(a, b)
}

/// The word of what changes nothing.
pub(crate) fn identity(lane: Lane, reduction: Reduction) -> u64 {
    with_reduction!(lane, reduction, |T, combine| word_of_lane::<T>(identity_of(combine)))
}

/// Two words in one.
pub(crate) fn combine_words(lane: Lane, reduction: Reduction, a: u64, b: u64) -> u64 {
    with_reduction!(lane, reduction, |T, combine| word_of_lane::<T>(combine_of(
        combine,
        lane_of_word(a),
        lane_of_word(b)
    )))
}

/// Words in one, pairwise, so that long sums keep their accuracy.
pub(crate) fn combine_all(
    lane: Lane,
    reduction: Reduction,
    words: impl Iterator<Item = u64>,
) -> u64 {
    let combine = |a, b| combine_words(lane, reduction, a, b);
    let mut cascade = Cascade::default();
    words.for_each(|word| cascade.push(word, combine));
    cascade.total(combine).unwrap_or_else(|| identity(lane, reduction))
}

/// One lane of `out` per row of `columns` lanes of `values`.
pub(crate) fn reduce_rows(
    level: Level,
    lane: Lane,
    reduction: Reduction,
    values: &[u8],
    columns: usize,
    out: &mut [u8],
) {
    if columns == 0 {
        return clear(lane, reduction, out);
    }
    with_reduction!(lane, reduction, |T, combine| rows::<T, _>(
        level,
        combine,
        bytemuck::cast_slice(values),
        columns,
        bytemuck::cast_slice_mut(out)
    ));
}

/// Combines each row of lanes into the row `sums`.
pub(crate) fn reduce_columns(
    level: Level,
    lane: Lane,
    reduction: Reduction,
    values: &[u8],
    sums: &mut [u8],
) {
    with_reduction!(lane, reduction, |T, combine| columns::<T, _>(
        level,
        combine,
        bytemuck::cast_slice(values),
        bytemuck::cast_slice_mut(sums)
    ));
}

/// Fills lanes with what changes nothing.
pub(crate) fn clear(lane: Lane, reduction: Reduction, out: &mut [u8]) {
    with_reduction!(lane, reduction, |T, combine| {
        bytemuck::cast_slice_mut::<u8, T>(out).fill(identity_of(combine));
    });
}
