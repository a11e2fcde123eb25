//! Roots of symmetric matrices and polar factors, which are differentiated by an equation of Sylvester's.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Error, Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::eigh::{Workspace, decompose};
use crate::kernels::svd;
use crate::matrices::t;
use crate::op::{MatrixOp, apply};
use crate::real::{Real, rows_of, rows_of_mut};
use crate::solve::solve_right;
use faer::linalg::matmul::matmul;
use faer::linalg::svd::ComputeSvdVectors;
use faer::{Accum, Par};

/// The symmetric S with `S S = A` whose eigenvalues are not negative: `[.., n, n] -> [.., n, n]`, of symmetric
/// A without negative eigenvalues; those below zero give NaN. Only the lower triangle of A is read.
///
/// f32 or f64. Gradients are symmetric, right also where eigenvalues are equal, and infinite or NaN where two
/// are zero. May be differentiated any number of times. PyTorch: `torch.linalg.matrix_sqrth`.
///
/// # Errors
/// The evaluation fails where a lower triangle has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn matrix_sqrth(a: &Tensor) -> Tensor {
    check::square("matrix_sqrth", a);
    let [root] = apply(Root, &[a]);
    root
}

/// `A = U H` of `[.., m, n]` with m >= n: `U [.., m, n]` with orthonormal columns, the nearest such matrix to
/// A, and the symmetric `H [.., n, n]` without negative eigenvalues.
///
/// f32 or f64. May be differentiated any number of times where the columns of A are independent. PyTorch:
/// `torch.linalg.polar`.
///
/// # Errors
/// The evaluation fails where a matrix has elements that are NaN or infinite, and says which.
///
/// # Panics
/// If A has more columns than rows, is no matrix, or of another dtype.
#[track_caller]
pub fn polar(a: &Tensor) -> (Tensor, Tensor) {
    let [rows, columns] = check::matrix("polar", a);
    assert!(rows >= columns, "polar: {} has more columns than rows; transpose it", a.shape());
    let [u] = apply(Unitary, &[a]);
    let h = stretch(&u, a);
    (u, h)
}

/// The symmetric part of `U^T A`.
#[track_caller]
fn stretch(u: &Tensor, a: &Tensor) -> Tensor {
    let product = t(u).matmul(a);
    (&product + t(&product)) * 0.5
}

/// `V diag(f(W)) V^T` of the eigenvalues W of one symmetric matrix, of which the lower triangle is read.
pub(crate) fn of_values<T: Real>(
    memory: &mut Workspace<T>,
    a: &[T],
    size: usize,
    result: &mut [T],
    function: impl Fn(&mut [T]),
) -> Result<(), String> {
    let (mut values, mut vectors) = (vec![T::zero(); size], vec![T::zero(); size * size]);
    decompose(memory, a, &mut values, Some(&mut vectors))?;
    function(&mut values);
    let mut scaled = vectors.clone();
    for row in scaled.chunks_exact_mut(size.max(1)) {
        row.iter_mut().zip(&values).for_each(|(element, &value)| *element *= value);
    }
    let (scaled, vectors) = (rows_of(&scaled, size, size), rows_of(&vectors, size, size));
    let result = rows_of_mut(result, size, size);
    matmul(result, Accum::Replace, scaled, vectors.transpose(), T::one(), Par::Seq);
    Ok(())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Root;

impl MatrixOp for Root {
    fn name(&self) -> &'static str {
        "matrix_sqrth"
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
        let memory = || Workspace::<T>::new(of.rows, true);
        let cost = 6 * of.rows * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [root]| {
            of_values(memory, of.matrix(of_a, index), of.rows, root, |values| {
                values.iter_mut().for_each(|value| *value = T::of(value.wide().sqrt()));
            })
        })
    }

    /// `S dS + dS S = dA`.
    fn derivative(
        &self,
        _operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let symmetric = (&gradients[0] + t(&gradients[0])) * 0.5;
        vec![Some(sylvester(&results[0], &symmetric))]
    }
}

