//! `exp`, `expm1` and what follows from them: `sigmoid` and `tanh`.
//!
//! The argument is reduced to `n ln 2 + r` with `|r| <= ln(2) / 2` (Cody and Waite), the exponential of
//! `r` is a polynomial, and `2^n` is applied in two factors so that results below the normal range
//! are right.

use super::{fma, polynomial, power_of_two, round};

const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;

/// `(n, r)` with `x = n ln 2 + r`.
#[inline(always)]
fn reduce<const FMA: bool>(x: f32) -> (f32, i32, f32) {
    let (n, integer) = round(x * std::f32::consts::LOG2_E);
    (n, integer, fma::<FMA>(n, -LN2_LOW, fma::<FMA>(n, -LN2_HIGH, x)))
}

/// `e^r - 1` for `|r| <= ln(2) / 2`.
#[inline(always)]
fn expm1_reduced<const FMA: bool>(r: f32) -> f32 {
    let tail = polynomial::<FMA, 6>(
        r,
        [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5],
    );
    fma::<FMA>(tail, r * r, r)
}

/// `e^x` within 1.5 ulp; with 2 ulp where fused multiplication is missing.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    // NaN passes both comparisons unchanged.
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let (_, n, r) = reduce::<FMA>(x);
    let half = n >> 1;
    (expm1_reduced::<FMA>(r) + 1.0) * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `e^x - 1` within 3 ulp.
#[inline(always)]
pub(crate) fn expm1<const FMA: bool>(x: f32) -> f32 {
    let limited = if x > 89.0 { 89.0 } else { x };
    let limited = if limited < -18.0 { -18.0 } else { limited };
    let (_, n, r) = reduce::<FMA>(limited);
    // Half of the power, because 2^128 is no float; doubled at the end.
    let half = power_of_two(n.wrapping_sub(1));
    let value = 2.0 * fma::<FMA>(half, expm1_reduced::<FMA>(r), half - 0.5);
    // Keeps the sign of zero and every bit of what is too small to have a square.
    if x.abs() < 1e-20 { x } else { value }
}

/// `1 / (1 + e^-x)` within 3 ulp.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    // The exponential of minus the magnitude never overflows.
    let e = exp::<FMA>(-x.abs());
    let numerator = if x < 0.0 { e } else { 1.0 };
    numerator / (1.0 + e)
}

/// Hyperbolic tangent within 4 ulp.
#[inline(always)]
pub(crate) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let magnitude = x.abs();
    let limited = if magnitude > 10.0 { 10.0 } else { magnitude };
    let e = expm1::<FMA>(2.0 * limited);
    (e / (e + 2.0)).copysign(x)
}
