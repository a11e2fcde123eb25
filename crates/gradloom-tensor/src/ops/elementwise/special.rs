//! Special functions composed of the table's.

use super::Operand;
use crate::called::{Called, demand};
use crate::{DType, Tensor};
use std::f64::consts::{FRAC_1_SQRT_2, LN_2, PI, SQRT_2};

/// Coefficients of `pi d^n/dx^n cot(pi x)` as a polynomial in `cot(pi x)`, lowest power first.
fn slopes_of_cotangent(n: usize) -> Vec<f64> {
    let mut polynomial = vec![0.0, PI];
    for _ in 0..n {
        // d/dx c^k = -pi k (c^(k-1) + c^(k+1)).
        let mut next = vec![0.0; polynomial.len() + 1];
        for (k, coefficient) in polynomial.iter().enumerate().skip(1) {
            next[k - 1] -= PI * k as f64 * coefficient;
            next[k + 1] -= PI * k as f64 * coefficient;
        }
        polynomial = next;
    }
    polynomial
}

/// A number, or infinity where the dtype of a tensor does not hold it.
#[track_caller]
fn held(number: f64, like: &Tensor) -> Tensor {
    let beyond = like.dtype() != DType::F64 && (number as f32).is_infinite();
    like.constant_like(if beyond { f64::INFINITY * number.signum() } else { number })
}

impl Tensor {
    /// The derivative of order `n` of [`Tensor::digamma`]; floats only. PyTorch: `polygamma`.
    ///
    /// Panics if the order is above 100, whose factors no number holds.
    #[track_caller]
    #[must_use]
    pub fn polygamma(&self, n: usize) -> Tensor {
        const ORDER_MAX: usize = 100;
        self.require_float("polygamma");
        demand!(n <= ORDER_MAX, "polygamma: order {n} is above {ORDER_MAX}");
        match n {
            0 => self.digamma(),
            1 => self.trigamma(),
            _ => self.wide().polygamma_wide(n).cast(self.dtype()),
        }
    }

    fn polygamma_wide(&self, n: usize) -> Tensor {
        let sign = if n.is_multiple_of(2) { -1.0 } else { 1.0 };
        let below = self.lt(self.constant_like(0.5));
        // Reflected: polygamma(1 - x) and the slope of a cotangent.
        let y = below.select(self.times(-1.0).plus(1.0), self);
        let value = y.hurwitz(n).times(sign);
        let nearest = self.round();
        let safe = below.select(self.sub(&nearest), self.constant_like(0.25));
        let angle = safe.times(PI);
        let cotangent = angle.cos().div(angle.sin());
        let slopes = slopes_of_cotangent(n);
        // Its factors are beyond f32 before their quotients are.
        let factor = slopes[slopes.len() - 1];
        let one = self.constant_like(1.0);
        let terms = slopes.iter().rev().skip(1).map(|slope| slope / factor);
        let slope = terms.fold(one, |sum, c| sum.mul(&cotangent).plus(c)).mul(held(factor, self));
        below.select(value.times(-sign).sub(slope), value)
    }

    /// `n!` times the sum of `(x + k)^-(n+1)` over all `k >= 0`, for x from a half: some terms, and the
    /// Euler-Maclaurin sum of the rest.
    fn hurwitz(&self, n: usize) -> Tensor {
        const TERMS: usize = 6;
        // With the factorial in it factor by factor, which alone is soon beyond f32.
        let power = |z: &Tensor| {
            let inverse = z.reciprocal();
            (1..=n).fold(inverse.clone(), |power, k| power.mul(inverse.times(k as f64)))
        };
        let head = (0..TERMS).map(|k| power(&self.plus(k as f64)));
        let head = head.reduce(|sum, term| sum.add(term)).expect("TERMS is not zero");
        let z = self.plus(TERMS as f64);
        let inverse = z.reciprocal();
        let s = (n + 1) as f64;
        let first = s / 12.0;
        let second = -first * (s + 1.0) * (s + 2.0) / 60.0;
        let third = -second * (s + 3.0) * (s + 4.0) / 42.0;
        let square = inverse.square();
        let bends = square.times(third).plus(second).mul(&square).plus(first).mul(&inverse);
        let tail = z.times(1.0 / (s - 1.0)).add(bends.plus(0.5)).mul(power(&z));
        head.add(tail)
    }