/// The solution X of `S X + X S = B` for a symmetric S whose eigenvalues are not negative: both `[.., n, n]`.
#[track_caller]
fn sylvester(s: &Tensor, b: &Tensor) -> Tensor {
    let [x] = apply(Sylvester, &[s, b]);
    x
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Sylvester;

impl MatrixOp for Sylvester {
    fn name(&self) -> &'static str {
        "sylvester"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        if operands[0].shape != operands[1].shape {
            return Err(Error::shape(format!("operands {} and {}", operands[0], operands[1])));
        }
        Ok(vec![operands[1].shape])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let (of_s, of_b) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let size = of.rows;
        let memory = || (Workspace::<T>::new(size, true), vec![T::zero(); of.size()]);
        let cost = 9 * size * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [x]: [&mut [T]; 1]| {
            let (workspace, vectors) = memory;
            let mut values = vec![T::zero(); size];
            decompose(workspace, of.matrix(of_s, index), &mut values, Some(vectors))?;
            let v = rows_of(vectors, size, size);
            let b = rows_of(of.matrix(of_b, index), size, size);
            // V^T B V, divided by the sums of two eigenvalues, and back.
            let mut half = vec![T::zero(); of.size()];
            let (one, par) = (T::one(), Par::Seq);
            matmul(rows_of_mut(&mut half, size, size), Accum::Replace, v.transpose(), b, one, par);
            matmul(
                rows_of_mut(x, size, size),
                Accum::Replace,
                rows_of(&half, size, size),
                v,
                one,
                par,
            );
            for (row, &first) in x.chunks_exact_mut(size.max(1)).zip(&values) {
                row.iter_mut()
                    .zip(&values)
                    .for_each(|(element, &second)| *element /= first + second);
            }
            matmul(
                rows_of_mut(&mut half, size, size),
                Accum::Replace,
                v,
                rows_of(x, size, size),
                one,
                par,
            );
            matmul(
                rows_of_mut(x, size, size),
                Accum::Replace,
                rows_of(&half, size, size),
                v.transpose(),
                one,
                par,
            );
            Ok(())
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (s, x) = (&operands[0], &results[0]);
        let of_b = sylvester(s, &gradients[0]);
        let of_s = -(of_b.matmul(&t(x)) + t(x).matmul(&of_b));
        let symmetric = (&of_s + t(&of_s)) * 0.5;
        vec![Some(symmetric), Some(of_b)]
    }
}

/// U of [`polar`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Unitary;

impl MatrixOp for Unitary {
    fn name(&self) -> &'static str {
        "polar"
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
        let (rows, size) = (of.rows, of.columns);
        let memory = || svd::Workspace::<T>::new(rows, size, ComputeSvdVectors::Thin);
        let cost = 12 * of.least() * of.size();
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [result]| {
            let mut values = vec![T::zero(); size];
            let (mut u, mut v) = (vec![T::zero(); of.size()], vec![T::zero(); size * size]);
            svd::decompose(memory, of.matrix(of_a, index), &mut values, Some([&mut u, &mut v]))?;
            let (u, v) = (rows_of(&u, rows, size), rows_of(&v, size, size));
            matmul(rows_of_mut(result, rows, size), Accum::Replace, u, v, T::one(), Par::Seq);
            Ok(())
        })
    }

    /// `U^T dU` is the skew X of `H X + X H = U^T dA - dA^T U`, and what is outside of U's columns is that of
    /// `dA H^-1`.
    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (a, u, gradient) = (&operands[0], &results[0], &gradients[0]);
        let h = stretch(u, a);
        let inside = t(u).matmul(gradient);
        let skew = sylvester(&h, &(&inside - t(&inside)));
        let mut of_a = u.matmul(&skew);
        if a.size(-2) > a.size(-1) {
            let outside = gradient - u.matmul(&inside);
            of_a = of_a + solve_right(&h, &outside);
        }
        vec![Some(of_a)]
    }
}
