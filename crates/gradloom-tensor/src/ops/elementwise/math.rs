//! Functions composed of elementwise ops, and choosing by a condition.
//!
//! Numbers of the formulas are constants, part of a plan's structure; numbers that callers give for a
//! bound or a fill are arguments, so that changing them makes no new plan.

use super::operand::beside;
use super::{Operand, fit};
use crate::called::Called;
use crate::error::OrFail;
use crate::op::{Binary, Op};
use crate::promotion::{Typed, result_type};
use crate::{DType, Scalar, Tensor, shape_rules};

impl Tensor {
    /// `self * constant`, the factor of a formula.
    #[track_caller]
    pub(crate) fn times(&self, constant: f64) -> Tensor {
        Tensor::binary_node(Binary::Mul, self.clone(), self.constant_like(constant))
    }

    /// `self + constant`, the summand of a formula.
    #[track_caller]
    pub(crate) fn plus(&self, constant: f64) -> Tensor {
        Tensor::binary_node(Binary::Add, self.clone(), self.constant_like(constant))
    }

    /// `max(self, constant)`.
    #[track_caller]
    pub(crate) fn greatest(&self, constant: impl Into<Scalar>) -> Tensor {
        Tensor::binary_node(Binary::Maximum, self.clone(), self.constant_like(constant))
    }

    /// `min(self, constant)`.
    #[track_caller]
    pub(crate) fn least(&self, constant: impl Into<Scalar>) -> Tensor {
        Tensor::binary_node(Binary::Minimum, self.clone(), self.constant_like(constant))
    }

    /// `self > constant`, to bool.
    #[track_caller]
    pub(crate) fn above(&self, constant: impl Into<Scalar>) -> Tensor {
        Tensor::binary_node(Binary::Lt, self.constant_like(constant), self.clone())
    }

    /// One truth value in the shape of this tensor.
    #[track_caller]
    pub(super) fn always(&self, value: bool) -> Tensor {
        Tensor::constant(*self.shape(), value, DType::Bool, self.device())
    }

    /// `x * x`; numbers. PyTorch: `square`.
    #[track_caller]
    #[must_use]
    pub fn square(&self) -> Tensor {
        let _called = Called::op("square");
        self.mul(self)
    }

    /// `x^exponent` for a fixed exponent, part of the plan's structure; floats only. 0, 0.5, 1, 2 and
    /// -1 become simpler ops. PyTorch: `pow`.
    #[track_caller]
    #[must_use]
    pub fn powf(&self, exponent: f64) -> Tensor {
        self.require_float("powf");
        if exponent == 0.5 {
            self.sqrt()
        } else if exponent == -0.5 {
            self.rsqrt()
        } else if exponent.fract() == 0.0 && exponent.abs() <= 4.0 {
            self.powi(exponent as i32)
        } else {
            Tensor::binary_node(Binary::Pow, self.clone(), self.constant_like(exponent))
        }
    }

    /// `x^exponent` by repeated squaring; numbers, and negative exponents only of floats. PyTorch: `pow`.
    #[track_caller]
    #[must_use]
    pub fn powi(&self, exponent: i32) -> Tensor {
        self.require_number("powi");
        let base = if exponent < 0 {
            self.require_float("powi with a negative exponent");
            // The power of the reciprocal: its slope is right where the power is zero or infinite.
            self.wide().reciprocal()
        } else {
            self.wide()
        };
        base.powi_positive(exponent.unsigned_abs()).cast(self.dtype())
    }

    #[track_caller]
    fn powi_positive(&self, mut exponent: u32) -> Tensor {
        let mut square = self.clone();
        let mut product: Option<Tensor> = None;
        while exponent > 0 {
            if exponent & 1 == 1 {
                product = Some(match product {
                    Some(product) => product.mul(&square),
                    None => square.clone(),
                });
            }
            exponent >>= 1;
            if exponent > 0 {
                square = square.square();
            }
        }
        match product {
            Some(product) => product,
            None => self.ones_like(),
        }
    }

    /// Logarithm to base 2; floats only. PyTorch: `log2`.
    #[track_caller]
    #[must_use]
    pub fn log2(&self) -> Tensor {
        self.require_float("log2");
        self.wide().log().times(std::f64::consts::LOG2_E).cast(self.dtype())
    }

    /// Logarithm to base 10; floats only. PyTorch: `log10`.
    #[track_caller]
    #[must_use]
    pub fn log10(&self) -> Tensor {
        self.require_float("log10");
        self.wide().log().times(std::f64::consts::LOG10_E).cast(self.dtype())
    }

    /// `sin(x) / cos(x)`; floats only. PyTorch: `tan`.
    #[track_caller]
    #[must_use]
    pub fn tan(&self) -> Tensor {
        self.require_float("tan");
        let x = self.wide();
        x.sin().div(x.cos()).cast(self.dtype())
    }

    /// The integer part, towards zero; integers stay. Panics on bool. PyTorch: `trunc`.
    #[track_caller]
    #[must_use]
    pub fn trunc(&self) -> Tensor {
        self.require_number("trunc");
        if self.dtype().is_int() {
            return self.clone();
        }
        self.above(0.0).select(self.floor(), self.ceil())
    }

