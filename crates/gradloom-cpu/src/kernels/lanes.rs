//! Operands as lanes, and the order of lanes in which NaN is above everything.

use std::ops::Range;

use bytemuck::Pod;
use gradloom_tensor::{DType, Result};

use super::executable::{Context, TASK_MIN};
use super::reading::Reading;
use crate::convert::Lane;
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::Level;
use crate::tile::load_contiguous;

/// An operand as lanes: itself, or a converted copy.
pub(super) enum Lanes<'a, T> {
    Borrowed(&'a [T]),
    Converted(Temporary),
}

impl<T: Pod> Lanes<'_, T> {
    /// The lanes.
    pub(super) fn get(&self) -> &[T] {
        match self {
            Lanes::Borrowed(values) => values,
            Lanes::Converted(copy) => bytemuck::cast_slice(copy.get()),
        }
    }
}

/// The elements of an operand as lanes of type `T`, which must be the lane of `dtype`.
///
/// # Errors
/// When there is no memory for a converted copy.
pub(super) fn lanes_of<'a, T: Pod>(
    context: &Context<'_>,
    bytes: &'a [u8],
    dtype: DType,
) -> Result<Lanes<'a, T>> {
    if Lane::stores(dtype) {
        return Ok(Lanes::Borrowed(bytemuck::cast_slice(bytes)));
    }
    let count = bytes.len() / dtype.size();
    let mut copy = context.pool.temporary(count * size_of::<T>())?;
    let threads = context.threads_for(count);
    let per_task = parallel::grain(threads, count, 1, TASK_MIN);
    let sizes = [size_of::<T>()];
    parallel::split(threads, &mut [copy.get_mut()], &sizes, count, per_task, |range, parts| {
        let stored = &bytes[range.start * dtype.size()..range.end * dtype.size()];
        load_contiguous(context.level, dtype, stored, parts[0]);
    });
    Ok(Lanes::Converted(copy))
}

/// An operand that is read part by part. Where its elements are no lanes, each part is converted when it
/// is read, so that there is no converted copy of the whole.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    level: Level,
    bytes: &'a [u8],
    reading: Reading,
}

/// A part of a stored operand as lanes.
pub(super) enum Part<'a, T> {
    Borrowed(&'a [T]),
    Converted(Scratch),
}

impl<'a> Stored<'a> {
    pub(super) fn new(level: Level, bytes: &'a [u8], reading: Reading) -> Stored<'a> {
        Stored { level, bytes, reading }
    }

    /// Number of elements.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.reading.stored.size()
    }

    /// The elements of a range as lanes of type `T`, which must be that of the reading.
    pub(super) fn part<T: Pod>(&self, range: Range<usize>) -> Part<'a, T> {
        let size = self.reading.stored.size();
        let bytes = &self.bytes[range.start * size..range.end * size];
        if self.reading.is_plain() {
            return Part::Borrowed(bytemuck::cast_slice(bytes));
        }
        let mut lanes = Scratch::take::<T>(range.len());
        let (size, count) = ([1, range.len()], range.len());
        self.reading.load::<u8, T>(self.level, bytes, 0, size, lanes.get_mut(), count);
        Part::Converted(lanes)
    }
}

impl<T: Pod> Part<'_, T> {
    /// The lanes.
    pub(super) fn get(&self) -> &[T] {
        match self {
            Part::Borrowed(values) => values,
            Part::Converted(lanes) => lanes.get(),
        }
    }
}

/// Lanes that can be compared and added.
pub(super) trait Ordered: Pod + Send + Sync {
    /// Below every number.
    const LEAST: Self;
    /// Zero.
    const ZERO: Self;
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;

    /// True if this comes after `other` where NaN comes last; false for equals.
    fn above(self, other: Self) -> bool;

    /// True for NaN.
    fn is_nan(self) -> bool;

    /// A number in the order of the values: NaN last, equals equal.
    fn rank(self) -> u64;

    /// The sum; integers wrap.
    fn plus(self, other: Self) -> Self;

    /// The sum, and in `lost` what rounding has cut off it so far (Knuth's two-sum). For sums that lie in
    /// memory, where terms come one at a time.
    fn plus_exactly(self, other: Self, lost: &mut Self) -> Self;

