//! `log` and `log1p`.

use super::{fma, polynomial};

/// `2^exponent * (1 + f)` with `1 + f` between `sqrt(1/2)` and `sqrt(2)`, for positive normal floats.
#[inline(always)]
fn decompose(x: f32) -> (f32, f32) {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (shifted as i32) >> 23;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF));
    (exponent as f32, mantissa - 1.0)
}

/// `exponent ln 2 + ln(1 + f) + correction`.
#[inline(always)]
fn combine<const FMA: bool>(exponent: f32, f: f32, correction: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let square = f * f;
    let tail = polynomial::<FMA, 9>(
        f,
        [
            7.037_683_6e-2,
            -1.151_461e-1,
            1.167_699_9e-1,
            -1.242_014_1e-1,
            1.424_932_3e-1,
            -1.666_805_8e-1,
            2.000_071_5e-1,
            -2.499_999_4e-1,
            3.333_333e-1,
        ],
    );
    let low = fma::<FMA>(exponent, LN2_LOW, fma::<FMA>(tail * f, square, correction));
    let value = fma::<FMA>(-0.5, square, low) + f;
    fma::<FMA>(exponent, LN2_HIGH, value)
}

/// Natural logarithm within 2 ulp.
#[inline(always)]
pub(crate) fn log<const FMA: bool>(x: f32) -> f32 {
    let tiny = x < f32::MIN_POSITIVE;
    let scaled = if tiny { x * 8_388_608.0 } else { x };
    let (exponent, f) = decompose(scaled);
    let exponent = if tiny { exponent - 23.0 } else { exponent };
    special(x, combine::<FMA>(exponent, f, 0.0))
}

/// `ln(1 + x)` within 3 ulp.
#[inline(always)]
pub(crate) fn log1p<const FMA: bool>(x: f32) -> f32 {
    let sum = 1.0 + x;
    let (exponent, f) = decompose(sum);
    // What the sum lost by rounding, relative to the sum. Nothing for large x, where it would be lost
    // again.
    let lost = if x < 1.0 { x - (sum - 1.0) } else { 1.0 - (sum - x) };
    let value = special(sum, combine::<FMA>(exponent, f, lost / sum));
    if x.abs() < 1e-9 { x } else { value }
}

/// The values outside the positive finite numbers.
#[inline(always)]
fn special(x: f32, value: f32) -> f32 {
    let value = if x == f32::INFINITY { x } else { value };
    let value = if x == 0.0 { f32::NEG_INFINITY } else { value };
    // NaN fails the comparison too.
    if x >= 0.0 { value } else { f32::NAN }
}
