//! Reductions over axes, index reductions and running sums.
//!
//! Each comes twice: the plain name drops the reduced axes, `_keepdim` keeps them with size one. How
//! accurate sums are, however long, stands in [`summation`](crate::summation).

use std::ops::RangeFull;

use crate::called::demand;
use crate::error::OrFail;
use crate::op::{ArgReduction, Axes, Op, Reduction};
use crate::{DType, Result, Scalar, Shape, Tensor, shape_rules};

/// Names axes of a tensor: `1`, `-1`, `[0, 2]`, or `..` for all.
pub trait IntoAxes {
    /// The axes of a tensor of `rank` axes, on behalf of `op`.
    ///
    /// # Errors
    /// If one is out of range or named twice.
    fn resolve(self, op: &str, rank: usize) -> Result<Axes>;
}

impl IntoAxes for Axes {
    fn resolve(self, op: &str, rank: usize) -> Result<Axes> {
        let axes: Vec<isize> = self.iter().map(|axis| axis as isize).collect();
        shape_rules::axes(op, &axes, rank)
    }
}

impl IntoAxes for RangeFull {
    fn resolve(self, _op: &str, rank: usize) -> Result<Axes> {
        Ok(Axes::all(rank))
    }
}

macro_rules! into_axes {
    ($number:ty) => {
        impl IntoAxes for $number {
            fn resolve(self, op: &str, rank: usize) -> Result<Axes> {
                shape_rules::axes(op, &[self as isize], rank)
            }
        }

        impl IntoAxes for &[$number] {
            fn resolve(self, op: &str, rank: usize) -> Result<Axes> {
                let axes: Vec<isize> = self.iter().map(|&axis| axis as isize).collect();
                shape_rules::axes(op, &axes, rank)
            }
        }

        impl<const N: usize> IntoAxes for [$number; N] {
            fn resolve(self, op: &str, rank: usize) -> Result<Axes> {
                self.as_slice().resolve(op, rank)
            }
        }

        impl<const N: usize> IntoAxes for &[$number; N] {
            fn resolve(self, op: &str, rank: usize) -> Result<Axes> {
                self.as_slice().resolve(op, rank)
            }
        }
    };
}

into_axes!(isize);
into_axes!(i32);

