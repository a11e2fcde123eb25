//! Softmax and the norms, as formulas: the planner turns the reductions over one row and what is
//! around them into one kernel.
//!
//! Letters: N batch, C channels, T positions, D features.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::Axes;
use crate::{DType, Shape, Tensor, shape_rules};

impl Tensor {
    /// `exp(x - max) / sum(exp(x - max))` along an axis.
    ///
    /// Float dtypes. Panics if the axis is out of range. PyTorch: `F.softmax`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([0.0f32, 0.0, 3f32.ln()], &device)?;
    /// let p = x.softmax(-1).to_vec::<f32>()?;
    /// assert!((p[2] - 0.6).abs() < 1e-6);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn softmax(&self, axis: isize) -> Tensor {
        shape_rules::float("softmax", self.dtype()).or_fail();
        self.axis("softmax", axis);
        let powers = self.wide().below_max(axis).exp();
        (&powers / &powers.sum_keepdim(axis)).cast(self.dtype())
    }

    /// `(x - max) - log(sum(exp(x - max)))` along an axis.
    ///
    /// Float dtypes. Panics if the axis is out of range. PyTorch: `F.log_softmax`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([1000.0f32, 0.0], &device)?;
    /// assert_eq!(x.log_softmax(-1).to_vec::<f32>()?, [0.0, -1000.0]); // no overflow
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn log_softmax(&self, axis: isize) -> Tensor {
        shape_rules::float("log_softmax", self.dtype()).or_fail();
        self.axis("log_softmax", axis);
        let below = self.wide().below_max(axis);
        (&below - &below.exp().sum_keepdim(axis).log()).cast(self.dtype())
    }

    /// `x - max(x)` along an axis; no gradient goes through the maximum, whose share is zero anyway.
    #[track_caller]
    fn below_max(&self, axis: isize) -> Tensor {
        if self.size(axis) == 0 {
            // Nothing has no maximum, and nothing is to be moved.
            return self.clone();
        }
        self - &self.detach().max_keepdim(axis)
    }

    /// `(x - mean) / sqrt(variance + epsilon) * weight + bias` over the last `axes` axes, whose shape
    /// weight and bias have.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.layer_norm`. Ba, Kiros, Hinton,
    /// "Layer normalization", 2016.
    #[track_caller]
    #[must_use]
    pub fn layer_norm(
        &self,
        axes: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        epsilon: f64,
    ) -> Tensor {
        const OP: &str = "layer_norm";
        shape_rules::float(OP, self.dtype()).or_fail();
        let shape = self.shape();
        demand!(
            axes > 0 && axes <= shape.rank(),
            "{OP}: {axes} axes asked of an input of shape {shape}"
        );
        let first = shape.rank() - axes;
        let last = Shape::new(&shape[first..]);
        let normal = self.wide().standardized((first..shape.rank()).collect(), epsilon);
        affine(OP, self.dtype(), &normal, weight, bias, &last, &last)
    }

    /// `x / sqrt(mean(x^2) + epsilon) * weight` over the last axis, whose size the weight has.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit. PyTorch: `F.rms_norm`. Zhang, Sennrich,
    /// "Root mean square layer normalization", 2019.
    #[track_caller]
    #[must_use]
    pub fn rms_norm(&self, weight: Option<&Tensor>, epsilon: f64) -> Tensor {
        const OP: &str = "rms_norm";
        shape_rules::float(OP, self.dtype()).or_fail();
        let last = Shape::new(&[self.shape()[self.axis(OP, -1)]]);
        let x = self.wide();
        let mean = x.square().mean_keepdim(-1);
        let normal = &x * &(&mean + &mean.constant_like(epsilon)).rsqrt();
        affine(OP, self.dtype(), &normal, weight, None, &last, &last)
    }

    /// [`Tensor::layer_norm`] over each of `groups` groups of channels of `[N, C, ..]`; weight and
    /// bias are `[C]`.
    ///
    /// Float dtypes, equal. Panics if shapes do not fit or `groups` does not divide C. PyTorch:
    /// `F.group_norm`. Wu, He, "Group normalization", 2018.
    #[track_caller]
    #[must_use]
    pub fn group_norm(
        &self,
        groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        epsilon: f64,
    ) -> Tensor {
        const OP: &str = "group_norm";
        let _called = Called::op(OP);
        shape_rules::float(OP, self.dtype()).or_fail();
        let shape = self.shape();
        demand!(shape.rank() >= 2, "{OP}: needs an input [N, C, ..], got shape {shape}");
        let channels = shape[1];
        demand!(
            groups > 0 && channels.is_multiple_of(groups),
            "{OP}: {channels} channels do not divide into {groups} groups"
        );
        let size = shape[1..].iter().product::<usize>() / groups;
        let rows = self.wide().reshape([shape[0], groups, size]);
        let normal = rows.standardized([2].into_iter().collect(), epsilon).reshape(shape);
        let mut column = vec![1; shape.rank() - 1];
        column[0] = channels;
        let (expected, aligned) = (Shape::new(&[channels]), Shape::new(&column));
        affine(OP, self.dtype(), &normal, weight, bias, &expected, &aligned)
    }

    /// `x / max(norm(x), epsilon)` with the Euclidean norm along an axis.
    ///
    /// Float dtypes. Panics if the axis is out of range. PyTorch: `F.normalize`.
    #[track_caller]
    #[must_use]
    pub fn normalize(&self, axis: isize, epsilon: f64) -> Tensor {
        shape_rules::float("normalize", self.dtype()).or_fail();
        self.axis("normalize", axis);
        let x = self.wide();
        (&x * &x.inverse_norm(axis, epsilon)).cast(self.dtype())
    }

    /// `x / max(norm(x), epsilon)` with any norm along an axis: the `power`-th root of the sum of powers of
    /// magnitudes, 0 counts what is not zero, infinity is the largest. A norm of zero has slope 0.
    ///
    /// Float dtypes. Panics if the axis is out of range. PyTorch: `F.normalize(p=...)`.
    #[track_caller]
    #[must_use]
    pub fn normalize_by(&self, power: f64, axis: isize, epsilon: f64) -> Tensor {
        const OP: &str = "normalize_by";
        shape_rules::float(OP, self.dtype()).or_fail();
        if self.rank() == 0 {
            return self.atleast_1d().normalize_by(power, axis, epsilon).reshape_to(Shape::SCALAR);
        }
        let at = self.axis(OP, axis) as isize;
        let x = self.wide();
        let norm = x.movedim(at, -1).length(power).unsqueeze(at);
        (&x / norm.maximum(epsilon)).cast(self.dtype())
    }

    /// Softmax along an axis that gives zeros where all elements are negative infinity, instead of NaN.
    ///
    /// Float dtypes. Panics if the axis is out of range. PyTorch: `torch._safe_softmax`.
    #[track_caller]
    #[must_use]
    pub fn safe_softmax(&self, axis: isize) -> Tensor {
        let _called = Called::op("safe_softmax");
        shape_rules::float("safe_softmax", self.dtype()).or_fail();
        let x = self.wide();
        let hidden = x.eq(f64::NEG_INFINITY).all_keepdim(axis);
        let safe = hidden.select(x.constant_like(0.0), &x);
        hidden.select(safe.constant_like(0.0), safe.softmax(axis)).cast(self.dtype())
    }

    /// The gradient of softmax along an axis, given that of its result (this tensor) and the result:
    /// `y (g - sum(g y))`. PyTorch: `torch._softmax_backward_data`.
    ///
    /// Float dtypes, equal. Panics if shapes differ or the axis is out of range.
    #[track_caller]
    #[must_use]
    pub fn softmax_gradient(&self, result: &Tensor, axis: isize) -> Tensor {
        const OP: &str = "softmax_gradient";
        let _called = Called::op(OP);
        shape_rules::same_dtype(OP, self.dtype(), result.dtype()).or_fail();
        let (own, other) = (self.shape(), result.shape());
        demand!(own == other, "{OP}: a gradient {own} of a result {other}");
        let (gradient, result) = (self.wide(), result.wide());
        let share = (&gradient * &result).sum_keepdim(axis);
        (result * (gradient - share)).cast(self.dtype())
    }

    /// `1 / max(norm(x), epsilon)` along an axis, which stays with size one. The maximum is taken of
    /// squares, so that the gradient at zero is zero and not NaN.
    #[track_caller]
    pub(crate) fn inverse_norm(&self, axis: isize, epsilon: f64) -> Tensor {
        let square = self.square().sum_keepdim(axis);
        square.maximum(square.constant_like(epsilon * epsilon)).rsqrt()
    }

    /// `(x - mean) / sqrt(variance + epsilon)` over axes.
    #[track_caller]
    fn standardized(&self, axes: Axes, epsilon: f64) -> Tensor {
        let centered = self - &self.mean_keepdim(axes);
        let variance = centered.square().mean_keepdim(axes);
        &centered * &(&variance + &variance.constant_like(epsilon)).rsqrt()
    }
}

/// `x * weight + bias` in `dtype` for parameters of this dtype and of shape `expected`, broadcast as
/// `aligned`; x is wide.
#[track_caller]
fn affine(
    op: &str,
    dtype: DType,
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    expected: &Shape,
    aligned: &Shape,
) -> Tensor {
    let fit = |parameter: &Tensor, name: &str| {
        let shape = parameter.shape();
        demand!(shape == expected, "{op}: the {name} has shape {shape}, not {expected}");
        shape_rules::same_dtype(op, dtype, parameter.dtype()).or_fail();
        parameter.wide().reshape(aligned)
    };
    let scaled = weight.map_or_else(|| x.clone(), |weight| x * &fit(weight, "weight"));
    let shifted = match bias {
        Some(bias) => &scaled + &fit(bias, "bias"),
        None => scaled,
    };
    shifted.cast(dtype)
}
