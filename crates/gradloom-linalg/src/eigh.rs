//! Eigenvalues and eigenvectors of symmetric matrices.
//!
//! Those of general matrices are complex, and there is no complex dtype yet: `eig` and `eigvals` are absent.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::eigh::{Workspace, decompose};
use crate::matrices::{reciprocal_or_zero, rounding_of, t, with_diagonal};
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// `A = V diag(W) V^T` of symmetric `[.., n, n]`: eigenvalues `W [.., n]`, smallest first, and eigenvectors,
/// the columns of `V [.., n, n]`. Only the lower triangle of A is read; for the upper one (PyTorch:
/// `UPLO="U"`) pass the transposed matrices.
///
/// f32 or f64. Eigenvectors are unique but for their signs, and not even that where eigenvalues are equal.
/// The gradient of a loss that depends on such a choice is meaningless; what it owes to eigenvalues that
/// are equal to within rounding is taken as zero (PyTorch: infinite or NaN), so that a loss on W alone has
/// its right gradient also there. Gradients are symmetric. For W alone [`eigvalsh`] is faster.
/// PyTorch: `torch.linalg.eigh`.
///
/// # Errors
/// The evaluation fails where a lower triangle has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn eigh(a: &Tensor) -> (Tensor, Tensor) {
    check::square("eigh", a);
    let [values, vectors] = apply(Eigh, &[a]);
    (values, vectors)
}

/// The eigenvalues of symmetric `[.., n, n]`, smallest first: `[.., n]`. Only the lower triangle is read.
///
/// f32 or f64. The gradient is symmetric, and right also where some are equal. PyTorch:
/// `torch.linalg.eigvalsh`.
///
/// # Errors
/// As [`eigh`].
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn eigvalsh(a: &Tensor) -> Tensor {
    check::square("eigvalsh", a);
    let [values] = apply(EigValsH, &[a]);
    values
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Eigh;

impl MatrixOp for Eigh {
    fn name(&self) -> &'static str {
        "eigh"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.rows]), operands[0].shape])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let memory = || Workspace::<T>::new(of.rows, true);
        let cost = 5 * of.rows * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [values, vectors]| {
            decompose(memory, of.matrix(of_a, index), values, Some(vectors))
        })
    }

    fn derivative(
        &self,
        _operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [values, vectors] = [&results[0], &results[1]];
        let differences = values.unsqueeze(-2) - values.unsqueeze(-1);
        let gaps = reciprocal_or_zero(&differences, &rounding_of(values));
        let from_vectors = t(vectors).matmul(&gradients[1]) * gaps;
        let middle = (&from_vectors + t(&from_vectors)) * 0.5 + with_diagonal(&gradients[0]);
        vec![Some(vectors.matmul(&middle).matmul(&t(vectors)))]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EigValsH;

impl MatrixOp for EigValsH {
    fn name(&self) -> &'static str {
        "eigvalsh"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.rows])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let memory = || Workspace::<T>::new(of.rows, false);
        let cost = 2 * of.rows * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [values]| {
            decompose(memory, of.matrix(of_a, index), values, None)
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [_, vectors] = apply(Eigh, &[&operands[0]]);
        vec![Some((&vectors * gradients[0].unsqueeze(-2)).matmul(&t(&vectors)))]
    }
}
