//! Cholesky's factorisation.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::cholesky::{Workspace, factor};
use crate::kernels::triangular::Triangle;
use crate::matrices::{strictly_lower, t};
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::triangular::triangular;

/// The lower L with `A = L L^T`, or the upper U with `A = U^T U`, of symmetric positive definite matrices:
/// `[.., n, n] -> [.., n, n]`. Only that triangle of A is read.
///
/// f32 or f64. The gradient is symmetric, and may be differentiated again. PyTorch:
/// `torch.linalg.cholesky`.
///
/// # Errors
/// The evaluation fails where a matrix is not positive definite, also one with NaN, and says which.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn cholesky(a: &Tensor, upper: bool) -> Tensor {
    check::square("cholesky", a);
    if upper {
        let [factor] = apply(Cholesky, &[&t(a)]);
        return t(&factor);
    }
    let [factor] = apply(Cholesky, &[a]);
    factor
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cholesky;

impl MatrixOp for Cholesky {
    fn name(&self) -> &'static str {
        "cholesky"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        Ok(vec![operands[0].shape])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let cost = of.rows * of.size() / 6;
        let memory = || Workspace::<T>::new(of.rows);
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [lower]| {
            factor(memory, of.matrix(of_a, index), of.rows, lower)
        })
    }

    /// Murray, *Differentiation of the Cholesky decomposition*, 2016.
    fn derivative(
        &self,
        _operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let lower = &results[0];
        let product = t(lower).matmul(&gradients[0].tril(0));
        let middle = (product.tril(0) + t(&strictly_lower(&product))) * 0.5;
        let transposed = Triangle { upper: false, unit: false, transpose: true };
        let left = triangular(lower, &middle, transposed);
        vec![Some(t(&triangular(lower, &t(&left), transposed)))]
    }
}
