//! The functions in f64: Chebyshev series in pieces, near zero of the square, far out of the reciprocal, with
//! what grows or oscillates taken off. Relative errors are about 1e-15, absolute ones where a function has
//! zeros, and below `-5` those of Airy's functions as much as the phase, `2/3 |x|^1.5`, is rounded.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};

use super::coefficients::*;

/// Clenshaw's recurrence.
fn series(t: f64, coefficients: &[f64]) -> f64 {
    let (mut a, mut b) = (0.0, 0.0);
    for coefficient in coefficients[1..].iter().rev() {
        (a, b) = (2.0 * t * a - b + coefficient, a);
    }
    t * a - b + 0.5 * coefficients[0]
}

/// Up to here series of the square.
const FAR: f64 = 8.0;

fn square(x: f64) -> f64 {
    x * x / 32.0 - 1.0
}

/// The slowly varying parts beside cosine and sine of `x - (2 n + 1) pi / 4`, their scale, and those.
fn turning(order: usize, x: f64) -> ([f64; 2], [f64; 2]) {
    let t = 16.0 / x - 1.0;
    let scale = (FRAC_2_PI / x).sqrt() * FRAC_1_SQRT_2;
    let (sine, cosine) = x.sin_cos();
    let (sum, difference) = (sine + cosine, sine - cosine);
    let (parts, turns) = match order {
        0 => ([series(t, &P0), series(t, &Q0)], [sum, difference]),
        _ => ([series(t, &P1), series(t, &Q1)], [difference, -sum]),
    };
    (parts, turns.map(|turn| scale * turn))
}

pub(super) fn j0(x: f64) -> f64 {
    let y = x.abs();
    if y < FAR {
        return series(square(y), &J0_NEAR);
    }
    if y.is_infinite() {
        return 0.0;
    }
    let ([p, q], [cosine, sine]) = turning(0, y);
    p * cosine - q * sine
}

pub(super) fn j1(x: f64) -> f64 {
    let y = x.abs();
    if y < FAR {
        return x * series(square(y), &J1_NEAR);
    }
    if y.is_infinite() {
        return 0.0;
    }
    let ([p, q], [cosine, sine]) = turning(1, y);
    let value = p * cosine - q * sine;
    if x < 0.0 { -value } else { value }
}

pub(super) fn y0(x: f64) -> f64 {
    if x < 0.0 {
        return f64::NAN;
    }
    if x < FAR {
        return FRAC_2_PI * x.ln() * j0(x) + series(square(x), &Y0_NEAR);
    }
    if x.is_infinite() {
        return 0.0;
    }
    let ([p, q], [cosine, sine]) = turning(0, x);
    p * sine + q * cosine
}

pub(super) fn y1(x: f64) -> f64 {
    if x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    if x < FAR {
        let pole = x.ln() * j1(x) - 1.0 / x;
        return FRAC_2_PI * pole + x * series(square(x), &Y1_NEAR);
    }
    if x.is_infinite() {
        return 0.0;
    }
    let ([p, q], [cosine, sine]) = turning(1, x);
    p * sine + q * cosine
}

/// Up to here series of the square, for those that fall.
const FALLING: f64 = 2.0;

pub(super) fn k0e(x: f64) -> f64 {
    if x < FALLING { k0(x) * x.exp() } else { series(4.0 / x - 1.0, &K0_FAR) / x.sqrt() }
}

pub(super) fn k1e(x: f64) -> f64 {
    if x < FALLING { k1(x) * x.exp() } else { series(4.0 / x - 1.0, &K1_FAR) / x.sqrt() }
}

pub(super) fn k0(x: f64) -> f64 {
    if x < 0.0 {
        return f64::NAN;
    }
    if x >= FALLING {
        return k0e(x) * (-x).exp();
    }
    let t = x * x / 2.0 - 1.0;
    series(t, &K0_NEAR) - (x / 2.0).ln() * series(t, &I0_NEAR)
}

pub(super) fn k1(x: f64) -> f64 {
    if x < 0.0 {
        return f64::NAN;
    }
    if x >= FALLING {
        return k1e(x) * (-x).exp();
    }
    if x == 0.0 {
        return f64::INFINITY;
    }
    let t = x * x / 2.0 - 1.0;
    x * (series(t, &K1_NEAR) + (x / 2.0).ln() * series(t, &I1_NEAR)) + 1.0 / x
}