    /// Logarithm of the gamma function of `p` by `p` matrices; floats above `(p - 1) / 2` only. PyTorch:
    /// `mvlgamma`.
    ///
    /// Panics if `p` is 0 or more than i32 counts.
    #[track_caller]
    #[must_use]
    pub fn mvlgamma(&self, p: usize) -> Tensor {
        let _called = Called::op("mvlgamma");
        self.require_float("mvlgamma");
        demand!(p > 0, "mvlgamma: matrices of 0 rows; p is at least 1");
        let x = self.wide();
        let count = p as f64;
        let start = count * (count - 1.0) / 4.0 * PI.ln();
        let sum = match p {
            // Short sums are no reduction.
            0..=8 => {
                let terms = (0..p).map(|k| x.plus(-0.5 * k as f64).lgamma());
                terms.fold(x.constant_like(0.0), |sum, term| sum.add(term))
            }
            _ => {
                let below = Tensor::arange(p, self.device()).cast(x.dtype()).times(-0.5);
                x.unsqueeze(-1).add(below).lgamma().sum(-1)
            }
        };
        sum.plus(start).cast(self.dtype())
    }

    /// Share of a standard normal distribution below x; floats only. PyTorch: `special.ndtr`.
    #[track_caller]
    #[must_use]
    pub fn ndtr(&self) -> Tensor {
        self.require_float("ndtr");
        self.wide().times(-FRAC_1_SQRT_2).erfc().times(0.5).cast(self.dtype())
    }

    /// Logarithm of [`Tensor::ndtr`], also where that is zero in f32. PyTorch: `special.log_ndtr`.
    #[track_caller]
    #[must_use]
    pub fn log_ndtr(&self) -> Tensor {
        self.require_float("log_ndtr");
        let t = self.wide().times(-FRAC_1_SQRT_2);
        let far = t.above(FRAC_1_SQRT_2);
        let lower = far.select(&t, t.constant_like(1.0));
        let upper = far.select(t.constant_like(0.0), t.times(-1.0));
        let tail = lower.erfcx().log().plus(-LN_2).sub(lower.square());
        far.select(tail, upper.erfc().times(-0.5).log1p()).cast(self.dtype())
    }

    /// Inverse of [`Tensor::ndtr`], for shares from 0 to 1. PyTorch: `special.ndtri`.
    #[track_caller]
    #[must_use]
    pub fn ndtri(&self) -> Tensor {
        self.require_float("ndtri");
        self.wide().times(2.0).plus(-1.0).erfinv().times(SQRT_2).cast(self.dtype())
    }

    /// `-x ln(x)`, 0 at 0 and minus infinity below; floats only. PyTorch: `special.entr`.
    #[track_caller]
    #[must_use]
    pub fn entr(&self) -> Tensor {
        self.require_float("entr");
        let x = self.wide();
        let below = x.lt(x.constant_like(0.0));
        let value = x.xlogy(&x).times(-1.0);
        below.select(x.constant_like(f64::NEG_INFINITY), value).cast(self.dtype())
    }

