//! Special functions composed of the table's.

use crate::Tensor;
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

impl Tensor {
    /// The derivative of order `n` of [`Tensor::digamma`]; floats only. PyTorch: `polygamma`.
    #[track_caller]
    #[must_use]
    pub fn polygamma(&self, n: usize) -> Tensor {
        self.require_float("polygamma");
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
        let last = self.constant_like(slopes[slopes.len() - 1]);
        let slope = slopes.iter().rev().skip(1).fold(last, |sum, &c| sum.mul(&cotangent).plus(c));
        below.select(value.times(-sign).sub(slope), value)
    }

    /// `n!` times the sum of `(x + k)^-(n+1)` over all `k >= 0`, for x from a half: some terms, and the
    /// Euler-Maclaurin sum of the rest.
    fn hurwitz(&self, n: usize) -> Tensor {
        const TERMS: usize = 6;
        let factorial = (1..=n).map(|k| k as f64).product::<f64>();
        let power = |z: &Tensor| {
            let inverse = z.reciprocal();
            (0..n).fold(inverse.clone(), |power, _| power.mul(&inverse))
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
        head.add(tail).times(factorial)
    }

    /// Logarithm of the gamma function of `p` by `p` matrices; floats above `(p - 1) / 2` only. PyTorch:
    /// `mvlgamma`.
    #[track_caller]
    #[must_use]
    pub fn mvlgamma(&self, p: usize) -> Tensor {
        self.require_float("mvlgamma");
        let x = self.wide();
        let count = p as f64;
        let terms = (0..p).map(|k| x.plus(-0.5 * k as f64).lgamma());
        let start = x.constant_like(count * (count - 1.0) / 4.0 * PI.ln());
        terms.fold(start, |sum, term| sum.add(term)).cast(self.dtype())
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
}