/// Where the pieces of Airy's functions meet.
const LEFT: f64 = -5.0;
const RIGHT: f64 = 1.0;

fn phase(magnitude: f64) -> f64 {
    2.0 / 3.0 * magnitude * magnitude.sqrt()
}

pub(super) fn airy_ai(x: f64) -> f64 {
    if x.is_infinite() {
        return 0.0;
    }
    if x < LEFT {
        return airy_left(x, &AI_LEFT_COS, &AI_LEFT_SIN) / x.abs().sqrt().sqrt();
    }
    if x < RIGHT {
        return series((x + 2.0) / 3.0, &AI_MIDDLE);
    }
    let phase = phase(x);
    series(4.0 / 3.0 / phase - 1.0, &AI_RIGHT) * (-phase).exp() / x.sqrt().sqrt()
}

/// The derivative of `airy_ai`.
pub(super) fn airy_ai_slope(x: f64) -> f64 {
    if x.is_infinite() {
        return if x > 0.0 { 0.0 } else { f64::NAN };
    }
    if x < LEFT {
        return airy_left(x, &AI_SLOPE_LEFT_COS, &AI_SLOPE_LEFT_SIN) * x.abs().sqrt().sqrt();
    }
    if x < RIGHT {
        return series((x + 2.0) / 3.0, &AI_SLOPE_MIDDLE);
    }
    let phase = phase(x);
    series(4.0 / 3.0 / phase - 1.0, &AI_SLOPE_RIGHT) * (-phase).exp() * x.sqrt().sqrt()
}

