//! Determinants and their logarithms, by LU.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::cofactor::cofactors;
use crate::lu::{Factors, factors};
use crate::matrices::t;
use crate::op::{MatrixOp, apply};
use crate::real::Real;
use crate::solve::System;

/// The determinant: `[.., n, n] -> [..]`; 1 of a matrix without elements.
///
/// f32 or f64. The gradient is the matrix of cofactors, exact also for singular matrices; the second
/// derivative needs an inverse, and is infinite or NaN without one. NaN gives NaN. PyTorch:
/// `torch.linalg.det`.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn det(a: &Tensor) -> Tensor {
    check::square("det", a);
    let Factors { lu, order, pivots } = factors(&a.detach());
    let [det] = apply(Determinant, &[a, &lu, &order, &pivots]);
    det
}

/// The sign of the determinant and the logarithm of its absolute value: `[.., n, n] -> [..], [..]`; 0 and
/// negative infinity of a singular matrix, 1 and 0 of one without elements.
///
/// f32 or f64. The sign has no gradient; that of the logarithm is the transposed inverse, infinite or NaN
/// without one. NaN gives NaN. PyTorch: `torch.linalg.slogdet`.
///
/// # Panics
/// If the matrices are not square, or of another dtype.
#[track_caller]
pub fn slogdet(a: &Tensor) -> (Tensor, Tensor) {
    check::square("slogdet", a);
    let Factors { lu, order, pivots } = factors(&a.detach());
    let [sign, logarithm] = apply(LogDeterminant, &[a, &lu, &order, &pivots]);
    (sign.detach(), logarithm)
}

/// Shape of the batch of a matrix.
fn batch_of(operands: &[TensorType]) -> Result<Shape> {
    Ok(Matrices::of(&operands[0])?.batch)
}

/// The diagonal of U, with the sign of the permutation before it.
fn pivots_of<'a, T: Real>(
    of: &Matrices,
    operands: &[HostOperand<'a>],
    index: usize,
) -> impl Iterator<Item = T> + use<'a, T> {
    let exchanges = &operands[3].elements::<T>()[index * of.rows..][..of.rows];
    let moved = exchanges.iter().enumerate().filter(|(step, row)| row.wide() != *step as f64);
    let sign = if moved.count() % 2 == 0 { T::one() } else { -T::one() };
    let lu = of.matrix(operands[1].elements::<T>(), index);
    std::iter::once(sign).chain(lu.iter().step_by(of.rows + 1).copied())
}

/// `a [.., n, n]` and what [`factors`] gives for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Determinant;

impl MatrixOp for Determinant {
    fn name(&self) -> &'static str {
        "det"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        Ok(vec![batch_of(operands)?])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        each(
            &of.batch,
            of.rows,
            elements(results)?,
            || (),
            |_, index, [det]: [&mut [T]; 1]| {
                det[0] =
                    pivots_of::<T>(&of, operands, index).fold(T::one(), |det, pivot| det * pivot);
                Ok(())
            },
        )
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [a, lu, order, _] = operands else { return vec![None; operands.len()] };
        let [cofactors] = apply(Cofactors, &[a, lu, order, &results[0].detach()]);
        let gradient = gradients[0].unsqueeze(-1).unsqueeze(-1) * cofactors;
        vec![Some(gradient), None, None, None]
    }
}

/// `a [.., n, n]`, its factors, their order and its determinant `[..]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cofactors;

impl MatrixOp for Cofactors {
    fn name(&self) -> &'static str {
        "det"
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
        let [of_a, of_lu, of_order, of_det] =
            [0, 1, 2, 3].map(|number| operands[number].elements::<T>());
        let cost = of.rows * of.size();
        each(
            &of.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [result]: [&mut [T]; 1]| {
                let order = &of_order[index * of.rows..][..of.rows];
                let order: Vec<usize> = order.iter().map(|row| row.wide() as usize).collect();
                let (a, lu) = (of.matrix(of_a, index), of.matrix(of_lu, index));
                cofactors(a, of.rows, lu, &order, of_det[index], result)
            },
        )
    }

    /// `C = det(A) A^-T`, so `dC = <C, dA> A^-T - C dA^T A^-T`.
    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (gradient, cofactors) = (&gradients[0], &results[0]);
        let inverse = t(&System::new(&operands[0]).inverse_unchecked("det"));
        let along = (gradient * cofactors).sum_keepdim([-2, -1]);
        let turned = inverse.matmul(&t(gradient)).matmul(cofactors);
        vec![Some(along * inverse - turned), None, None, None]
    }
}

/// `a [.., n, n]` and what [`factors`] gives for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LogDeterminant;

impl MatrixOp for LogDeterminant {
    fn name(&self) -> &'static str {
        "slogdet"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let batch = batch_of(operands)?;
        Ok(vec![batch, batch])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let results = elements(results)?;
        each(
            &of.batch,
            of.rows,
            results,
            || (),
            |_, index, [sign, sum]: [&mut [T]; 2]| {
                let (mut negative, mut zero, mut logarithm) = (false, false, 0.0);
                for pivot in pivots_of::<T>(&of, operands, index) {
                    negative ^= pivot < T::zero();
                    zero |= pivot == T::zero();
                    logarithm += pivot.wide().abs().ln();
                }
                sum[0] = T::of(logarithm);
                sign[0] = match (zero, negative) {
                    _ if logarithm.is_nan() => T::of(f64::NAN),
                    (true, _) => T::zero(),
                    (false, true) => -T::one(),
                    (false, false) => T::one(),
                };
                Ok(())
            },
        )
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [a, lu, order, pivots] = operands else { return vec![None; operands.len()] };
        let factors = Factors { lu: lu.clone(), order: order.clone(), pivots: pivots.clone() };
        let inverse = t(&System::of(a, &factors).inverse_unchecked("slogdet"));
        let gradient = gradients[1].unsqueeze(-1).unsqueeze(-1) * inverse;
        vec![Some(gradient), None, None, None]
    }
}
