//! Exact meanings of special functions: f64 to about 1e-15, so that devices can be measured.

use std::f64::consts::{FRAC_2_SQRT_PI, PI};
use std::sync::LazyLock;

/// The error function to about 1e-16: its Taylor series near zero, a continued fraction of the
/// complement elsewhere (Abramowitz and Stegun 7.1.6 and 7.1.14).
pub fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let magnitude = x.abs();
    if magnitude < 2.5 {
        let (mut term, mut sum) = (magnitude, magnitude);
        for n in 1..80 {
            term *= 2.0 * magnitude * magnitude / f64::from(2 * n + 1);
            sum += term;
        }
        let value = FRAC_2_SQRT_PI * (-magnitude * magnitude).exp() * sum;
        return value.copysign(x);
    }
    if magnitude > 6.0 {
        return 1f64.copysign(x);
    }
    (1.0 - complement(magnitude)).copysign(x)
}

/// `1 - erf(x)` of positive numbers by the continued fraction (7.1.14).
fn complement(x: f64) -> f64 {
    (-x * x).exp() * scaled_complement(x)
}

/// `e^(x^2) (1 - erf(x))` of positive numbers.
fn scaled_complement(x: f64) -> f64 {
    let mut fraction = x;
    for k in (1..=200).rev() {
        fraction = x + f64::from(k) / 2.0 / fraction;
    }
    1.0 / (fraction * PI.sqrt())
}

/// `1 - erf(x)`.
pub(super) fn erfc(x: f64) -> f64 {
    if x >= 1.0 { complement(x.min(1e3)) } else { 1.0 - erf(x) }
}

/// `e^(x^2) (1 - erf(x))`.
pub(super) fn erfcx(x: f64) -> f64 {
    if x >= 1.0 { scaled_complement(x) } else { (x * x).exp() * (1.0 - erf(x)) }
}

/// The number whose error function is x: an estimate (Winitzki, 2008), then Halley's steps.
pub(super) fn erfinv(x: f64) -> f64 {
    let magnitude = x.abs();
    if magnitude == 1.0 {
        return f64::INFINITY.copysign(x);
    }
    if magnitude == 0.0 || magnitude.is_nan() || magnitude > 1.0 {
        return if magnitude == 0.0 { x } else { f64::NAN };
    }
    const A: f64 = 0.147;
    let logarithm = (-magnitude * magnitude).ln_1p();
    let half = 2.0 / (PI * A) + logarithm / 2.0;
    let square = (half * half - logarithm / A).sqrt() - half;
    let mut y = if magnitude < 1e-4 { magnitude / FRAC_2_SQRT_PI } else { square.sqrt() };
    for _ in 0..4 {
        let far = match magnitude > 0.5 {
            true => (1.0 - magnitude) - erfc(y),
            false => erf(y) - magnitude,
        };
        let step = far / (FRAC_2_SQRT_PI * (-y * y).exp());
        y -= step / (1.0 + y * step);
    }
    y.copysign(x)
}

/// The nearest distance to an integer, with its sign.
fn beyond_integer(x: f64) -> f64 {
    x - x.round_ties_even()
}

/// `zeta(k) - 1`: some terms, and the Euler-Maclaurin sum of the rest.
fn zeta_less_one(k: usize) -> f64 {
    let (s, end) = (k as f64, 50.0f64);
    let terms: f64 = (2..50).rev().map(|n| f64::from(n).powf(-s)).sum();
    let first = s / 12.0;
    let second = -first * (s + 1.0) * (s + 2.0) / 60.0;
    let third = -second * (s + 3.0) * (s + 4.0) / 42.0;
    let bends = horner(1.0 / (end * end), &[third, second, first]) / end;
    terms + end.powf(-s) * (end / (s - 1.0) + 0.5 + bends)
}

/// `lgamma(2 + e)` for magnitudes up to a half, by its Taylor series.
fn lgamma_about_two(e: f64) -> f64 {
    static ZETA: LazyLock<[f64; 32]> =
        LazyLock::new(|| std::array::from_fn(|k| zeta_less_one(k.max(2))));
    const EULER: f64 = 0.577_215_664_901_532_9;
    let (mut power, mut sum) = (e, (1.0 - EULER) * e);
    for (k, zeta) in ZETA.iter().enumerate().skip(2) {
        power *= -e;
        sum -= zeta * power / k as f64;
    }
    sum
}

