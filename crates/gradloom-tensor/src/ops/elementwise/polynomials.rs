//! Families of orthogonal polynomials, each by the recurrence of its three neighbours.
//!
//! Derivatives follow from the recurrence. It is stable where the polynomials are used, between the ends of
//! their interval; far outside of it the powers of x grow.

use crate::called::demand;
use crate::error::OrFail;
use crate::{DType, Tensor, shape_rules};

/// Which members of a family of polynomials are meant.
#[derive(Clone, Debug)]
pub enum Degree {
    /// One for all elements.
    All(usize),
    /// One for each element.
    Each {
        /// The degrees: numbers of any dtype, whose fraction is dropped. Below zero the polynomial is zero.
        degrees: Tensor,
        /// The highest that may stand there; beyond it the result is NaN.
        most: usize,
    },
}

impl From<usize> for Degree {
    fn from(degree: usize) -> Degree {
        Degree::All(degree)
    }
}

/// Degrees of each element, and the highest of them.
impl From<(&Tensor, usize)> for Degree {
    fn from((degrees, most): (&Tensor, usize)) -> Degree {
        Degree::Each { degrees: degrees.clone(), most }
    }
}

/// `p[k + 1] = (a x + b) p[k] - c p[k - 1]`, and the first two members.
#[derive(Clone, Copy, Debug)]
struct Family {
    /// `p[1] = first x + constant`.
    first: f64,
    constant: f64,
    /// a, b and c for k.
    next: fn(f64) -> [f64; 3],
}

impl Family {
    /// The member of degree `k + 1` from the two before it.
    #[track_caller]
    fn after(&self, k: usize, x: &Tensor, [before, last]: &[Tensor; 2]) -> Tensor {
        let [a, b, c] = (self.next)(k as f64);
        let slope = if b == 0.0 { x.times(a) } else { x.times(a).plus(b) };
        let product = slope.mul(last);
        if c == 1.0 { product.sub(before) } else { product.sub(before.times(c)) }
    }
}

impl Tensor {
    #[track_caller]
    fn polynomial(&self, op: &str, family: Family, degree: Degree) -> Tensor {
        const DEGREE_MAX: usize = 4096;
        self.require_float(op);
        let (Degree::All(most) | Degree::Each { most, .. }) = &degree;
        demand!(*most <= DEGREE_MAX, "{op}: degree {most} is above {DEGREE_MAX}");
        let (most, degrees) = match degree {
            Degree::All(degree) => (degree, None),
            Degree::Each { degrees, most } => {
                let shape = shape_rules::broadcast(op, self.shape(), degrees.shape()).or_fail();
                (most, Some(degrees.cast(DType::F32).trunc().expand_to(shape)))
            }
        };
        let x = match &degrees {
            Some(degrees) => self.wide().expand_to(*degrees.shape()),
            None => self.wide(),
        };
        let one = x.constant_like(1.0);
        let first = x.times(family.first);
        let first = if family.constant == 0.0 { first } else { first.plus(family.constant) };
        let mut pair = [one, first];
        let Some(degrees) = degrees else {
            for k in 1..most {
                let next = family.after(k, &x, &pair);
                let [_, last] = pair;
                pair = [last, next];
            }
            let [none, some] = pair;
            return if most == 0 { none } else { some }.cast(self.dtype());
        };
        let is = |degree: usize| degrees.eq(degrees.constant_like(degree as f64));
        let below = degrees.lt(degrees.constant_like(0.0));
        let beyond = x.constant_like(f64::NAN);
        let mut found = below.select(x.constant_like(0.0), is(0).select(&pair[0], beyond));
        for k in 1..=most {
            found = is(k).select(&pair[1], found);
            let next = family.after(k, &x, &pair);
            let [_, last] = pair;
            pair = [last, next];
        }
        found.cast(self.dtype())
    }
}

