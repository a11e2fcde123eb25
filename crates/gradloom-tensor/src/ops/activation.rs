//! Activation functions, composed of elementwise ops; `relu`, `sigmoid` and `tanh` are ops themselves.
//!
//! All take floating-point tensors and keep shape and dtype, and panic on other dtypes. Formulas of more
//! than one rounding are computed wide. Parameters given as f64 are part of the plan's structure.

use crate::called::demand;
use crate::error::OrFail;
use crate::op::Op;
use crate::shape::RANK_MAX;
use crate::{Shape, Tensor, shape_rules};

impl Tensor {
    /// `x` if `x > 0`, else `slope * x`. PyTorch: `leaky_relu`.
    #[track_caller]
    #[must_use]
    pub fn leaky_relu(&self, slope: f64) -> Tensor {
        self.require_float("leaky_relu");
        self.above(0.0).select(self, self.times(slope))
    }

    /// `x` if `x > 0`, else `alpha * (e^x - 1)`. PyTorch: `elu`.
    #[track_caller]
    #[must_use]
    pub fn elu(&self, alpha: f64) -> Tensor {
        self.require_float("elu");
        let x = self.wide();
        let above = x.above(0.0);
        // Zero in place of what is not chosen keeps that branch finite, and with it its gradient; at 0 the
        // slope is alpha.
        let below = above.select(x.constant_like(0.0), &x);
        above.select(&x, below.expm1().times(alpha)).cast(self.dtype())
    }

    /// Self-normalising ELU: `scale * elu(x, alpha)` (Klambauer et al., 2017). PyTorch: `selu`.
    #[track_caller]
    #[must_use]
    pub fn selu(&self) -> Tensor {
        self.require_float("selu");
        let wide = self.wide().elu(1.673_263_242_354_377_2).times(1.050_700_987_355_480_5);
        wide.cast(self.dtype())
    }