/// Logarithm of the gamma function's magnitude.
pub(crate) fn lgamma(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.is_infinite() {
        return f64::INFINITY;
    }
    if x < 0.0 {
        let sine = (PI * beyond_integer(x)).sin().abs();
        return PI.ln() - (x * sine).abs().ln() - lgamma(-x);
    }
    if x < 0.5 {
        return lgamma_about_two(x) - x.ln_1p() - x.ln();
    }
    if x < 1.5 {
        return lgamma_about_two(x - 1.0) - (x - 1.0).ln_1p();
    }
    if x < 10.0 {
        let (mut z, mut product) = (x, 1.0);
        while z >= 2.5 {
            z -= 1.0;
            product *= z;
        }
        return lgamma_about_two(z - 2.0) + product.ln();
    }
    // Stirling's series (6.1.41).
    let s = 1.0 / (x * x);
    let terms = [1.0 / 1188.0, -1.0 / 1680.0, 1.0 / 1260.0, -1.0 / 360.0, 1.0 / 12.0];
    let series = horner(s, &[&[1.0 / 156.0, -691.0 / 360_360.0], &terms[..]].concat()) / x;
    (x - 0.5) * (x.ln() - 1.0) + (0.5 * (2.0 * PI).ln() - 0.5) + series
}

/// The polynomial with these coefficients, highest power first.
fn horner(x: f64, coefficients: &[f64]) -> f64 {
    coefficients.iter().fold(0.0, |value, coefficient| value * x + coefficient)
}

/// Logarithmic derivative of the gamma function.
pub(super) fn digamma(x: f64) -> f64 {
    if x == 0.0 {
        return f64::INFINITY.copysign(-x);
    }
    if x < 0.0 {
        let r = beyond_integer(x);
        return match r == 0.0 || x.is_infinite() {
            true => f64::NAN,
            false => digamma(-x) - 1.0 / x - PI / (PI * r).tan(),
        };
    }
    let (mut z, mut sum) = (x, 0.0);
    while z < 10.0 {
        sum += 1.0 / z;
        z += 1.0;
    }
    // The asymptotic series (6.3.18).
    let s = 1.0 / (z * z);
    let terms =
        [691.0 / 32_760.0, -1.0 / 132.0, 1.0 / 240.0, -1.0 / 252.0, 1.0 / 120.0, -1.0 / 12.0];
    z.ln() - 0.5 / z + s * horner(s, &[&[-1.0 / 12.0], &terms[..]].concat()) - sum
}

/// Second logarithmic derivative of the gamma function.
pub(super) fn trigamma(x: f64) -> f64 {
    if x == 0.0 || (x < 0.0 && beyond_integer(x) == 0.0) {
        return f64::INFINITY;
    }
    if x < 0.0 {
        let sine = (PI * beyond_integer(x)).sin();
        return (PI / sine).powi(2) - trigamma(-x) + 1.0 / (x * x);
    }
    let (mut z, mut sum) = (x, 0.0);
    while z < 10.0 {
        sum += 1.0 / (z * z);
        z += 1.0;
    }
    // The asymptotic series (6.4.12).
    let s = 1.0 / (z * z);
    let terms = [-691.0 / 2730.0, 5.0 / 66.0, -1.0 / 30.0, 1.0 / 42.0, -1.0 / 30.0, 1.0 / 6.0];
    (1.0 + 0.5 / z + s * horner(s, &[&[7.0 / 6.0], &terms[..]].concat())) / z + sum
}

/// `e^-|x|` times the modified Bessel function of order zero or one, of a magnitude: the series of
/// powers (9.6.10), far out the asymptotic one (9.7.1).
fn bessel(order: i32, y: f64) -> f64 {
    let order = f64::from(order);
    let (mut term, mut sum) = (1.0, 1.0);
    if y > 40.0 {
        for k in 1..30 {
            let odd = f64::from(2 * k - 1);
            term *= (odd * odd - 4.0 * order * order) / (8.0 * f64::from(k) * y);
            sum += term;
        }
        return sum / (2.0 * PI * y).sqrt();
    }
    for k in 1..120 {
        let k = f64::from(k);
        term *= y * y / (4.0 * k * (k + order));
        sum += term;
    }
    sum * (y / 2.0).powf(order) * (-y).exp()
}

/// Modified Bessel function of order zero, times `e^-|x|`.
pub(super) fn i0e(x: f64) -> f64 {
    bessel(0, x.abs())
}

/// Modified Bessel function of order one, times `e^-|x|`.
pub(super) fn i1e(x: f64) -> f64 {
    bessel(1, x.abs()).copysign(x)
}

/// Modified Bessel function of order zero.
pub(super) fn i0(x: f64) -> f64 {
    if x.abs() > 700.0 { f64::INFINITY } else { bessel(0, x.abs()) * x.abs().exp() }
}

/// Modified Bessel function of order one.
pub(super) fn i1(x: f64) -> f64 {
    let magnitude = x.abs();
    let value = if magnitude > 700.0 { f64::INFINITY } else { i1e(magnitude) * magnitude.exp() };
    value.copysign(x)
}

#[cfg(test)]
mod tests;
