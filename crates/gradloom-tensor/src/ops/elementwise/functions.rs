//! Functions composed of the table's, with slopes that are right wherever the function has one.
//!
//! Formulas of more than one rounding are computed wide. A branch that is not chosen is given an operand at
//! which it is finite, so that no infinity meets a zero in a gradient.

use super::Operand;
use crate::Tensor;

impl Tensor {
    /// The number whose hyperbolic sine is x; floats only. PyTorch: `asinh`, `arcsinh`.
    #[track_caller]
    #[must_use]
    pub fn asinh(&self) -> Tensor {
        self.require_float("asinh");
        let x = self.wide();
        // ln(a + sqrt(a^2 + 1)) as log1p(a + a^2 / (1 + sqrt(a^2 + 1))), and ln(2 a) where a^2 is infinite.
        let a = x.abs();
        let far = a.above(1e15);
        let near = far.select(a.constant_like(0.0), &a);
        let square = near.square();
        let tail = square.div(square.plus(1.0).sqrt().plus(1.0));
        let large = far.select(&a, a.constant_like(1.0)).log().plus(std::f64::consts::LN_2);
        let value = far.select(large, near.add(tail).log1p());
        x.lt(x.constant_like(0.0)).select(value.clone().neg(), value).cast(self.dtype())
    }

    /// The number, at least 0, whose hyperbolic cosine is x; NaN below one; floats only. PyTorch: `acosh`,
    /// `arccosh`.
    #[track_caller]
    #[must_use]
    pub fn acosh(&self) -> Tensor {
        self.require_float("acosh");
        let x = self.wide();
        // With t = x - 1: log1p(t + sqrt(t (t + 2))).
        let far = x.above(1e15);
        let t = far.select(x.constant_like(1.0), x.plus(-1.0));
        let root = t.mul(t.plus(2.0)).sqrt();
        let large = far.select(&x, x.constant_like(1.0)).log().plus(std::f64::consts::LN_2);
        far.select(large, t.add(root).log1p()).cast(self.dtype())
    }

    /// The number whose hyperbolic tangent is x; NaN beyond -1 and 1; floats only. PyTorch: `atanh`,
    /// `arctanh`.
    #[track_caller]
    #[must_use]
    pub fn atanh(&self) -> Tensor {
        self.require_float("atanh");
        let x = self.wide();
        x.log1p().sub(x.clone().neg().log1p()).times(0.5).cast(self.dtype())
    }

    /// The fraction that [`Tensor::trunc`] leaves, with the sign of x; floats only. PyTorch: `frac`.
    #[track_caller]
    #[must_use]
    pub fn frac(&self) -> Tensor {
        self.require_float("frac");
        self.sub(self.trunc())
    }

    /// `sin(pi x) / (pi x)`, 1 at 0; floats only. PyTorch: `sinc`.
    #[track_caller]
    #[must_use]
    pub fn sinc(&self) -> Tensor {
        self.require_float("sinc");
        let angle = self.wide().times(std::f64::consts::PI);
        let square = angle.square();
        // Near 0 its series, which has derivatives there.
        let near = square.lt(square.constant_like(1e-4));
        let series = square.times(1.0 / 120.0).plus(-1.0 / 6.0).mul(&square).plus(1.0);
        let safe = near.select(angle.constant_like(1.0), &angle);
        near.select(series, safe.sin().div(&safe)).cast(self.dtype())
    }

    /// `x ln(y)`, 0 where x is 0 unless y is NaN; floats only, broadcast. PyTorch: `xlogy`.
    #[track_caller]
    #[must_use]
    pub fn xlogy(&self, y: impl Into<Operand>) -> Tensor {
        self.times_of("xlogy", y.into(), |y| y.log())
    }

    /// `x ln(1 + y)`, 0 where x is 0 unless y is NaN; floats only, broadcast. PyTorch: `special.xlog1py`.
    #[track_caller]
    #[must_use]
    pub fn xlog1py(&self, y: impl Into<Operand>) -> Tensor {
        self.times_of("xlog1py", y.into(), |y| y.log1p())
    }

    #[track_caller]
    fn times_of(&self, op: &str, y: Operand, of: fn(&Tensor) -> Tensor) -> Tensor {
        let (x, y) = self.meet_as_numbers(op, y);
        x.require_float(op);
        let dtype = x.dtype();
        let (x, y) = (x.wide(), y.wide());
        let nothing = x.eq(x.constant_like(0.0)).logical_and(y.is_nan().logical_not());
        let safe = nothing.select(y.constant_like(1.0), &y);
        nothing.select(x.constant_like(0.0), x.mul(of(&safe))).cast(dtype)
    }

