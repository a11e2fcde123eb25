//! The transforms as ops from outside: along the axis before the pairs, or the last of real numbers.
//!
//! They are linear and closed: the derivative of one is another.

use std::borrow::Borrow;

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::{CustomOp, DType, Device, Error, Result, Tensor};

use crate::host;
use crate::wgsl;

/// A factor, compared by its bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Scale(u64);

impl Scale {
    pub(crate) fn new(factor: f64) -> Scale {
        Scale(factor.to_bits())
    }

    pub(crate) fn factor(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// `z [.., n, 2] -> [.., n, 2]`: sums of `z[j] exp(-+ 2 pi i j k / n)`, times a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Fft {
    pub(crate) inverse: bool,
    pub(crate) scale: Scale,
}

/// `x [.., n] -> [.., n / 2 + 1, 2]`: the first half of the transform of real numbers, times a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RealFft {
    pub(crate) scale: Scale,
}

/// `z [.., n / 2 + 1, 2] -> [.., n]`: the inverse transform of numbers whose other half are the conjugates
/// of these, times a factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct RealInverse {
    pub(crate) n: usize,
    pub(crate) scale: Scale,
}

#[track_caller]
pub(crate) fn apply(op: impl CustomOp, operand: impl Borrow<Tensor>) -> Tensor {
    let [result] = custom_op(op, &[operand.borrow()]);
    result
}

/// Fails unless the operand is of a dtype that transforms are computed in.
fn check(of: TensorType) -> Result<()> {
    match of.dtype {
        DType::F32 | DType::F64 => Ok(()),
        dtype => {
            Err(Error::shape(format!("transforms are of f32 and f64, not of {dtype}; cast first")))
        }
    }
}

/// The same type with another length, where it is the axis before the pairs or the last.
fn with_length(of: TensorType, n: usize, from: bool, to: bool) -> TensorType {
    let lines = of.shape.len() - if from { 2 } else { 1 };
    let shape: Vec<usize> =
        of.shape[..lines].iter().copied().chain([n]).chain(to.then_some(2)).collect();
    TensorType::new(&shape[..], of.dtype)
}

fn length(of: TensorType, pairs: bool) -> usize {
    of.shape[of.shape.len() - if pairs { 2 } else { 1 }]
}

macro_rules! on_host {
    ($run:path, $operands:ident, $results:ident $(, $argument:expr)*) => {
        match $operands[0].of.dtype {
            DType::F64 => $run($operands[0].elements::<f64>(), $results[0].elements::<f64>() $(, $argument)*),
            _ => $run($operands[0].elements::<f32>(), $results[0].elements::<f32>() $(, $argument)*),
        }
    };
}

impl CustomOp for Fft {
    fn name(&self) -> &'static str {
        if self.inverse { "ifft" } else { "fft" }
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        check(operands[0])?;
        Ok(vec![operands[0]])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let n = length(operands[0].of, true);
        on_host!(host::complex, operands, results, n, self.inverse, self.scale.factor());
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], _results: &[TensorType]) -> Option<Wgsl> {
        let n = length(operands[0], true);
        let lines = operands[0].shape.count() / 2 / n.max(1);
        wgsl::line(n, lines, self.inverse, self.scale.factor())
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], gradients: &[Tensor]) -> Vec<Option<Tensor>> {
        vec![Some(apply(Fft { inverse: !self.inverse, ..*self }, &gradients[0]))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![apply(*self, &operands[0])])
    }
}

impl CustomOp for RealFft {
    fn name(&self) -> &'static str {
        "rfft"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        check(operands[0])?;
        Ok(vec![with_length(operands[0], length(operands[0], false) / 2 + 1, false, true)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let n = length(operands[0].of, false);
        on_host!(host::real, operands, results, n, self.scale.factor());
        Ok(())
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let n = operands[0].shape()[operands[0].rank() - 1];
        // The inverse counts all but the ends twice.
        let halved = &gradients[0] * ends_and_others(&gradients[0], n, 1.0, 0.5);
        vec![Some(apply(RealInverse { n, scale: self.scale }, halved))]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![apply(*self, &operands[0])])
    }
}

impl CustomOp for RealInverse {
    fn name(&self) -> &'static str {
        "irfft"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        check(operands[0])?;
        Ok(vec![with_length(operands[0], self.n, true, false)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        on_host!(host::real_inverse, operands, results, self.n, self.scale.factor());
        Ok(())
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], gradients: &[Tensor]) -> Vec<Option<Tensor>> {
        let transform = apply(RealFft { scale: self.scale }, &gradients[0]);
        let doubled = &transform * ends_and_others(&transform, self.n, 1.0, 2.0);
        vec![Some(doubled)]
    }

    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        Some(vec![apply(*self, &operands[0])])
    }
}

/// Factors `[n / 2 + 1, 1]` of the numbers that stand for themselves, and of the others.
#[track_caller]
fn ends_and_others(like: &Tensor, n: usize, ends: f64, others: f64) -> Tensor {
    let shape = [n / 2 + 1, 1];
    let constant = |value: f64| Tensor::constant(shape, value, like.dtype(), like.device());
    is_end(n, like.device()).unsqueeze(-1).select(constant(ends), constant(others))
}

/// Which numbers `[n / 2 + 1]` of a transform of `n` real ones stand for themselves: the first, and the last
/// of an even length.
#[track_caller]
pub(crate) fn is_end(n: usize, device: &Device) -> Tensor {
    let index = Tensor::iota([n / 2 + 1], 0, device);
    let first = index.eq(0);
    if n.is_multiple_of(2) { first.logical_or(index.eq((n / 2) as i64)) } else { first }
}