    /// `min(max(x, low), high)`, broadcast; NaN if one of them is. At a bound that is a number the slope is
    /// 0, at one that is a tensor half of it is each's. PyTorch: `clamp`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([-3.0f32, 0.5, 3.0], &device)?;
    /// assert_eq!(x.clamp(-1.0, 1.0).to_vec::<f32>()?, [-1.0, 0.5, 1.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn clamp(&self, low: impl Into<Operand>, high: impl Into<Operand>) -> Tensor {
        let _called = Called::op("clamp");
        let raised = match low.into() {
            low @ Operand::Scalar(scalar) if !scalar.as_f64().is_nan() => {
                let (x, low) = self.meet_as_numbers("clamp", low);
                x.le(&low).select(&low, x)
            }
            low => self.maximum(low),
        };
        match high.into() {
            high @ Operand::Scalar(scalar) if !scalar.as_f64().is_nan() => {
                let (x, high) = raised.meet_as_numbers("clamp", high);
                high.le(&x).select(&high, x)
            }
            high => raised.minimum(high),
        }
    }

    /// `x + weight * (end - x)`, broadcast; floats only. PyTorch: `lerp`.
    #[track_caller]
    #[must_use]
    pub fn lerp(&self, end: &Tensor, weight: impl Into<Operand>) -> Tensor {
        let _called = Called::op("lerp");
        self.require_float("lerp");
        let weight = weight.into();
        for dtype in [Some(end.dtype()), weight.dtype()].into_iter().flatten() {
            shape_rules::same_dtype("lerp", self.dtype(), dtype).or_fail();
        }
        let (start, end, weight) = (self.wide(), end.wide(), weight.wide());
        start.add(end.sub(&start).mul(weight)).cast(self.dtype())
    }

    /// True for the two infinities; bool result, any dtype. PyTorch: `isinf`.
    #[track_caller]
    #[must_use]
    pub fn is_inf(&self) -> Tensor {
        if !self.dtype().is_float() {
            return self.always(false);
        }
        // Against the largest number instead of infinity, which shaders cannot write as a literal.
        self.wide().abs().above(largest(self.dtype()))
    }

    /// False for NaN and the two infinities; bool result, any dtype. PyTorch: `isfinite`.
    #[track_caller]
    #[must_use]
    pub fn is_finite(&self) -> Tensor {
        if !self.dtype().is_float() {
            return self.always(true);
        }
        let magnitude = self.wide().abs();
        let bound = magnitude.constant_like(largest(self.dtype()));
        Tensor::binary_node(Binary::Le, magnitude, bound)
    }

    /// `on_true` where this bool tensor is true, `on_false` elsewhere; all three broadcast, and the two
    /// meet in one dtype. The branch that is not chosen does not matter, even if it is NaN.
    /// PyTorch: `where`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([-1.0f32, 2.0], &device)?;
    /// assert_eq!(x.gt(0.0).select(&x, 0.0).to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn select(&self, on_true: impl Into<Operand>, on_false: impl Into<Operand>) -> Tensor {
        shape_rules::boolean("select", self.dtype()).or_fail();
        let branches = [on_true.into(), on_false.into()];
        let dtype = result_type("select", branches.iter().map(Typed::from)).or_fail();
        let mut shape = *self.shape();
        for branch in &branches {
            if let Operand::Tensor(branch) = branch {
                shape = shape_rules::broadcast("select", &shape, branch.shape()).or_fail();
            }
        }
        let mut inputs = vec![self.expand_to(shape)];
        for branch in branches {
            inputs.push(match branch {
                Operand::Tensor(branch) => branch.cast(dtype).expand_to(shape),
                Operand::Scalar(number) => {
                    let number = beside("select", number, dtype).or_fail();
                    let op = Op::Argument(number);
                    Tensor::from_op(op, Vec::new(), shape, dtype, self.device())
                }
            });
        }
        Tensor::from_op(Op::Select, inputs, shape, dtype, self.device())
    }

    /// `value` where the bool `mask` is true, this tensor, whose dtype stays, elsewhere; broadcast. Panics
    /// if the dtype cannot hold the value. PyTorch: `masked_fill`.
    ///
    /// ```
    /// # use gradloom_tensor::Tensor;
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let x = Tensor::new([-1.0f32, 2.0], &device)?;
    /// assert_eq!(x.masked_fill(&x.lt(0.0), 9.0).to_vec::<f32>()?, [9.0, 2.0]);
    /// # Ok(())
    /// # }
    /// ```
    #[track_caller]
    #[must_use]
    pub fn masked_fill(&self, mask: &Tensor, value: impl Into<Operand>) -> Tensor {
        shape_rules::boolean("masked_fill", mask.dtype()).or_fail();
        let value = match value.into() {
            Operand::Tensor(value) => {
                let met = self.result_type(&value);
                shape_rules::same_dtype("masked_fill", self.dtype(), met).or_fail();
                value.cast(self.dtype())
            }
            Operand::Scalar(number) => {
                let number = fit("masked_fill", number, self.dtype()).or_fail();
                let op = Op::Argument(number);
                Tensor::from_op(op, Vec::new(), *self.shape(), self.dtype(), self.device())
            }
        };
        mask.select(value, self)
    }
}

/// The largest finite number of a floating-point dtype.
fn largest(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => f64::MAX,
        DType::F16 => crate::f16::MAX.to_f64(),
        DType::BF16 => crate::bf16::MAX.to_f64(),
        DType::F32 | DType::I32 | DType::I64 | DType::I8 | DType::U32 | DType::U8 | DType::Bool => {
            f64::from(f32::MAX)
        }
    }
}