/// Pairs of methods: one that drops the reduced axes, and its twin that keeps them with size one. The
/// bodies are pasted, not called as closures, so that nodes know the caller's line.
macro_rules! reductions {
    ($(
        $(#[$doc:meta])*
        $name:ident, $keepdim:ident $(, $argument:ident: $type:ty)* => |$x:ident, $axes:ident| $body:expr;
    )*) => {
        impl Tensor {
            $($(#[$doc])*
            #[track_caller]
            #[must_use]
            pub fn $name(&self, axes: impl IntoAxes $(, $argument: $type)*) -> Tensor {
                let ($x, $axes) = (self, self.axes(stringify!($name), axes));
                let kept: Tensor = $body;
                kept.reshape_to(shape_rules::without(self.shape(), $axes))
            }

            #[doc = concat!("[`Tensor::", stringify!($name), "`] with the reduced axes kept at size one.")]
            #[track_caller]
            #[must_use]
            pub fn $keepdim(&self, axes: impl IntoAxes $(, $argument: $type)*) -> Tensor {
                let ($x, $axes) = (self, self.axes(stringify!($name), axes));
                $body
            })*
        }
    };
}

reductions! {
    /// Sum over axes; 0 of nothing. bool, u8 and i8 are summed as i32, i64 as i64. PyTorch: `sum`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// assert_eq!(x.sum(..).item()?, 21.0); // over all axes
    /// assert_eq!(x.sum(0).to_vec::<f32>()?, [5.0, 7.0, 9.0]);
    /// assert_eq!(x.sum_keepdim(-1).shape()[..], [2, 1]);
    /// # Ok(())
    /// # }
    /// ```
    sum, sum_keepdim => |x, axes| x.countable().reduced(Reduction::Sum, axes);

    /// Sum divided by the number of elements; NaN of nothing. Floats only. PyTorch: `mean`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// assert_eq!(x.mean(1).to_vec::<f32>()?, [2.0, 5.0]);
    /// # Ok(())
    /// # }
    /// ```
    mean, mean_keepdim => |x, axes| {
        x.require_float("mean");
        x.wide().mean_along(axes).cast(x.dtype())
    };

    /// Largest element, NaN if one is NaN. Panics on bool and on axes without elements. PyTorch: `amax`.
    max, max_keepdim => |x, axes| x.extremum("max", Reduction::Max, axes);

    /// Smallest element, NaN if one is NaN. Panics on bool and on axes without elements. PyTorch: `amin`.
    min, min_keepdim => |x, axes| x.extremum("min", Reduction::Min, axes);

    /// Sum of squared distances from the mean over `n - correction`: 1 for a sample, 0 for the whole, any
    /// number. NaN if that is not positive. Floats only. PyTorch: `var`, which gives infinity there if the sum
    /// is not zero.
    var, var_keepdim, correction: impl Into<Scalar> => |x, axes| {
        x.require_float("var");
        x.wide().variance(axes, correction.into()).cast(x.dtype())
    };

    /// Square root of the variance with the same correction. Floats only. PyTorch: `std`.
    std, std_keepdim, correction: impl Into<Scalar> => |x, axes| {
        x.require_float("std");
        x.wide().variance(axes, correction.into()).sqrt().cast(x.dtype())
    };

    /// True if an element is not zero (or true); false of nothing. PyTorch: `any`.
    any, any_keepdim => |x, axes| {
        x.truth().cast(DType::I32).counted(axes).above(0)
    };

    /// True if no element is zero (or false); true of nothing. PyTorch: `all`.
    all, all_keepdim => |x, axes| {
        let count = x.truth().logical_not().cast(DType::I32).counted(axes);
        count.eq(count.constant_like(0))
    };

    /// Number of elements that are not zero (or true), i32. Panics if there are more elements than i32
    /// counts. PyTorch: `count_nonzero`.
    count_nonzero, count_nonzero_keepdim => |x, axes| {
        let count = x.count_along(axes);
        demand!(
            i32::try_from(count).is_ok(),
            "count_nonzero: {count} elements are more than i32 counts; count over fewer axes"
        );
        x.truth().cast(DType::I32).reduced(Reduction::Sum, axes)
    };

    /// `ln(sum(e^x))` without overflow; negative infinity of nothing. Floats only. PyTorch: `logsumexp`.
    logsumexp, logsumexp_keepdim => |x, axes| {
        x.require_float("logsumexp");
        let wide = x.wide();
        let largest = wide.reduced(Reduction::Max, axes);
        // Any finite shift gives the same value, so none of the gradient goes through it.
        let shift = largest.is_finite().select(&largest, largest.zeros_like()).detach();
        let powers = wide.sub(&shift).exp().reduced(Reduction::Sum, axes);
        powers.log().add(shift).cast(x.dtype())
    };

    /// Euclidean norm, `sqrt(sum(x^2))`. Floats only; the gradient at zero is NaN.
    /// PyTorch: `linalg.vector_norm`.
    norm, norm_keepdim => |x, axes| {
        x.require_float("norm");
        x.wide().square().reduced(Reduction::Sum, axes).sqrt().cast(x.dtype())
    };
}

impl Tensor {
    /// Index of the first largest element along `axis`, i32; NaN wins. The axis is dropped. Panics on
    /// bool and on an axis without elements or with more than i32 counts. PyTorch: `argmax`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// assert_eq!(x.argmax(1).to_vec::<i32>()?, [2, 2]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn argmax(&self, axis: isize) -> Tensor {
        self.dropped(axis, &self.argmax_keepdim(axis))
    }

    /// [`Tensor::argmax`] with the axis kept at size one.
    #[track_caller]
    #[must_use]
    pub fn argmax_keepdim(&self, axis: isize) -> Tensor {
        self.arg_reduced("argmax", ArgReduction::Max, axis)
    }

    /// Index of the first smallest element along `axis`, i32; NaN wins. The axis is dropped. Panics on
    /// bool and on an axis without elements or with more than i32 counts. PyTorch: `argmin`.
    #[track_caller]
    #[must_use]
    pub fn argmin(&self, axis: isize) -> Tensor {
        self.dropped(axis, &self.argmin_keepdim(axis))
    }

    /// [`Tensor::argmin`] with the axis kept at size one.
    #[track_caller]
    #[must_use]
    pub fn argmin_keepdim(&self, axis: isize) -> Tensor {
        self.arg_reduced("argmin", ArgReduction::Min, axis)
    }

    /// Running sum along `axis`, the element itself included, each as accurate as a sum (see
    /// [`summation`](crate::summation)). bool, u8 and i8 are summed as i32, i64 as i64. PyTorch: `cumsum`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &device)?;
    /// assert_eq!(x.cumsum(1).to_vec::<f32>()?, [1.0, 3.0, 6.0, 4.0, 9.0, 15.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn cumsum(&self, axis: isize) -> Tensor {
        let axis = shape_rules::axis("cumsum", axis, self.rank()).or_fail();
        let source = self.countable();
        let (dtype, device) = (source.dtype(), self.device());
        let op = Op::Scan { axis, reverse: false };
        Tensor::from_op(op, vec![source], *self.shape(), dtype, device)
    }

    #[track_caller]
    pub(crate) fn axes(&self, op: &str, axes: impl IntoAxes) -> Axes {
        axes.resolve(op, self.rank()).or_fail()
    }

    /// The reduction node; without axes there is nothing to do.
    #[track_caller]
    fn reduced(&self, reduction: Reduction, axes: Axes) -> Tensor {
        if axes.is_empty() {
            return self.clone();
        }
        let shape = shape_rules::reduce(reduction.name(), self.shape(), axes).or_fail();
        let op = Op::Reduce(reduction, axes);
        Tensor::from_op(op, vec![self.clone()], shape, self.dtype(), self.device())
    }

    /// A number that is zero if all these elements, each 0 or 1, are zero.
    #[track_caller]
    fn counted(&self, axes: Axes) -> Tensor {
        let fits = i32::try_from(self.count_along(axes)).is_ok();
        self.reduced(if fits { Reduction::Sum } else { Reduction::Max }, axes)
    }

    #[track_caller]
    fn extremum(&self, op: &str, reduction: Reduction, axes: Axes) -> Tensor {
        shape_rules::number(op, self.dtype()).or_fail();
        shape_rules::not_empty(op, self.shape(), axes).or_fail();
        self.reduced(reduction, axes)
    }

    #[track_caller]
    fn mean_along(&self, axes: Axes) -> Tensor {
        self.reduced(Reduction::Sum, axes).times(inverse(self.count_along(axes), 0.0))
    }

    #[track_caller]
    fn variance(&self, axes: Axes, correction: Scalar) -> Tensor {
        let squares = self.sub(self.mean_along(axes)).square().reduced(Reduction::Sum, axes);
        squares.times(inverse(self.count_along(axes), correction.as_f64()))
    }

    #[track_caller]
    fn arg_reduced(&self, op: &str, reduction: ArgReduction, axis: isize) -> Tensor {
        let axis = shape_rules::axis(op, axis, self.rank()).or_fail();
        shape_rules::number(op, self.dtype()).or_fail();
        let axes: Axes = [axis].into_iter().collect();
        shape_rules::not_empty(op, self.shape(), axes).or_fail();
        shape_rules::countable(op, self.shape(), axis).or_fail();
        let op = Op::ArgReduce(reduction, axis);
        let shape = self.shape().with(axis, 1);
        Tensor::from_op(op, vec![self.clone()], shape, DType::I32, self.device())
    }

    /// `kept` without `axis`, which the caller has checked.
    #[track_caller]
    fn dropped(&self, axis: isize, kept: &Tensor) -> Tensor {
        let axes = self.axes("argmax", axis);
        let shape: Shape = shape_rules::without(self.shape(), axes);
        kept.reshape_to(shape)
    }

    /// Number of elements that one result is made of.
    fn count_along(&self, axes: Axes) -> usize {
        axes.iter().map(|axis| self.shape()[axis]).product()
    }

    /// This tensor in a dtype whose sums do not overflow at once.
    #[track_caller]
    fn countable(&self) -> Tensor {
        match self.dtype() {
            DType::Bool | DType::U8 | DType::I8 => self.cast(DType::I32),
            _ => self.clone(),
        }
    }

    /// True where an element is not zero.
    #[track_caller]
    fn truth(&self) -> Tensor {
        if self.dtype() == DType::Bool { self.clone() } else { self.ne(self.constant_like(0)) }
    }
}

/// `1 / (count - correction)`, NaN if there is nothing to divide by.
fn inverse(count: usize, correction: f64) -> f64 {
    let rest = count as f64 - correction;
    if rest > 0.0 { 1.0 / rest } else { f64::NAN }
}