    /// `x / 2 * (1 + erf(x / sqrt(2)))` (Hendrycks and Gimpel, 2016). PyTorch: `gelu`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([0.0f32, 100.0, -100.0], &device)?;
    /// assert_eq!(x.gelu().to_vec::<f32>()?, [0.0, 100.0, 0.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn gelu(&self) -> Tensor {
        self.require_float("gelu");
        let x = self.wide();
        let phi = x.times(std::f64::consts::FRAC_1_SQRT_2).erf().plus(1.0);
        x.times(0.5).mul(phi).cast(self.dtype())
    }

    /// `x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))`. PyTorch: `gelu(approximate="tanh")`.
    #[track_caller]
    #[must_use]
    pub fn gelu_tanh(&self) -> Tensor {
        self.require_float("gelu_tanh");
        let root = (2.0 / std::f64::consts::PI).sqrt();
        let x = self.wide();
        let inner = x.mul(x.square().times(0.044_715 * root).plus(root));
        x.times(0.5).mul(inner.tanh().plus(1.0)).cast(self.dtype())
    }

    /// `x * sigmoid(x)`. PyTorch: `silu`.
    #[track_caller]
    #[must_use]
    pub fn silu(&self) -> Tensor {
        self.require_float("silu");
        let x = self.wide();
        x.mul(x.sigmoid()).cast(self.dtype())
    }

    /// `x * tanh(softplus(x))` (Misra, 2019). PyTorch: `mish`.
    #[track_caller]
    #[must_use]
    pub fn mish(&self) -> Tensor {
        self.require_float("mish");
        let x = self.wide();
        x.mul(x.softplus().tanh()).cast(self.dtype())
    }

    /// `ln(1 + e^x)`, as `max(x, 0) + ln(1 + e^-|x|)`, which does not overflow. Derivatives of every order
    /// are right at 0, too. PyTorch: `softplus`.
    #[track_caller]
    #[must_use]
    pub fn softplus(&self) -> Tensor {
        self.require_float("softplus");
        let x = self.wide();
        // Both parts have a corner at 0; chosen by one condition, they have it on the same side.
        let above = x.constant_like(0.0).le(&x);
        let tail = above.select(x.clone().neg(), &x).exp().log1p();
        above.select(&x, x.constant_like(0.0)).add(tail).cast(self.dtype())
    }

    /// `ln(1 + e^(beta x)) / beta`, and `x` itself where `beta x` is above the threshold. PyTorch:
    /// `F.softplus(x, beta, threshold)`.
    ///
    /// Panics if `beta` is zero.
    #[track_caller]
    #[must_use]
    pub fn softplus_with(&self, beta: f64, threshold: f64) -> Tensor {
        demand!(beta != 0.0, "softplus: beta is 0");
        let x = self.wide();
        let steep = x.mul(beta);
        steep.gt(threshold).select(&x, steep.softplus().mul(1.0 / beta)).cast(self.dtype())
    }

    /// `x / (1 + |x|)`. PyTorch: `softsign`.
    #[track_caller]
    #[must_use]
    pub fn softsign(&self) -> Tensor {
        self.require_float("softsign");
        let x = self.wide();
        x.div(x.abs().plus(1.0)).cast(self.dtype())
    }

    /// `min(max(x, -1), 1)`. PyTorch: `hardtanh`.
    #[track_caller]
    #[must_use]
    pub fn hardtanh(&self) -> Tensor {
        self.require_float("hardtanh");
        self.kept_between(-1.0, 1.0)
    }

    /// `relu6(x + 3) / 6`. PyTorch: `hardsigmoid`.
    #[track_caller]
    #[must_use]
    pub fn hardsigmoid(&self) -> Tensor {
        self.require_float("hardsigmoid");
        self.wide().plus(3.0).relu6().times(1.0 / 6.0).cast(self.dtype())
    }

    /// `x * relu6(x + 3) / 6`. PyTorch: `hardswish`.
    #[track_caller]
    #[must_use]
    pub fn hardswish(&self) -> Tensor {
        self.require_float("hardswish");
        let x = self.wide();
        x.mul(x.hardsigmoid()).cast(self.dtype())
    }

    /// `min(max(x, 0), 6)`. PyTorch: `relu6`.
    #[track_caller]
    #[must_use]
    pub fn relu6(&self) -> Tensor {
        self.require_float("relu6");
        self.kept_between(0.0, 6.0)
    }

    /// Constants in place of what is not between them, with slope 0 from there on; NaN stays.
    #[track_caller]
    fn kept_between(&self, low: f64, high: f64) -> Tensor {
        let (low, high) = (self.constant_like(low), self.constant_like(high));
        let below = self.le(&low);
        below.select(&low, high.le(self).select(&high, self))
    }

    /// `ln(sigmoid(x))`, as `-softplus(-x)`, which does not underflow. PyTorch: `logsigmoid`.
    #[track_caller]
    #[must_use]
    pub fn log_sigmoid(&self) -> Tensor {
        self.require_float("log_sigmoid");
        self.wide().neg().softplus().neg().cast(self.dtype())
    }

    /// `a * sigmoid(b)` where a and b are the halves along `axis` (Dauphin et al., 2016). Panics if the
    /// axis has an odd size. PyTorch: `glu`.
    #[track_caller]
    #[must_use]
    pub fn glu(&self, axis: isize) -> Tensor {
        self.require_float("glu");
        let axis = shape_rules::axis("glu", axis, self.rank()).or_fail();
        let size = self.shape()[axis];
        demand!(size.is_multiple_of(2), "glu: axis {axis} has odd size {size}, no two halves");
        let half = size / 2;
        let x = self.wide();
        let gated = x.part(axis, 0, half).mul(x.part(axis, half, half).sigmoid());
        gated.cast(self.dtype())
    }

    /// `x` if `x > 0`, else `weight * x`; the weight has one element, or one per channel (axis 1).
    /// Panics if it has another size. PyTorch: `prelu`.
    #[track_caller]
    #[must_use]
    pub fn prelu(&self, weight: &Tensor) -> Tensor {
        self.require_float("prelu");
        let channels = self.shape().get(1).copied().unwrap_or(1);
        let count = weight.count();
        demand!(
            count == 1 || count == channels,
            "prelu: weight of shape {} for {channels} channels; it needs 1 or {channels} elements",
            weight.shape()
        );
        let shape: Shape = (0..self.rank()).map(|axis| if axis == 1 { count } else { 1 }).collect();
        self.above(0.0).select(self, self.mul(weight.reshape_to(shape)))
    }

    /// `size` elements from `start` along a checked axis.
    #[track_caller]
    pub(crate) fn part(&self, axis: usize, start: usize, size: usize) -> Tensor {
        debug_assert!(start + size <= self.shape()[axis]);
        let mut starts = [0; RANK_MAX];
        starts[axis] = start;
        let op = Op::Slice { starts, steps: [1; RANK_MAX] };
        let shape = self.shape().with(axis, size);
        Tensor::from_op(op, vec![self.clone()], shape, self.dtype(), self.device())
    }
}
