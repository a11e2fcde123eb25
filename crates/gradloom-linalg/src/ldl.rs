//! Factors of symmetric matrices that need not be definite.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{DType, Error, Result, Shape, Tensor};

use crate::batch::{Matrices, broadcast_numbers, each, elements};
use crate::check;
use crate::kernels::bunch_kaufman::{factor, solve};
use crate::op::{MatrixOp, apply};
use crate::real::Real;

/// `A = L D L^T` of symmetric `[.., n, n]`, rows and columns exchanged on the way: one matrix `[.., n, n]` with
/// D's blocks of one or two rows on its diagonal and L, without its diagonal, below, and the exchanges
/// `[.., n]`, i32, as LAPACK's `sytrf` has them. For [`ldl_solve`]; only the lower triangle of A is read.
///
/// f32 or f64; Bunch and Kaufman's pivots. A singular matrix is no error here, [`ldl_factor_ex`] says where it
/// is. Not differentiable: [`solve`](crate::solve()) is. PyTorch: `torch.linalg.ldl_factor`.
///
/// # Panics
/// If the matrices are not square, or of another dtype; and its gradient.
#[track_caller]
pub fn ldl_factor(a: &Tensor) -> (Tensor, Tensor) {
    let (factors, pivots, _) = factors("ldl_factor", a);
    (factors, pivots)
}

/// As [`ldl_factor`], with the number of the first block that is zero, `[..]` in i32, or 0 where none is.
/// PyTorch: `torch.linalg.ldl_factor_ex`.
///
/// # Panics
/// As [`ldl_factor`].
#[track_caller]
pub fn ldl_factor_ex(a: &Tensor) -> (Tensor, Tensor, Tensor) {
    factors("ldl_factor_ex", a)
}

#[track_caller]
fn factors(op: &str, a: &Tensor) -> (Tensor, Tensor, Tensor) {
    check::square(op, a);
    let [factors, pivots, zero] = apply(LdlFactor, &[a]);
    (factors, pivots.detach().cast(DType::I32), zero.detach().cast(DType::I32))
}

/// The solution of `A X = B` from what [`ldl_factor`] gives for A: `[.., n, n], [.., n], [.., n, k] ->
/// [.., n, k]`, batches broadcast.
///
/// f32 or f64. A singular A gives infinities or NaN, no error. May be differentiated in `b`. PyTorch:
/// `torch.linalg.ldl_solve`.
///
/// # Errors
/// The evaluation fails where a pivot is no row of its matrix.
///
/// # Panics
/// If the pivots are not i32, or shapes or dtypes do not fit; and its gradient in the factors.
#[track_caller]
pub fn ldl_solve(factors: &Tensor, pivots: &Tensor, b: &Tensor) -> Tensor {
    let op = "ldl_solve";
    let size = check::square(op, factors);
    let [rows, columns] = check::matrix(op, b);
    check::same_dtype(op, factors, b);
    assert!(rows == size, "{op}: A {} and B {} do not fit A X = B", factors.shape(), b.shape());
    assert!(pivots.dtype() == DType::I32, "{op}: pivots are i32, not {}", pivots.dtype());
    let batch = &factors.shape()[..factors.rank() - 2];
    let expected: Shape = batch.iter().copied().chain([size]).collect();
    assert!(*pivots.shape() == expected, "{op}: pivots {}, not {expected}", pivots.shape());
    let batch = check::broadcast(op, batch, &b.shape()[..b.rank() - 2]);
    let full = |last: &[usize]| batch.iter().chain(last).copied().collect::<Shape>();
    let pivots = pivots.cast(factors.dtype()).broadcast_to(full(&[size])).unsqueeze(-1);
    let factors = factors.broadcast_to(full(&[size, size]));
    // One operand, so that there is one place to say that it is not differentiated.
    let [system] = apply(Factored, &[&factors, &pivots]);
    let [x] = apply(LdlSolve, &[&system, &b.broadcast_to(full(&[size, columns]))]);
    x
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LdlFactor;

impl MatrixOp for LdlFactor {
    fn name(&self) -> &'static str {
        "ldl_factor"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![operands[0].shape, of.with(&[of.rows]), of.batch])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let cost = of.rows * of.size() / 6;
        each(
            &of.batch,
            cost,
            elements(results)?,
            || (),
            |_, index, [factors, pivots, zero]| {
                factors.copy_from_slice(of.matrix(of_a, index));
                for (row, elements) in factors.chunks_exact_mut(of.columns.max(1)).enumerate() {
                    elements[row + 1..].fill(T::zero());
                }
                zero[0] = T::of(factor(factors, of.rows, pivots) as f64);
                Ok(())
            },
        )
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], _: &[Tensor]) -> Vec<Option<Tensor>> {
        panic!("ldl_factor: the factors have no derivative; use solve, or detach the matrix")
    }
}

