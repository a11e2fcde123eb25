//! [`Masked`]: reductions, running sums and shares of the elements that a mask keeps.

use super::reduce::IntoAxes;
use crate::called::Called;
use crate::error::OrFail;
use crate::{DType, Scalar, Tensor, shape_rules};

/// A tensor of which a mask keeps some elements, and functions in which the others have no part. PyTorch:
/// `torch.masked`.
///
/// Gradients go to elements that are kept. Where a mask keeps nothing, a sum is 0, a product 1, a mean NaN, and
/// the largest element the least that there is.
///
/// ```
/// # use gradloom_tensor::Tensor;
/// fn mean_of_some(x: &Tensor) -> Tensor {
///     x.masked(&x.gt(0.0)).mean(-1)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Masked {
    x: Tensor,
    mask: Tensor,
}

impl Tensor {
    /// The elements where a bool mask, which is broadcast to this shape, is true.
    ///
    /// Panics if the mask is not bool, or does not broadcast.
    #[track_caller]
    #[must_use]
    pub fn masked(&self, mask: &Tensor) -> Masked {
        shape_rules::boolean("masked", mask.dtype()).or_fail();
        shape_rules::broadcast_to("masked", mask.shape(), self.shape()).or_fail();
        Masked { x: self.clone(), mask: mask.expand_to(*self.shape()) }
    }
}

