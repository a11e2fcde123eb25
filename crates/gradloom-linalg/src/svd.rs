//! Singular value decompositions.

use faer::linalg::svd::ComputeSvdVectors;
use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::svd::{Workspace, decompose};
use crate::matrices::{reciprocal_or_zero, rounding_of, t, with_diagonal};
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// `A = U diag(S) V^T` of `[.., m, n]`: `U [.., m, k]`, `S [.., k]`, largest first, and `V^T [.., k, n]`,
/// where k is the smaller of m and n; with `full_matrices` U is `[.., m, m]` and `V^T` is `[.., n, n]`.
///
/// f32 or f64. Singular vectors are unique but for their signs, and not even that where singular values
/// are equal. The gradient of a loss that depends on such a choice is meaningless; what it owes to
/// singular values that are equal to within rounding, or to the reciprocal of zero, is taken as zero
/// (PyTorch: infinite or NaN), so that a loss on S alone has its right gradient also there.
/// For S alone [`svdvals`] is faster. The further columns of full matrices have no gradient.
/// PyTorch: `torch.linalg.svd`.
///
/// # Errors
/// The evaluation fails where a matrix has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn svd(a: &Tensor, full_matrices: bool) -> (Tensor, Tensor, Tensor) {
    let [rows, columns] = check::matrix("svd", a);
    let full = full_matrices && rows != columns;
    let [u, s, v] = apply(Svd { full }, &[a]);
    (u, s, v)
}

/// The singular values of `[.., m, n]`, largest first: `[.., k]`, where k is the smaller of m and n.
///
/// f32 or f64. The gradient is right also where some are equal. PyTorch: `torch.linalg.svdvals`.
///
/// # Errors
/// As [`svd`].
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn svdvals(a: &Tensor) -> Tensor {
    check::matrix("svdvals", a);
    let [values] = apply(SvdVals, &[a]);
    values
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Svd {
    full: bool,
}

impl MatrixOp for Svd {
    fn name(&self) -> &'static str {
        "svd"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        let size = of.least();
        let (width, height) = if self.full { (of.rows, of.columns) } else { (size, size) };
        Ok(vec![of.with(&[of.rows, width]), of.with(&[size]), of.with(&[height, of.columns])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let vectors = if self.full { ComputeSvdVectors::Full } else { ComputeSvdVectors::Thin };
        let memory = || Workspace::<T>::new(of.rows, of.columns, vectors);
        let cost = 10 * of.least() * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [u, s, v]| {
            decompose(memory, of.matrix(of_a, index), s, Some([u, v]))
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let size = results[1].size(-1);
        let thin = |u: &Tensor, v: &Tensor| (u.narrow(-1, 0, size), v.narrow(-2, 0, size));
        let (u, v) = thin(&results[0], &results[2]);
        let (of_u, of_v) = thin(&gradients[0], &gradients[2]);
        let (s, of_s) = (&results[1], &gradients[1]);
        let (row, column) = (s.unsqueeze(-2), s.unsqueeze(-1));
        let none = Tensor::scalar(0.0, s.dtype(), s.device());
        // 1 / (s_j^2 - s_i^2)
        let gaps = reciprocal_or_zero(&(&row - &column), &rounding_of(s))
            * reciprocal_or_zero(&(&row + &column), &none);
        let skew = |x: &Tensor| x - t(x);
        let from_u = skew(&t(&u).matmul(&of_u)) * &row;
        let from_v = skew(&v.matmul(&t(&of_v))) * &column;
        let middle = (from_u + from_v) * gaps + with_diagonal(of_s);
        let mut gradient = u.matmul(&middle).matmul(&v);
        let inverse = reciprocal_or_zero(s, &none);
        let [rows, columns] = [operands[0].size(-2), operands[0].size(-1)];
        if rows > size {
            let outside = &of_u - u.matmul(&t(&u).matmul(&of_u));
            gradient = gradient + (outside * inverse.unsqueeze(-2)).matmul(&v);
        }
        if columns > size {
            let outside = &of_v - of_v.matmul(&t(&v)).matmul(&v);
            gradient = gradient + u.matmul(&(outside * inverse.unsqueeze(-1)));
        }
        vec![Some(gradient)]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct SvdVals;

impl MatrixOp for SvdVals {
    fn name(&self) -> &'static str {
        "svdvals"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.least()])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let memory = || Workspace::<T>::new(of.rows, of.columns, ComputeSvdVectors::No);
        let cost = 3 * of.least() * of.size();
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
        let [u, _, v] = apply(Svd { full: false }, &[&operands[0]]);
        vec![Some((u * gradients[0].unsqueeze(-2)).matmul(&v))]
    }
}