/// Factors and their exchanges `[.., n, 1]` beside one another: `[.., n, n + 1]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Factored;

impl MatrixOp for Factored {
    fn name(&self) -> &'static str {
        "ldl_solve"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![of.with(&[of.rows, of.columns + 1])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let (of_a, of_pivots) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let [all] = elements(results)?;
        for (number, row) in all.chunks_exact_mut(of.columns + 1).enumerate() {
            row[..of.columns].copy_from_slice(&of_a[number * of.columns..][..of.columns]);
            row[of.columns] = of_pivots[number];
        }
        Ok(())
    }

    fn derivative(&self, _: &[Tensor], _: &[Tensor], _: &[Tensor]) -> Vec<Option<Tensor>> {
        panic!("ldl_solve: it has a derivative in b alone; detach the factors")
    }
}

/// What [`Factored`] gives and `b [.., n, k]` of the same batch: `[.., n, k]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LdlSolve;

impl MatrixOp for LdlSolve {
    fn name(&self) -> &'static str {
        "ldl_solve"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let (a, b) = (Matrices::of(&operands[0])?, Matrices::of(&operands[1])?);
        if a.batch != b.batch || a.rows != b.rows {
            return Err(Error::shape(format!("operands {} and {}", operands[0], operands[1])));
        }
        Ok(vec![operands[1].shape])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let (a, b) = (Matrices::of(&operands[0].of)?, Matrices::of(&operands[1].of)?);
        let (of_a, of_b) = (operands[0].elements::<T>(), operands[1].elements::<T>());
        let size = a.rows;
        let numbers = broadcast_numbers(&a.batch, &b.batch);
        let memory = || (vec![T::zero(); size * size], vec![0i64; size]);
        let cost = 2 * b.rows * b.size();
        each(&b.batch, cost, elements(results)?, memory, |memory, index, [x]: [&mut [T]; 1]| {
            let (factors, pivots) = memory;
            let rows = a.matrix(of_a, numbers[index]).chunks_exact(size + 1);
            for (number, row) in rows.enumerate() {
                factors[number * size..][..size].copy_from_slice(&row[..size]);
                pivots[number] = row[size].wide() as i64;
            }
            check_pivots(pivots)?;
            x.copy_from_slice(b.matrix(of_b, index));
            solve(factors, pivots, size, x, b.columns);
            Ok(())
        })
    }

    /// A is symmetric.
    fn derivative(
        &self,
        operands: &[Tensor],
        _results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let [of_b] = apply(LdlSolve, &[&operands[0], &gradients[0]]);
        vec![Some(operands[0].zeros_like()), Some(of_b)]
    }
}

/// Each is a row, and two that are negative stand together.
fn check_pivots(pivots: &[i64]) -> Result<(), String> {
    let size = pivots.len();
    let mut step = 0;
    while step < size {
        let pivot = pivots[step];
        let paired = pivot > 0 || pivots.get(step + 1) == Some(&pivot);
        if !(1..=size as u64).contains(&pivot.unsigned_abs()) || !paired {
            return Err(format!("pivot {} is {pivot}, which ldl_factor does not give", step + 1));
        }
        step += if pivot < 0 { 2 } else { 1 };
    }
    Ok(())
}