    /// `ln(e^x + e^y)` without overflow; floats only, broadcast. PyTorch: `logaddexp`.
    #[track_caller]
    #[must_use]
    pub fn logaddexp(&self, other: impl Into<Operand>) -> Tensor {
        let (x, y) = self.meet_as_numbers("logaddexp", other.into());
        x.require_float("logaddexp");
        let dtype = x.dtype();
        let (x, y) = (x.wide(), y.wide());
        // Two equal infinities have no difference; their sum is themselves.
        let equal = x.eq(&y).logical_and(x.is_inf());
        // What is added to the larger is small, however far the other one is below.
        let above = y.le(&x);
        let below = above.select(y.sub(&x), x.sub(&y));
        let tail = equal.select(x.constant_like(0.0), below).exp().log1p();
        equal.select(&x, above.select(&x, &y).add(tail)).cast(dtype)
    }

    /// `sqrt(x^2 + y^2)` without overflow; floats only, broadcast; 0 has slope 0. PyTorch: `hypot`.
    #[track_caller]
    #[must_use]
    pub fn hypot(&self, other: impl Into<Operand>) -> Tensor {
        let (x, y) = self.meet_as_numbers("hypot", other.into());
        x.require_float("hypot");
        let dtype = x.dtype();
        let (x, y) = (x.wide(), y.wide());
        let scale = x.abs().maximum(y.abs()).detach();
        let plain = scale.above(0.0).logical_and(scale.is_finite());
        let unit = plain.select(&scale, scale.constant_like(1.0));
        let (a, b) = (x.div(&unit), y.div(&unit));
        let square = a.square().add(b.square());
        let safe = plain.select(square, scale.constant_like(1.0));
        plain.select(safe.sqrt().mul(&unit), scale).cast(dtype)
    }

    /// The angle of the point `(x, self)` in `-pi..=pi`; floats only, broadcast. PyTorch: `atan2`.
    #[track_caller]
    #[must_use]
    pub fn atan2(&self, x: impl Into<Operand>) -> Tensor {
        let (y, x) = self.meet_as_numbers("atan2", x.into());
        y.require_float("atan2");
        let dtype = y.dtype();
        let (y, x) = (y.wide(), x.wide());
        let zero = x.constant_like(0.0);
        // The smaller over the larger: the tangent of at most an eighth of a turn.
        let steep = x.abs().lt(y.abs());
        let (above, below) = (steep.select(&x, &y), steep.select(&y, &x));
        let both_far = x.is_inf().logical_and(y.is_inf());
        let nothing = below.eq(&zero);
        let plain = both_far.logical_or(&nothing).logical_not();
        let ratio = plain.select(&above, &zero).div(plain.select(&below, x.constant_like(1.0)));
        let angle = ratio.atan();
        let quarter = std::f64::consts::FRAC_PI_2;
        let up = y.signbit().select(x.constant_like(-quarter), x.constant_like(quarter));
        let left = up.times(2.0);
        let backward = x.signbit();
        let plain_angle = steep.select(up.sub(&angle), backward.select(left.add(&angle), &angle));
        // Of two infinities an eighth; of two zeros none; each from the axis that the signs say.
        let signed = up.times(0.5);
        let far = backward.select(signed.times(3.0), &signed);
        let none = backward.select(&left, up.times(0.0));
        let value = both_far.select(far, nothing.select(none, plain_angle));
        value.cast(dtype)
    }

    /// True where the sign bit is set, so of -0 and not of 0; bool result. Floats and integers. PyTorch:
    /// `signbit`.
    #[track_caller]
    #[must_use]
    pub fn signbit(&self) -> Tensor {
        self.require_number("signbit");
        if !self.dtype().is_float() {
            return self.lt(self.constant_like(0));
        }
        let zero = self.constant_like(0.0);
        // Of a zero its reciprocal says which.
        let of_zero = self.eq(&zero).logical_and(self.reciprocal().lt(&zero));
        self.lt(&zero).logical_or(of_zero)
    }

    /// The magnitude of x with the sign of `sign`; floats only, broadcast. PyTorch: `copysign`.
    #[track_caller]
    #[must_use]
    pub fn copysign(&self, sign: impl Into<Operand>) -> Tensor {
        let (x, sign) = self.meet_as_numbers("copysign", sign.into());
        x.require_float("copysign");
        let size = x.abs();
        sign.signbit().select(size.clone().neg(), size)
    }

    /// The larger of two elements, the other where one is NaN; broadcast. PyTorch: `fmax`.
    #[track_caller]
    #[must_use]
    pub fn fmax(&self, other: impl Into<Operand>) -> Tensor {
        let (x, y) = self.meet_as_numbers("fmax", other.into());
        let (a, b) = (x.is_nan().select(&y, &x), y.is_nan().select(&x, &y));
        a.maximum(b)
    }

    /// The smaller of two elements, the other where one is NaN; broadcast. PyTorch: `fmin`.
    #[track_caller]
    #[must_use]
    pub fn fmin(&self, other: impl Into<Operand>) -> Tensor {
        let (x, y) = self.meet_as_numbers("fmin", other.into());
        let (a, b) = (x.is_nan().select(&y, &x), y.is_nan().select(&x, &y));
        a.minimum(b)
    }

