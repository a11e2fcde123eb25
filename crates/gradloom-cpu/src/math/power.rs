//! `pow` as `2^(y log2 x)` in f64, which keeps all bits of f32 results.

use super::{fma64, polynomial64};

/// `log2` of a positive float (also of one below the normal range, which f64 holds as normal).
#[inline(always)]
pub(super) fn wide_log2<const FMA: bool>(x: f64) -> f64 {
    const SQRT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF);
    let mantissa = f64::from_bits((shifted & 0x000f_ffff_ffff_ffff).wrapping_add(SQRT_HALF));
    // The exponent as a float without a 64-bit conversion: it stands in the low bits of 1.5 * 2^52.
    const MAGIC: u64 = 0x4338_0000_0000_0000;
    let exponent =
        f64::from_bits(MAGIC.wrapping_add(((shifted as i64) >> 52) as u64)) - f64::from_bits(MAGIC);
    let t = (mantissa - 1.0) / (mantissa + 1.0);
    let square = t * t;
    // 2 atanh(t) / ln(2) as a series; |t| is below 0.172.
    const SCALE: f64 = 2.0 * std::f64::consts::LOG2_E;
    let series = polynomial64::<FMA, 9>(
        square,
        [
            SCALE / 17.0,
            SCALE / 15.0,
            SCALE / 13.0,
            SCALE / 11.0,
            SCALE / 9.0,
            SCALE / 7.0,
            SCALE / 5.0,
            SCALE / 3.0,
            SCALE,
        ],
    );
    fma64::<FMA>(series, t, exponent)
}

/// `2^x` for magnitudes up to 1000.
#[inline(always)]
pub(super) fn wide_exp2<const FMA: bool>(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let shifted = x + ROUND;
    let r = (x - (shifted - ROUND)) * std::f64::consts::LN_2;
    let value = polynomial64::<FMA, 11>(
        r,
        [
            1.0 / 3_628_800.0,
            1.0 / 362_880.0,
            1.0 / 40_320.0,
            1.0 / 5_040.0,
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ],
    );
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    value * f64::from_bits(exponent.wrapping_add(1023) << 52)
}

/// `x^y` within 1 ulp, with the special cases of C's `pow`.
#[inline(always)]
pub(crate) fn pow<const FMA: bool>(x: f32, y: f32) -> f32 {
    let magnitude = x.abs();
    // Infinite exponents are limited so that the product below is no NaN.
    let exponent = if y.abs() > 1e30 { 1e30f32.copysign(y) } else { y };
    let logarithm = wide_log2::<FMA>(f64::from(magnitude));
    let logarithm = if magnitude == 0.0 { -1e300 } else { logarithm };
    let logarithm = if magnitude == f32::INFINITY { 1e300 } else { logarithm };
    let product = logarithm * f64::from(exponent);
    let product = if product > 400.0 { 400.0 } else { product };
    let product = if product < -400.0 { -400.0 } else { product };
    let value = wide_exp2::<FMA>(product) as f32;
    // Floats of magnitude from 2^24 on are even integers; halves are exact below.
    let integral = y.abs() >= 8_388_608.0 || (y.abs() + 8_388_608.0) - 8_388_608.0 == y.abs();
    let half = 0.5 * y.abs();
    let even = half >= 8_388_608.0 || (half + 8_388_608.0) - 8_388_608.0 == half;
    let negative = x.is_sign_negative();
    let value = if negative && integral && !even { -value } else { value };
    let finite_negative = x < 0.0 && magnitude < f32::INFINITY;
    let value = if finite_negative && !integral { f32::NAN } else { value };
    let value = if x.is_nan() || y.is_nan() { f32::NAN } else { value };
    // One to any power, and minus one to infinities.
    let one = x == 1.0 || y == 0.0 || (x == -1.0 && y.abs() == f32::INFINITY);
    if one { 1.0 } else { value }
}
