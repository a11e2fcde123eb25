//! Bessel functions and Airy's: ops that come in by the door for ops, each with its derivative among them.

#[rustfmt::skip]
mod coefficients;
mod function;
mod functions;
mod shader;

use function::Function;

use crate::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use crate::{DType, Element, Error, Result, Tensor, bf16, f16};

impl Tensor {
    /// Bessel function of the first kind, of order zero; floats only. PyTorch: `special.bessel_j0`.
    #[track_caller]
    #[must_use]
    pub fn bessel_j0(&self) -> Tensor {
        self.apply_function(Function::J0)
    }

    /// Bessel function of the first kind, of order one; floats only. PyTorch: `special.bessel_j1`.
    #[track_caller]
    #[must_use]
    pub fn bessel_j1(&self) -> Tensor {
        self.apply_function(Function::J1)
    }

    /// Bessel function of the second kind, of order zero: negative infinity at 0, NaN below; floats only.
    /// PyTorch: `special.bessel_y0`.
    #[track_caller]
    #[must_use]
    pub fn bessel_y0(&self) -> Tensor {
        self.apply_function(Function::Y0)
    }

    /// Bessel function of the second kind, of order one: negative infinity at 0, NaN below; floats only.
    /// PyTorch: `special.bessel_y1`.
    #[track_caller]
    #[must_use]
    pub fn bessel_y1(&self) -> Tensor {
        self.apply_function(Function::Y1)
    }

    /// Modified Bessel function of the second kind, of order zero: infinite at 0, NaN below; floats only.
    /// PyTorch: `special.modified_bessel_k0`.
    #[track_caller]
    #[must_use]
    pub fn k0(&self) -> Tensor {
        self.apply_function(Function::K0 { scaled: false })
    }

    /// `e^x k0(x)`, which falls as `1 / sqrt(x)`. PyTorch: `special.scaled_modified_bessel_k0`.
    #[track_caller]
    #[must_use]
    pub fn k0e(&self) -> Tensor {
        self.apply_function(Function::K0 { scaled: true })
    }

    /// Modified Bessel function of the second kind, of order one: infinite at 0, NaN below; floats only.
    /// PyTorch: `special.modified_bessel_k1`.
    #[track_caller]
    #[must_use]
    pub fn k1(&self) -> Tensor {
        self.apply_function(Function::K1 { scaled: false })
    }

    /// `e^x k1(x)`, which falls as `1 / sqrt(x)`. PyTorch: `special.scaled_modified_bessel_k1`.
    #[track_caller]
    #[must_use]
    pub fn k1e(&self) -> Tensor {
        self.apply_function(Function::K1 { scaled: true })
    }

    /// Airy's function Ai; floats only. Far below zero its phase, `2/3 |x|^1.5`, is as exact as the dtype.
    /// PyTorch: `special.airy_ai`.
    #[track_caller]
    #[must_use]
    pub fn airy_ai(&self) -> Tensor {
        self.apply_function(Function::AiryAi)
    }

    #[track_caller]
    fn apply_function(&self, function: Function) -> Tensor {
        self.require_float(function.name());
        let [value] = custom_op(function, &[self]);
        value
    }
}

impl Function {
    fn exact(self) -> fn(f64) -> f64 {
        match self {
            Function::J0 => functions::j0,
            Function::J1 => functions::j1,
            Function::Y0 => functions::y0,
            Function::Y1 => functions::y1,
            Function::K0 { scaled: false } => functions::k0,
            Function::K0 { scaled: true } => functions::k0e,
            Function::K1 { scaled: false } => functions::k1,
            Function::K1 { scaled: true } => functions::k1e,
            Function::AiryAi => functions::airy_ai,
            Function::AiryAiSlope => functions::airy_ai_slope,
        }
    }

    fn each<T: Element>(
        self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
        wide: fn(T) -> f64,
        narrow: fn(f64) -> T,
    ) {
        let function = self.exact();
        let pairs = results[0].elements::<T>().iter_mut().zip(operands[0].elements::<T>());
        pairs.for_each(|(to, &from)| *to = narrow(function(wide(from))));
    }
}

impl CustomOp for Function {
    fn name(&self) -> &'static str {
        match self {
            Function::J0 => "bessel_j0",
            Function::J1 => "bessel_j1",
            Function::Y0 => "bessel_y0",
            Function::Y1 => "bessel_y1",
            Function::K0 { scaled: false } => "k0",
            Function::K0 { scaled: true } => "k0e",
            Function::K1 { scaled: false } => "k1",
            Function::K1 { scaled: true } => "k1e",
            Function::AiryAi => "airy_ai",
            Function::AiryAiSlope => "slope of airy_ai",
        }
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        match operands {
            [x] if x.dtype.is_float() => Ok(vec![*x]),
            _ => Err(Error::shape("takes one operand of floats")),
        }
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match operands[0].of.dtype {
            DType::F64 => self.each::<f64>(operands, results, |x| x, |x| x),
            DType::F16 => self.each::<f16>(operands, results, f16::to_f64, f16::from_f64),
            DType::BF16 => self.each::<bf16>(operands, results, bf16::to_f64, bf16::from_f64),
            _ => self.each::<f32>(operands, results, f64::from, |x| x as f32),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        Some(Wgsl::elements(shader::source(*self), operands[0].shape.count()))
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (x, y, g) = (operands[0].wide(), results[0].wide(), gradients[0].wide());
        let of = |function: Function| {
            let [value] = custom_op(function, &[&operands[0]]);
            value.wide()
        };
        // y / x, which is a half at zero of functions of order one that are regular there.
        let by_order = |y: &Tensor| {
            let zero = x.eq(x.constant_like(0.0));
            let safe = zero.select(x.constant_like(1.0), &x);
            zero.select(x.constant_like(0.5), y.div(&safe))
        };
        let slope = match *self {
            Function::J0 => of(Function::J1).times(-1.0),
            Function::J1 => of(Function::J0).sub(by_order(&y)),
            Function::Y0 => of(Function::Y1).times(-1.0),
            Function::Y1 => of(Function::Y0).sub(y.div(&x)),
            Function::K0 { scaled: false } => of(Function::K1 { scaled: false }).times(-1.0),
            Function::K0 { scaled: true } => y.sub(of(Function::K1 { scaled: true })),
            Function::K1 { scaled: false } => {
                of(Function::K0 { scaled: false }).add(y.div(&x)).times(-1.0)
            }
            Function::K1 { scaled: true } => {
                y.sub(of(Function::K0 { scaled: true })).sub(y.div(&x))
            }
            Function::AiryAi => of(Function::AiryAiSlope),
            Function::AiryAiSlope => of(Function::AiryAi).mul(&x),
        };
        vec![Some(g.mul(slope).cast(operands[0].dtype()))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let [value] = custom_op(*self, &[&operands[0]]);
        Some(vec![value])
    }
}
