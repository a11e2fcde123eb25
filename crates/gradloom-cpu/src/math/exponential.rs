//! `exp`, `exp2`, `expm1` and what follows from them: `sigmoid`, `sinh`, `cosh` and `tanh`.
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

/// `2^x` within 2 ulp.
#[inline(always)]
pub(crate) fn exp2<const FMA: bool>(x: f32) -> f32 {
    // NaN passes both comparisons unchanged.
    let x = if x > 129.0 { 129.0 } else { x };
    let x = if x < -151.0 { -151.0 } else { x };
    let (n, integer) = round(x);
    let half = integer >> 1;
    let value = expm1_reduced::<FMA>((x - n) * std::f32::consts::LN_2) + 1.0;
    value * power_of_two(half) * power_of_two(integer.wrapping_sub(half))
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

/// `e^(|x| / 2)` and its inverse: their squares are within 3 ulp, and no step overflows before them.
#[inline(always)]
fn root_of_exp<const FMA: bool>(x: f32) -> (f32, f32) {
    let root = exp::<FMA>(0.5 * x.abs());
    (root, 1.0 / root)
}

/// Hyperbolic cosine within 4 ulp.
#[inline(always)]
pub(crate) fn cosh<const FMA: bool>(x: f32) -> f32 {
    let (root, inverse) = root_of_exp::<FMA>(x);
    fma::<FMA>(0.5 * root, root, 0.5 * inverse * inverse)
}

/// Hyperbolic sine within 4 ulp.
#[inline(always)]
pub(crate) fn sinh<const FMA: bool>(x: f32) -> f32 {
    let (root, inverse) = root_of_exp::<FMA>(x);
    let far = fma::<FMA>(0.5 * root, root, -0.5 * inverse * inverse).copysign(x);
    let square = x * x;
    let near =
        polynomial::<FMA, 4>(square, [2.755_732e-6, 1.984_127e-4, 8.333_334e-3, 1.666_666_7e-1]);
    let near = fma::<FMA>(near * square, x, x);
    if x.abs() < 1.0 { near } else { far }
}