fn airy_left(x: f64, of_cosine: &[f64], of_sine: &[f64]) -> f64 {
    let phase = phase(x.abs());
    let t = 2.0 * self::phase(LEFT.abs()) / phase - 1.0;
    let (sine, cosine) = phase.sin_cos();
    let (c, s) = (sine + cosine, sine - cosine);
    FRAC_1_SQRT_2 * (series(t, of_cosine) * c + series(t, of_sine) * s)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mpmath: besselj, bessely, besselk, airyai.
    #[test]
    fn values_are_as_tabulated() {
        type Known = (fn(f64) -> f64, &'static [(f64, f64)]);
        let known: &[Known] = &[
            (
                j0,
                &[
                    (0.001, 0.9999997500000156),
                    (0.5, 0.9384698072408129),
                    (1.9, 0.28181855937438555),
                    (2.1, 0.16660698033199028),
                    (5.0, -0.1775967713143383),
                    (7.9, 0.19436184484127825),
                    (8.1, 0.14751745404437766),
                    (25.0, 0.09626678327595811),
                    (1000.0, 0.024786686152420176),
                ],
            ),
            (
                j1,
                &[
                    (0.001, 0.0004999999375000026),
                    (0.5, 0.2422684576748739),
                    (1.9, 0.5811570727134341),
                    (2.1, 0.5682921357570386),
                    (5.0, -0.32757913759146523),
                    (7.9, 0.2191793999217512),
                    (8.1, 0.24760776698159287),
                    (25.0, -0.1253502495802899),
                    (1000.0, 0.004728311907089524),
                ],
            ),
            (
                y0,
                &[
                    (0.001, -4.471416611375923),
                    (0.5, -0.44451873350670656),
                    (1.9, 0.4968199712838202),
                    (2.1, 0.5182937375137607),
                    (5.0, -0.30851762524903376),
                    (7.9, 0.20652094814437577),
                    (8.1, 0.23809132870223482),
                    (25.0, -0.12724943226800614),
                    (1000.0, 0.0047159179776228135),
                ],
            ),
            (
                y1,
                &[
                    (0.001, -636.6221672311394),
                    (0.5, -1.471472392670243),
                    (1.9, -0.1644057723315953),
                    (2.1, -0.05167861213042353),
                    (5.0, 0.14786314339122683),
                    (7.9, -0.18172107728057313),
                    (8.1, -0.13314879595249593),
                    (25.0, -0.09882996478323741),
                    (1000.0, -0.024784331292351778),
                ],
            ),
            (
                k0,
                &[
                    (0.001, 7.023688800562382),
                    (0.5, 0.9244190712276659),
                    (1.9, 0.1288459792760475),
                    (2.1, 0.10078374088996693),
                    (10.0, 1.778006231616765e-05),
                    (100.0, 4.656628229175902e-45),
                ],
            ),
            (
                k1,
                &[
                    (0.001, 999.9962381560856),
                    (0.5, 1.656441120003301),
                    (1.9, 0.15966015303266762),
                    (2.1, 0.12274641153350789),
                    (10.0, 1.8648773453825585e-05),
                    (100.0, 4.6798537356369095e-45),
                ],
            ),
            (
                k0e,
                &[
                    (0.001, 7.030716002378251),
                    (0.5, 1.5241093857739094),
                    (1.9, 0.8614506167517558),
                    (2.1, 0.8230171525316621),
                    (10.0, 0.39163193443659866),
                    (100.0, 0.12517562165912657),
                ],
            ),
            (
                k1e,
                &[
                    (0.001, 1000.9967345590684),
                    (0.5, 2.731009708211786),
                    (1.9, 1.0674709298145701),
                    (2.1, 1.0023680527405792),
                    (10.0, 0.41076657059578875),
                    (100.0, 0.12579995047957854),
                ],
            ),
            (
                airy_ai,
                &[
                    (-40.0, -0.04593392343795725),
                    (-5.1, 0.3095259962873177),
                    (-4.9, 0.37453635470583874),
                    (-1.0, 0.5355608832923521),
                    (0.0, 0.3550280538878172),
                    (0.9, 0.15188680364054435),
                    (1.1, 0.12004942735539766),
                    (6.0, 9.947694360252889e-06),
                    (20.0, 1.6916728686705404e-27),
                ],
            ),
            (
                airy_ai_slope,
                &[
                    (-40.0, -1.3890908752607183),
                    (-5.1, 0.4945859983849365),
                    (-4.9, 0.14695742731095673),
                    (-1.0, -0.01016056711664521),
                    (0.0, -0.2588194037928068),
                    (0.9, -0.17276384346163468),
                    (1.1, -0.14576640734501625),
                    (6.0, -2.4765200397034955e-05),
                    (20.0, -7.586391625748354e-27),
                ],
            ),
        ];
        for (number, (function, values)) in known.iter().enumerate() {
            for &(x, exact) in *values {
                let far = (function(x) - exact).abs() / exact.abs().max(1e-2 / (1.0 + x.abs()));
                let far = if exact.abs() < 1e-10 { (function(x) / exact - 1.0).abs() } else { far };
                assert!(
                    far < 2e-13,
                    "function {number} of {x}: {} is {far:e} from {exact}",
                    function(x)
                );
            }
        }
    }

    #[test]
    fn pieces_meet() {
        let continuous: [(fn(f64) -> f64, f64); 10] = [
            (j0, 8.0),
            (j1, 8.0),
            (y0, 8.0),
            (y1, 8.0),
            (k0, 2.0),
            (k1, 2.0),
            (airy_ai, -5.0),
            (airy_ai, 1.0),
            (airy_ai_slope, -5.0),
            (airy_ai_slope, 1.0),
        ];
        for (number, (function, place)) in continuous.into_iter().enumerate() {
            let (below, above) = (function(place - 1e-13), function(place));
            assert!((below - above).abs() < 1e-12, "function {number}: {below} {above}");
        }
    }

    #[test]
    fn ends_are_limits() {
        assert!((j0(0.0) - 1.0).abs() < 1e-15);
        assert_eq!([j1(0.0), j0(f64::INFINITY), y0(f64::INFINITY)], [0.0; 3]);
        assert_eq!(j1(-9.0), -j1(9.0));
        assert_eq!(j1(-12.0), -j1(12.0));
        assert_eq!([y0(0.0), y1(0.0)], [f64::NEG_INFINITY; 2]);
        assert_eq!([k0(0.0), k1(0.0)], [f64::INFINITY; 2]);
        assert_eq!([k0(f64::INFINITY), k1e(f64::INFINITY), airy_ai(f64::INFINITY)], [0.0; 3]);
        for function in [y0, y1, k0, k1, k0e, k1e] {
            assert!(function(-1.0).is_nan() && function(f64::NAN).is_nan());
        }
        assert!(j0(f64::NAN).is_nan() && airy_ai(f64::NAN).is_nan());
    }
}