macro_rules! polynomials {
    ($($(#[$doc:meta])* $name:ident, $torch:literal, $first:literal, $constant:literal, $next:expr;)*) => {
        impl Tensor {
            $($(#[$doc])*
            ///
            /// The degree is a number, or a tensor and the highest degree in it, which broadcast; floats only.
            /// Panics if it is above 4096: there is a step for each.
            #[doc = concat!("PyTorch: `special.", $torch, "`, which takes the degree as a tensor.")]
            #[track_caller]
            #[must_use]
            pub fn $name(&self, degree: impl Into<Degree>) -> Tensor {
                let family = Family { first: $first, constant: $constant, next: $next };
                self.polynomial(stringify!($name), family, degree.into())
            })*
        }
    };
}

polynomials! {
    /// Chebyshev polynomial of the first kind, `T_n(cos t) = cos(n t)`.
    chebyshev_polynomial_t, "chebyshev_polynomial_t", 1.0, 0.0, |_| [2.0, 0.0, 1.0];
    /// Chebyshev polynomial of the second kind, `U_n(cos t) = sin((n + 1) t) / sin(t)`.
    chebyshev_polynomial_u, "chebyshev_polynomial_u", 2.0, 0.0, |_| [2.0, 0.0, 1.0];
    /// Chebyshev polynomial of the third kind, `V_n(cos t) = cos((n + 1/2) t) / cos(t / 2)`.
    chebyshev_polynomial_v, "chebyshev_polynomial_v", 2.0, -1.0, |_| [2.0, 0.0, 1.0];
    /// Chebyshev polynomial of the fourth kind, `W_n(cos t) = sin((n + 1/2) t) / sin(t / 2)`.
    chebyshev_polynomial_w, "chebyshev_polynomial_w", 2.0, 1.0, |_| [2.0, 0.0, 1.0];
    /// [`Tensor::chebyshev_polynomial_t`] of `2 x - 1`, for x from 0 to 1.
    shifted_chebyshev_polynomial_t, "shifted_chebyshev_polynomial_t", 2.0, -1.0, |_| [4.0, -2.0, 1.0];
    /// [`Tensor::chebyshev_polynomial_u`] of `2 x - 1`, for x from 0 to 1.
    shifted_chebyshev_polynomial_u, "shifted_chebyshev_polynomial_u", 4.0, -2.0, |_| [4.0, -2.0, 1.0];
    /// [`Tensor::chebyshev_polynomial_v`] of `2 x - 1`, for x from 0 to 1.
    shifted_chebyshev_polynomial_v, "shifted_chebyshev_polynomial_v", 4.0, -3.0, |_| [4.0, -2.0, 1.0];
    /// [`Tensor::chebyshev_polynomial_w`] of `2 x - 1`, for x from 0 to 1.
    shifted_chebyshev_polynomial_w, "shifted_chebyshev_polynomial_w", 4.0, -1.0, |_| [4.0, -2.0, 1.0];
    /// Hermite polynomial of physics, `(-1)^n e^(x^2) d^n/dx^n e^(-x^2)`.
    hermite_polynomial_h, "hermite_polynomial_h", 2.0, 0.0, |k| [2.0, 0.0, 2.0 * k];
    /// Hermite polynomial of probability, `(-1)^n e^(x^2 / 2) d^n/dx^n e^(-x^2 / 2)`.
    hermite_polynomial_he, "hermite_polynomial_he", 1.0, 0.0, |k| [1.0, 0.0, k];
    /// Laguerre polynomial, orthogonal for x from 0 on with weight `e^-x`.
    laguerre_polynomial_l, "laguerre_polynomial_l", -1.0, 1.0,
        |k| [-1.0 / (k + 1.0), (2.0 * k + 1.0) / (k + 1.0), k / (k + 1.0)];
    /// Legendre polynomial, orthogonal for x from -1 to 1.
    legendre_polynomial_p, "legendre_polynomial_p", 1.0, 0.0,
        |k| [(2.0 * k + 1.0) / (k + 1.0), 0.0, k / (k + 1.0)];
}
