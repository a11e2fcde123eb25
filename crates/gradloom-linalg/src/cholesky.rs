//! Cholesky's factorisation.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{DType, Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::cholesky::{Workspace, factor};
use crate::kernels::triangular::Triangle;
use crate::matrices::{identity, strictly_lower, t};
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
    let op = Cholesky { check: true };
    let [factor] = if upper { apply(op, &[&t(a)]) } else { apply(op, &[a]) };
    if upper { t(&factor) } else { factor }
}

/// As [`cholesky`], with the order of the first leading minor that is not positive definite, `[..]` in i32, in
/// place of an error; 0 where there is none. The factor is NaN where there is one. PyTorch:
/// `torch.linalg.cholesky_ex`.
///
/// # Panics
/// As [`cholesky`].
#[track_caller]
pub fn cholesky_ex(a: &Tensor, upper: bool) -> (Tensor, Tensor) {
    check::square("cholesky_ex", a);
    let op = Cholesky { check: false };
    let [factor, order] = if upper { apply(op, &[&t(a)]) } else { apply(op, &[a]) };
    (if upper { t(&factor) } else { factor }, order.detach().cast(DType::I32))
}

/// The solution X of `A X = B` from the factor of [`cholesky`] for A: `[.., n, n], [.., n, k] -> [.., n, k]`,
/// batches broadcast. Only that triangle of the factor is read.
///
/// f32 or f64. A zero on the diagonal gives infinities or NaN, no error. PyTorch: `torch.cholesky_solve`,
/// which takes B first.
///
/// # Panics
/// If the factor is not square, shapes or dtypes do not fit, or the dtype is another.
#[track_caller]
pub fn cholesky_solve(factor: &Tensor, b: &Tensor, upper: bool) -> Tensor {
    let op = "cholesky_solve";
    let size = check::square(op, factor);
    let [rows, _] = check::matrix(op, b);
    check::same_dtype(op, factor, b);
    assert!(rows == size, "{op}: A {} and B {} do not fit A X = B", factor.shape(), b.shape());
    check::broadcast(op, &factor.shape()[..factor.rank() - 2], &b.shape()[..b.rank() - 2]);
    let first = Triangle { upper, unit: false, transpose: upper };
    let second = Triangle { transpose: !upper, ..first };
    triangular(factor, &triangular(factor, b, first), second)
}

/// The inverse of A from the factor of [`cholesky`] for it: `[.., n, n] -> [.., n, n]`. To apply it to
/// something, [`cholesky_solve`] is faster and more exact. PyTorch: `torch.cholesky_inverse`.
///
/// # Panics
/// As [`cholesky_solve`].
#[track_caller]
pub fn cholesky_inverse(factor: &Tensor, upper: bool) -> Tensor {
    let size = check::square("cholesky_inverse", factor);
    cholesky_solve(factor, &identity(size, factor), upper)
}

/// The lower factor; and, unless a matrix that has none is an error, the order of the first leading minor that
/// is not positive definite, in its dtype.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cholesky {
    /// Whether a matrix that is not positive definite is an error.
    check: bool,
}

impl MatrixOp for Cholesky {
    fn name(&self) -> &'static str {
        if self.check { "cholesky" } else { "cholesky_ex" }
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let (of, of_a) = (Matrices::of(&operands[0])?, operands[0].shape);
        Ok(if self.check { vec![of_a] } else { vec![of_a, of.batch] })
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
        if !self.check {
            return each(
                &of.batch,
                cost,
                elements(results)?,
                memory,
                |memory, index, [lower, order]| {
                    let failed = factor(memory, of.matrix(of_a, index), of.rows, lower);
                    order[0] = T::of(failed.unwrap_or_default() as f64);
                    if failed.is_some() {
                        lower.fill(T::of(f64::NAN));
                    }
                    Ok(())
                },
            );
        }
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [lower]| {
            match factor(memory, of.matrix(of_a, index), of.rows, lower) {
                None => Ok(()),
                Some(order) => Err(format!(
                    "it is not positive definite (the leading minor of order {order} is not)"
                )),
            }
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
