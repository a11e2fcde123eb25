//! `sin` and `cos`, reduced by multiples of a quarter turn in f64, and their inverses.

use super::{fma, fma64, polynomial};

/// Beyond this the reduction loses bits; callers take the slow path for such arguments.
pub(crate) const REDUCTION_MAX: f32 = 1e6;

/// The quarter turn of `x` and the remaining angle in `-pi/4..pi/4`.
#[inline(always)]
fn reduce<const FMA: bool>(x: f32) -> (u32, f32) {
    // Adding it rounds an f64 of magnitude below 2^51 to an integer that stands in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    // The first part has 33 bits, so that its product with a quarter turn is exact.
    const HIGH: f64 = 1.570_796_326_734_125_6;
    const LOW: f64 = 6.077_100_506_506_192e-11;
    let wide = f64::from(x);
    let shifted = fma64::<FMA>(wide, std::f64::consts::FRAC_2_PI, ROUND);
    let turns = shifted - ROUND;
    let angle = fma64::<FMA>(turns, -LOW, fma64::<FMA>(turns, -HIGH, wide));
    (shifted.to_bits() as u32, angle as f32)
}

/// Sine if `quarter` is even, cosine if odd; negative for 2 and 3.
#[inline(always)]
fn evaluate<const FMA: bool>(quarter: u32, r: f32) -> f32 {
    let square = r * r;
    let sine = polynomial::<FMA, 3>(square, [-1.951_529_6e-4, 8.332_161e-3, -1.666_665_5e-1]);
    let sine = fma::<FMA>(sine * square, r, r);
    let cosine = polynomial::<FMA, 3>(square, [2.443_315_7e-5, -1.388_731_6e-3, 4.166_664_6e-2]);
    let cosine = fma::<FMA>(cosine * square, square, fma::<FMA>(-0.5, square, 1.0));
    let value = if quarter & 1 == 0 { sine } else { cosine };
    f32::from_bits(value.to_bits() ^ ((quarter & 2) << 30))
}

/// Sine within 2 ulp (absolute 1e-7 near its zeros) for magnitudes up to [`REDUCTION_MAX`]; NaN of
/// infinities.
#[inline(always)]
pub(crate) fn sin<const FMA: bool>(x: f32) -> f32 {
    let (quarter, r) = reduce::<FMA>(x);
    let value = evaluate::<FMA>(quarter, r);
    if x == 0.0 { x } else { value }
}

/// Cosine, as [`sin`].
#[inline(always)]
pub(crate) fn cos<const FMA: bool>(x: f32) -> f32 {
    let (quarter, r) = reduce::<FMA>(x);
    evaluate::<FMA>(quarter.wrapping_add(1), r)
}

/// Arc tangent within 3 ulp: an eighth or a quarter turn, and the tangent of what is left to it.
#[inline(always)]
pub(crate) fn atan<const FMA: bool>(x: f32) -> f32 {
    use std::f32::consts::{FRAC_PI_2, FRAC_PI_4};
    // Tangents of 3/8 and 1/8 of a half turn.
    const STEEP: f32 = 2.414_213_7;
    const FLAT: f32 = 0.414_213_57;
    let magnitude = x.abs();
    let eighth = (FRAC_PI_4, (magnitude - 1.0) / (magnitude + 1.0));
    let (turn, r) = if magnitude > FLAT { eighth } else { (0.0, magnitude) };
    let (turn, r) = if magnitude > STEEP { (FRAC_PI_2, -1.0 / magnitude) } else { (turn, r) };
    let square = r * r;
    let slope = polynomial::<FMA, 4>(
        square,
        [8.059_923e-2, -1.387_974e-1, 1.997_791_7e-1, -3.333_295_4e-1],
    );
    (turn + fma::<FMA>(slope * square, r, r)).copysign(x)
}

/// `(asin(r) - r) / r` for `r` up to a half.
#[inline(always)]
fn arc_tail<const FMA: bool>(square: f32) -> f32 {
    let coefficients = [4.223_055e-2, 2.414_098_7e-2, 4.547_834_3e-2, 7.495_233e-2, 1.666_675_4e-1];
    polynomial::<FMA, 5>(square, coefficients) * square
}

/// For magnitudes above a half, half the angle to a quarter turn: `asin(sqrt((1 - |x|) / 2))`; below, the
/// angle itself.
#[inline(always)]
fn arc<const FMA: bool>(magnitude: f32) -> f32 {
    let half = 0.5 - 0.5 * magnitude;
    let (square, r) = match magnitude > 0.5 {
        true => (half, half.sqrt()),
        false => (magnitude * magnitude, magnitude),
    };
    fma::<FMA>(arc_tail::<FMA>(square), r, r)
}

/// Arc sine within 3 ulp.
#[inline(always)]
pub(crate) fn asin<const FMA: bool>(x: f32) -> f32 {
    let (magnitude, angle) = (x.abs(), arc::<FMA>(x.abs()));
    let far = fma::<FMA>(-2.0, angle, std::f32::consts::FRAC_PI_2);
    (if magnitude > 0.5 { far } else { angle }).copysign(x)
}

/// Arc cosine within 3 ulp.
#[inline(always)]
pub(crate) fn acos<const FMA: bool>(x: f32) -> f32 {
    use std::f32::consts::{FRAC_PI_2, PI};
    let angle = arc::<FMA>(x.abs());
    let near = FRAC_PI_2 - angle.copysign(x);
    let far = if x < 0.0 { fma::<FMA>(-2.0, angle, PI) } else { 2.0 * angle };
    if x.abs() > 0.5 { far } else { near }
}