    /// A sum with what rounding has cut off it.
    fn with_lost(self, lost: Self) -> Self;

    /// As [`Ordered::with_lost`], and in `lost` what is cut off that: long sums do it now and then, or what
    /// is lost becomes a long sum itself.
    fn settled(self, lost: &mut Self) -> Self;

    /// The larger; NaN wins.
    #[inline(always)]
    fn or_larger(self, other: Self) -> Self {
        if other.above(self) { other } else { self }
    }
}

macro_rules! ordered_float {
    ($($type:ty: $bits:ty),*) => {$(
        impl Ordered for $type {
            const WIDE: bool = size_of::<$type>() == 4;
            const LEAST: Self = <$type>::NEG_INFINITY;
            const ZERO: Self = 0.0;

            #[inline(always)]
            fn above(self, other: Self) -> bool {
                // Bitwise operators keep this free of branches.
                (self > other) | (<$type>::is_nan(self) & !<$type>::is_nan(other))
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }

            #[inline(always)]
            fn rank(self) -> u64 {
                if <$type>::is_nan(self) {
                    return u64::MAX;
                }
                // Both zeros are equal; negative numbers come in the reverse order of their bits.
                let bits = (self + 0.0).to_bits();
                let sign = 1 << (<$bits>::BITS - 1);
                u64::from(if bits & sign == 0 { bits | sign } else { !bits })
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self + other
            }

            #[inline(always)]
            fn plus_exactly(self, other: Self, lost: &mut Self) -> Self {
                let sum = self + other;
                let added = sum - self;
                *lost += (self - (sum - added)) + (other - added);
                sum
            }

            #[inline(always)]
            fn with_lost(self, lost: Self) -> Self {
                // Beside an infinity what is lost is NaN.
                if <$type>::is_nan(lost) { self } else { self + lost }
            }

            #[inline(always)]
            fn settled(self, lost: &mut Self) -> Self {
                let sum = self.with_lost(*lost);
                let added = sum - self;
                *lost = (self - (sum - added)) + (*lost - added);
                sum
            }
        }
    )*};
}

macro_rules! ordered_integer {
    ($($type:ty),*) => {$(
        impl Ordered for $type {
            const WIDE: bool = false;
            const LEAST: Self = <$type>::MIN;
            const ZERO: Self = 0;

            #[inline(always)]
            fn above(self, other: Self) -> bool {
                self > other
            }

            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }

            #[inline(always)]
            fn rank(self) -> u64 {
                (i64::from(self) as u64) ^ (1 << 63)
            }

            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn plus_exactly(self, other: Self, _lost: &mut Self) -> Self {
                self.wrapping_add(other)
            }

            #[inline(always)]
            fn with_lost(self, _lost: Self) -> Self {
                self
            }

            #[inline(always)]
            fn settled(self, _lost: &mut Self) -> Self {
                self
            }
        }
    )*};
}

ordered_float!(f32: u32, f64: u64);
ordered_integer!(i32, i64, u32);

/// Calls a generic function with the lane type of a dtype: `with_lane!(dtype, |T| expression)`.
macro_rules! with_lane {
    ($dtype:expr, |$type:ident| $body:expr) => {
        match $crate::convert::Lane::of($dtype) {
            $crate::convert::Lane::F32 => {
                type $type = f32;
                $body
            }
            $crate::convert::Lane::F64 => {
                type $type = f64;
                $body
            }
            $crate::convert::Lane::I32 => {
                type $type = i32;
                $body
            }
            $crate::convert::Lane::I64 => {
                type $type = i64;
                $body
            }
            $crate::convert::Lane::U32 => {
                type $type = u32;
                $body
            }
        }
    };
}
pub(super) use with_lane;

/// Calls a generic function with an integer type as wide as the elements of a dtype, for kernels that
/// only move them: `with_bits!(dtype, |T| expression)`.
macro_rules! with_bits {
    ($dtype:expr, |$type:ident| $body:expr) => {
        match $dtype.size() {
            1 => {
                type $type = u8;
                $body
            }
            2 => {
                type $type = u16;
                $body
            }
            4 => {
                type $type = u32;
                $body
            }
            _ => {
                type $type = u64;
                $body
            }
        }
    };
}
pub(super) use with_bits;