    /// With a number in place of NaN, and of the two infinities where they are given, otherwise the largest
    /// and the least number of the dtype. Integers stay. PyTorch: `nan_to_num`.
    #[track_caller]
    #[must_use]
    pub fn nan_to_num(&self, nan: f64, positive: Option<f64>, negative: Option<f64>) -> Tensor {
        if !self.dtype().is_float() {
            return self.clone();
        }
        let most = self.dtype().float_max();
        let replaced = self.is_nan().select(self.constant_like(nan), self);
        let (most, least) = (positive.unwrap_or(most), negative.unwrap_or(-most));
        let zero = self.constant_like(0.0);
        let far = self.is_inf();
        let end = zero.lt(self).select(self.constant_like(most), self.constant_like(least));
        far.select(end, replaced)
    }

    /// True where `|x - y| <= absolute + relative |y|`; equal infinities are close, and NaN to NaN if
    /// `equal_nan`; bool, broadcast. PyTorch: `isclose`.
    #[track_caller]
    #[must_use]
    pub fn isclose(&self, other: &Tensor, relative: f64, absolute: f64, equal_nan: bool) -> Tensor {
        let (x, y) = self.meet_as_numbers("isclose", Operand::from(other));
        let mut close = x.eq(&y);
        if x.dtype().is_float() {
            let allowed = y.abs().times(relative).plus(absolute);
            let near = x.sub(&y).abs().le(allowed).logical_and(y.is_finite());
            close = close.logical_or(near);
            if equal_nan {
                close = close.logical_or(x.is_nan().logical_and(y.is_nan()));
            }
            return close;
        }
        let distance = x.sub(&y).abs().cast(crate::DType::F32);
        let allowed = y.abs().cast(crate::DType::F32).times(relative).plus(absolute);
        close.logical_or(distance.le(allowed))
    }

    /// `ln(p / (1 - p))`; with `epsilon`, p is kept between it and `1 - epsilon`; floats only. PyTorch:
    /// `logit`.
    #[track_caller]
    #[must_use]
    pub fn logit(&self, epsilon: Option<f64>) -> Tensor {
        self.require_float("logit");
        let p = self.wide();
        let p = match epsilon {
            Some(epsilon) => {
                let (low, high) = (p.constant_like(epsilon), p.constant_like(1.0 - epsilon));
                p.lt(&low).select(&low, high.lt(&p).select(&high, &p))
            }
            None => p,
        };
        let rest = p.constant_like(1.0).sub(&p);
        p.div(rest).log().cast(self.dtype())
    }

    /// `value` where x is 0, otherwise 0 below and 1 above; broadcast. PyTorch: `heaviside`.
    #[track_caller]
    #[must_use]
    pub fn heaviside(&self, value: &Tensor) -> Tensor {
        let (x, value) = self.meet_as_numbers("heaviside", Operand::from(value));
        let zero = x.constant_like(0);
        let step = zero.lt(&x).cast(x.dtype());
        let step = x.is_nan().select(&x, step);
        x.eq(&zero).select(value, step)
    }

    /// `max(x, 0) + min(0, alpha (e^(x / alpha) - 1))`; floats only. PyTorch: `celu`.
    #[track_caller]
    #[must_use]
    pub fn celu(&self, alpha: f64) -> Tensor {
        self.require_float("celu");
        let x = self.wide();
        let above = x.above(0.0);
        let below = above.select(x.constant_like(0.0), &x);
        let tail = below.times(1.0 / alpha).expm1().times(alpha);
        above.select(&x, tail).cast(self.dtype())
    }

    /// x, but 0 between `-bound` and `bound`; floats only. PyTorch: `hardshrink`.
    #[track_caller]
    #[must_use]
    pub fn hardshrink(&self, bound: f64) -> Tensor {
        self.require_float("hardshrink");
        self.abs().le(self.constant_like(bound)).select(self.constant_like(0.0), self)
    }

    /// x moved by `bound` towards 0, and 0 between `-bound` and `bound`; floats only. PyTorch: `softshrink`.
    #[track_caller]
    #[must_use]
    pub fn softshrink(&self, bound: f64) -> Tensor {
        self.require_float("softshrink");
        let moved = self.above(0.0).select(self.plus(-bound), self.plus(bound));
        self.abs().le(self.constant_like(bound)).select(self.constant_like(0.0), moved)
    }

    /// x where it is above a threshold, elsewhere a number; broadcast. PyTorch: `threshold`.
    #[track_caller]
    #[must_use]
    pub fn threshold(&self, threshold: f64, value: f64) -> Tensor {
        self.require_float("threshold");
        self.le(self.constant_like(threshold)).select(self.constant_like(value), self)
    }
}