    /// Hurwitz's zeta function, the sum of `(q + k)^-x` over all `k >= 0`; broadcast, floats only. Infinite for x
    /// of 1 and q of 0, -1, ..; NaN for x below 1, and for other q below zero unless x is a whole number.
    /// PyTorch: `special.zeta`.
    #[track_caller]
    #[must_use]
    pub fn zeta(&self, q: impl Into<Operand>) -> Tensor {
        let (x, q) = self.meet("zeta", q.into());
        x.require_float("zeta");
        let dtype = x.dtype();
        let (x, q) = (x.wide(), q.wide());
        let one = x.constant_like(1.0);
        let above = x.above(1.0);
        let exponent = above.select(&x, x.constant_like(2.0));
        let positive = q.above(0.0);
        let whole = q.eq(q.round());
        // Below zero a finite sum of negative numbers comes first, which is a difference of two such functions.
        let safe = positive.logical_or(whole.logical_not()).select(&q, &one);
        let shifted = positive.select(&safe, safe.sub(safe.floor()));
        let upper = exponent.hurwitz_zeta(&shifted);
        let mirrored = positive.select(&one, one.sub(&shifted));
        let beyond = positive.select(&one, one.sub(&safe));
        let finite = exponent.hurwitz_zeta(&mirrored).sub(exponent.hurwitz_zeta(&beyond));
        let even = exponent.times(0.5).eq(exponent.times(0.5).round());
        let below = even.select(upper.add(&finite), upper.sub(&finite));
        let nan = x.constant_like(f64::NAN);
        let below = x.eq(x.round()).select(below, &nan);
        let infinite = x.constant_like(f64::INFINITY);
        let value = positive.select(upper, whole.select(&infinite, below));
        let value = above.select(value, x.eq(&one).select(&infinite, &nan));
        x.is_nan().logical_or(q.is_nan()).select(nan, value).cast(dtype)
    }

    /// [`Tensor::zeta`] for x above 1 and q above 0: some terms, and the Euler-Maclaurin sum of the rest.
    fn hurwitz_zeta(&self, q: &Tensor) -> Tensor {
        const TERMS: usize = 9;
        // Bernoulli numbers B_2k divided by (2k)!.
        const BENDS: [f64; 6] = [
            1.0 / 12.0,
            -1.0 / 720.0,
            1.0 / 30_240.0,
            -1.0 / 1_209_600.0,
            1.0 / 47_900_160.0,
            -691.0 / 1_307_674_368_000.0,
        ];
        let power = |z: &Tensor| z.pow(self.times(-1.0));
        let head = (0..TERMS).map(|k| power(&q.plus(k as f64)));
        let head = head.reduce(|sum, term| sum.add(term)).expect("TERMS is not zero");
        let z = q.plus(TERMS as f64);
        let inverse = z.reciprocal();
        // Of larger exponents nothing is left in the rest.
        let s = self.least(170.0);
        let mut bends = z.constant_like(BENDS[5]);
        for k in (1..6).rev() {
            let (odd, even) = (s.plus((2 * k - 1) as f64), s.plus((2 * k) as f64));
            bends = bends.mul(odd.mul(&inverse)).mul(even.mul(&inverse)).plus(BENDS[k - 1]);
        }
        let tail = z.div(self.plus(-1.0)).add(bends.mul(&s).mul(&inverse).plus(0.5));
        head.add(tail.mul(power(&z)))
    }

    /// Spherical Bessel function of the first kind, of order zero: `sin(x) / x`, 1 at 0 and 0 at infinities;
    /// floats only. PyTorch: `special.spherical_bessel_j0`.
    #[track_caller]
    #[must_use]
    pub fn spherical_bessel_j0(&self) -> Tensor {
        self.require_float("spherical_bessel_j0");
        let x = self.wide();
        let (zero, far) = (x.eq(x.constant_like(0.0)), x.is_inf());
        let safe = zero.logical_or(&far).select(x.constant_like(1.0), &x);
        let value = safe.sin().div(&safe);
        let ends = zero.select(x.constant_like(1.0), x.constant_like(0.0));
        zero.logical_or(far).select(ends, value).cast(self.dtype())
    }

    /// The angle of real numbers in the plane of complex ones: pi below zero, 0 elsewhere, NaN of NaN; without
    /// slope. Integers become f32. PyTorch: `angle`.
    #[track_caller]
    #[must_use]
    pub fn angle(&self) -> Tensor {
        let x =
            if self.dtype().is_float() { self.detach() } else { self.detach().cast(DType::F32) };
        let value = x.lt(x.constant_like(0.0)).select(x.constant_like(PI), x.constant_like(0.0));
        x.is_nan().select(&x, value)
    }
}
