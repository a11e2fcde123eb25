//! [`MatrixOp`]: what the ops of this crate have in common, and how they enter a graph.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use gradloom_tensor::custom_op::{
    HostOperand, HostResult, TensorType, custom_op, custom_op_results,
};
use gradloom_tensor::{CustomOp, DType, Error, Result, Shape, Tensor};

use crate::real::Real;

/// An op on matrices of f32 or f64 with any batch axes before them.
pub(crate) trait MatrixOp: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// Shapes of the results.
    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>>;

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()>;

    /// As [`CustomOp::derivative`]; the default says that there is none to ask for.
    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        _gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        vec![None; operands.len()]
    }
}

/// The op in a graph.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Applied<O>(O);

/// Applies an op; the pattern that takes the results says how many there are.
#[track_caller]
pub(crate) fn apply<const N: usize>(op: impl MatrixOp, operands: &[&Tensor]) -> [Tensor; N] {
    custom_op(Applied(op), operands)
}

impl<O: MatrixOp> CustomOp for Applied<O> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let dtype = operands.first().map_or(DType::F32, |first| first.dtype);
        if let Some(other) = operands.iter().find(|other| other.dtype != dtype) {
            return Err(Error::shape(format!("operands of {dtype} and {}", other.dtype)));
        }
        let shapes = self.0.shapes(operands)?;
        Ok(shapes.into_iter().map(|shape| TensorType { shape, dtype }).collect())
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        match operands[0].of.dtype {
            DType::F32 => self.0.run::<f32>(operands, results),
            DType::F64 => self.0.run::<f64>(operands, results),
            other => Err(Error::unsupported(format!("no kernel for {other}"))),
        }
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        self.0.derivative(operands, results, gradients)
    }

    /// An axis of examples is one more batch axis of every operand.
    fn vmap(&self, operands: &[Tensor]) -> Option<Vec<Tensor>> {
        let operands: Vec<&Tensor> = operands.iter().collect();
        Some(custom_op_results(Arc::new(self.clone()), &operands))
    }
}