/// Reductions over axes that are what they are of [`Masked::filled`].
macro_rules! of_filled {
    ($($(#[$doc:meta])* $name:ident, $checked:expr, $neutral:expr;)*) => {
        impl Masked {
            $($(#[$doc])*
            #[track_caller]
            #[must_use]
            pub fn $name(&self, axes: impl IntoAxes) -> Tensor {
                let _called = Called::op(concat!("masked ", stringify!($name)));
                let own = $checked(self, concat!("masked ", stringify!($name)));
                let neutral: fn(&Masked) -> Scalar = $neutral;
                own.filled(neutral(&own)).$name(axes)
            })*
        }
    };
}

/// Functions along an axis that are what they are of [`Masked::filled`].
macro_rules! along_filled {
    ($($(#[$doc:meta])* $name:ident, $checked:expr, $neutral:expr;)*) => {
        impl Masked {
            $($(#[$doc])*
            #[track_caller]
            #[must_use]
            pub fn $name(&self, axis: isize) -> Tensor {
                let _called = Called::op(concat!("masked ", stringify!($name)));
                let own = $checked(self, concat!("masked ", stringify!($name)));
                let neutral: fn(&Masked) -> Scalar = $neutral;
                own.filled(neutral(&own)).$name(axis)
            })*
        }
    };
}

of_filled! {
    /// Sum over axes; otherwise as [`Tensor::sum`].
    sum, Masked::countable, |_| Scalar::Int(0);
    /// Product over axes; otherwise as [`Tensor::prod`].
    prod, Masked::countable, |_| Scalar::Int(1);
    /// Largest element; otherwise as [`Tensor::max`]. PyTorch: `masked.amax`.
    max, Masked::numbers, Masked::least;
    /// Smallest element; otherwise as [`Tensor::min`]. PyTorch: `masked.amin`.
    min, Masked::numbers, Masked::greatest;
    /// `ln(sum(e^x))`; otherwise as [`Tensor::logsumexp`].
    logsumexp, Masked::floats, |_| Scalar::Float(f64::NEG_INFINITY);
}

along_filled! {
    /// Index of the first largest element; otherwise as [`Tensor::argmax`].
    argmax, Masked::numbers, Masked::least;
    /// Index of the first smallest element; otherwise as [`Tensor::argmin`].
    argmin, Masked::numbers, Masked::greatest;
    /// Running sum, in which elements that are not kept count 0; otherwise as [`Tensor::cumsum`].
    cumsum, Masked::countable, |_| Scalar::Int(0);
    /// Running product, in which elements that are not kept count 1; otherwise as [`Tensor::cumprod`].
    cumprod, Masked::countable, |_| Scalar::Int(1);
    /// Shares of `e^x`, 0 of what is not kept and NaN where nothing is; otherwise as [`Tensor::softmax`].
    softmax, Masked::floats, |_| Scalar::Float(f64::NEG_INFINITY);
    /// Logarithms of those shares; otherwise as [`Tensor::log_softmax`].
    log_softmax, Masked::floats, |_| Scalar::Float(f64::NEG_INFINITY);
}

impl Masked {
    /// The tensor with a number where the mask keeps nothing.
    ///
    /// Panics if the dtype cannot hold the number.
    #[track_caller]
    #[must_use]
    pub fn filled(&self, value: impl Into<Scalar>) -> Tensor {
        self.mask.select(&self.x, self.x.constant_like(value))
    }

    /// How many elements are kept, in the dtype of the tensor.
    #[track_caller]
    fn count(&self, axes: impl IntoAxes) -> Tensor {
        self.mask.cast(self.x.wide().dtype()).sum(axes)
    }

    /// Mean over axes, NaN of nothing. Floats only. PyTorch: `masked.mean`.
    #[track_caller]
    #[must_use]
    pub fn mean(&self, axes: impl IntoAxes) -> Tensor {
        let _called = Called::op("masked mean");
        self.x.require_float("masked mean");
        let axes = self.x.axes("masked mean", axes);
        self.wide().sum(axes).div(self.count(axes)).cast(self.x.dtype())
    }

    /// Sum of squared distances from the mean over their number less a correction, or 0 if that is negative.
    /// Floats only. PyTorch: `masked.var`.
    #[track_caller]
    #[must_use]
    pub fn var(&self, axes: impl IntoAxes, correction: impl Into<Scalar>) -> Tensor {
        let _called = Called::op("masked var");
        self.x.require_float("masked var");
        self.variance(self.x.axes("masked var", axes), correction.into()).cast(self.x.dtype())
    }

    /// Square root of the variance with the same correction. Floats only. PyTorch: `masked.std`.
    #[track_caller]
    #[must_use]
    pub fn std(&self, axes: impl IntoAxes, correction: impl Into<Scalar>) -> Tensor {
        let _called = Called::op("masked std");
        self.x.require_float("masked std");
        let variance = self.variance(self.x.axes("masked std", axes), correction.into());
        variance.sqrt().cast(self.x.dtype())
    }

    #[track_caller]
    fn variance(&self, axes: crate::op::Axes, correction: Scalar) -> Tensor {
        let wide = self.wide();
        let count = self.count(axes);
        let kept = *wide.x.sum_keepdim(axes).shape();
        let mean = wide.sum(axes).div(&count).reshape_to(kept);
        // What is masked goes before it is squared, so that no gradient of it is NaN.
        let distances = wide.x.sub(mean).masked(&self.mask).filled(0.0).square();
        let divisor = count.sub(count.constant_like(correction.as_f64())).greatest(0.0);
        distances.sum(axes).div(divisor)
    }

    /// The lower of the two in the middle along an axis, which is dropped; NaN of nothing. Elements that are NaN
    /// count as not kept. Floats only. PyTorch: `masked.median`.
    #[track_caller]
    #[must_use]
    pub fn median(&self, axis: isize) -> Tensor {
        let _called = Called::op("masked median");
        self.x.require_float("masked median");
        self.filled(f64::NAN).nanmedian(axis).0
    }

    /// `ln(e^x + e^y)` of what each mask keeps. Floats only, of one shape. PyTorch: `masked.logaddexp`.
    #[track_caller]
    #[must_use]
    pub fn logaddexp(&self, other: &Masked) -> Tensor {
        let _called = Called::op("masked logaddexp");
        self.x.require_float("masked logaddexp");
        other.x.require_float("masked logaddexp");
        let least = f64::NEG_INFINITY;
        self.filled(least).logaddexp(other.filled(least))
    }

    #[track_caller]
    fn wide(&self) -> Masked {
        Masked { x: self.x.wide(), mask: self.mask.clone() }
    }

    /// Truth values as numbers, whose sums and products are numbers, too.
    #[track_caller]
    fn countable(&self, _op: &str) -> Masked {
        match self.x.dtype() {
            DType::Bool => Masked { x: self.x.cast(DType::I32), mask: self.mask.clone() },
            _ => self.clone(),
        }
    }

    #[track_caller]
    fn numbers(&self, op: &str) -> Masked {
        shape_rules::number(op, self.x.dtype()).or_fail();
        self.clone()
    }

    #[track_caller]
    fn floats(&self, op: &str) -> Masked {
        self.x.require_float(op);
        self.clone()
    }

    /// What no element is below.
    fn least(&self) -> Scalar {
        match self.x.dtype().int_range() {
            Some((least, _)) => Scalar::Int(least),
            None => Scalar::Float(f64::NEG_INFINITY),
        }
    }

    /// What no element is above.
    fn greatest(&self) -> Scalar {
        match self.x.dtype().int_range() {
            Some((_, greatest)) => Scalar::Int(greatest),
            None => Scalar::Float(f64::INFINITY),
        }
    }
}
