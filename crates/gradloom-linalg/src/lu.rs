//! LU factorisations with partial pivoting.

use gradloom_tensor::custom_op::{HostOperand, HostResult, TensorType};
use gradloom_tensor::{DType, Result, Shape, Tensor};

use crate::batch::{Matrices, each, elements};
use crate::check;
use crate::kernels::lu::{factor, permutation};
use crate::kernels::triangular::Triangle;
use crate::matrices::{diagonal, identity, inverse_order, strictly_lower, t, take_rows};
use crate::op::{MatrixOp, apply};
use crate::real::{Real, transpose};
use crate::triangular::triangular;

/// `A = P L U`: `[.., m, n]` gives a permutation P `[.., m, m]`, a lower L `[.., m, k]` with ones on its
/// diagonal and an upper U `[.., k, n]`, where k is the smaller of m and n.
///
/// f32 or f64; any matrix has such factors, also a singular one, and NaN gives NaN. First and second
/// derivatives of L and U need the first k rows of `P^T A` to have full rank. PyTorch: `torch.linalg.lu`.
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn lu(a: &Tensor) -> (Tensor, Tensor, Tensor) {
    let [rows, columns] = check::matrix("lu", a);
    let size = rows.min(columns);
    let Factors { lu, order, .. } = factors(a);
    unpacked(&lu, &order, [rows, columns], size)
}

/// P, L and U of factors in one matrix.
#[track_caller]
fn unpacked(
    lu: &Tensor,
    order: &Tensor,
    [rows, _]: [usize; 2],
    size: usize,
) -> (Tensor, Tensor, Tensor) {
    let lower = strictly_lower(&lu.narrow(-1, 0, size)) + unit_diagonal(rows, size, lu);
    let upper = lu.narrow(-2, 0, size).triu(0);
    let row = Tensor::iota([rows, rows], 0, lu.device());
    let places = order.cast(DType::I32).unsqueeze(-2);
    (places.eq(row).cast(lu.dtype()).detach(), lower, upper)
}

/// P, L and U as [`lu`] gives them, of what [`lu_factor`] gives: `[.., m, n], [.., k] -> [.., m, m],
/// [.., m, k], [.., k, n]`. f32 or f64. PyTorch: `torch.lu_unpack`.
///
/// # Errors
/// The evaluation fails where a pivot is no row of its matrix.
///
/// # Panics
/// If the pivots are not i32, or shapes or dtypes do not fit.
#[track_caller]
pub fn lu_unpack(lu: &Tensor, pivots: &Tensor) -> (Tensor, Tensor, Tensor) {
    let [rows, columns] = check::matrix("lu_unpack", lu);
    let size = rows.min(columns);
    let order = order_of("lu_unpack", lu, pivots, [rows, size]);
    unpacked(lu, &order, [rows, columns], size)
}

/// The order of rows that exchanges `[.., k]` give, in the dtype of the factors.
#[track_caller]
fn order_of(op: &str, lu: &Tensor, pivots: &Tensor, [rows, size]: [usize; 2]) -> Tensor {
    assert!(pivots.dtype() == DType::I32, "{op}: pivots are i32, not {}", pivots.dtype());
    let batch = &lu.shape()[..lu.rank() - 2];
    let expected: Shape = batch.iter().copied().chain([size]).collect();
    assert!(*pivots.shape() == expected, "{op}: pivots {}, not {expected}", pivots.shape());
    let exchanges = (pivots - 1).cast(lu.dtype());
    let [order] = apply(Order { rows }, &[&exchanges]);
    order
}

/// `[rows, columns]` with ones on the diagonal.
#[track_caller]
fn unit_diagonal(rows: usize, columns: usize, like: &Tensor) -> Tensor {
    identity(rows, like).narrow(1, 0, columns)
}

/// The factors of [`lu`] in one matrix `[.., m, n]`, L without its diagonal below U, and the exchanges of
/// rows `[.., k]`, i32: row `i` with row `pivots[i] - 1`, as LAPACK counts. For [`lu_solve`].
///
/// A singular matrix is no error here; [`lu_factor_ex`] says where it is. PyTorch: `torch.linalg.lu_factor`.
///
/// # Panics
/// As [`lu`].
#[track_caller]
pub fn lu_factor(a: &Tensor) -> (Tensor, Tensor) {
    check::matrix("lu_factor", a);
    let Factors { lu, pivots, .. } = factors(a);
    (lu, pivots.cast(DType::I32) + 1)
}

/// As [`lu_factor`], with the number of the first pivot that is zero, `[..]` in i32, or 0 where none is.
/// PyTorch: `torch.linalg.lu_factor_ex`.
///
/// # Panics
/// As [`lu`].
#[track_caller]
pub fn lu_factor_ex(a: &Tensor) -> (Tensor, Tensor, Tensor) {
    check::matrix("lu_factor_ex", a);
    let Factors { lu, pivots, .. } = factors(a);
    let zero = zero_pivot(&lu);
    (lu, pivots.cast(DType::I32) + 1, zero)
}

/// The number of the first pivot that is zero, counted from one, or 0 where none is: `[..]` in i32.
#[track_caller]
pub(crate) fn zero_pivot(lu: &Tensor) -> Tensor {
    let is_zero = diagonal(&lu.detach()).eq(0.0);
    let size = is_zero.size(-1);
    if size == 0 {
        return is_zero.count_nonzero(-1);
    }
    let number = Tensor::arange(size, lu.device()) + 1;
    let beyond = size as i64 + 1;
    let first = is_zero.select(number, beyond).min(-1);
    first.lt(beyond).select(&first, 0)
}

/// The solution of `X A = B` (of `X A^T = B` if `adjoint`) from what [`lu_factor`] gives for A:
/// `[.., n, n], [.., n], [.., k, n] -> [.., k, n]`; otherwise as [`lu_solve`]. PyTorch:
/// `torch.linalg.lu_solve(left=False)`.
///
/// # Panics
/// As [`lu_solve`].
#[track_caller]
pub fn lu_solve_right(lu: &Tensor, pivots: &Tensor, b: &Tensor, adjoint: bool) -> Tensor {
    let size = check::square("lu_solve_right", lu);
    let [_, columns] = check::matrix("lu_solve_right", b);
    assert!(
        columns == size,
        "lu_solve_right: A {} and B {} do not fit X A = B",
        lu.shape(),
        b.shape()
    );
    t(&lu_solve(lu, pivots, &t(b), !adjoint))
}

/// The solution of `A X = B` (of `A^T X = B` if `adjoint`) from what [`lu_factor`] gives for A:
/// `[.., n, n], [.., n], [.., n, k] -> [.., n, k]`, batches broadcast.
///
/// f32 or f64. A singular A gives infinities or NaN, no error; [`solve`](crate::solve()) has one. May be
/// differentiated in `lu` and `b`. PyTorch: `torch.linalg.lu_solve`.
///
/// # Panics
/// If `lu` is not square, the pivots are not i32, or shapes or dtypes do not fit.
#[track_caller]
pub fn lu_solve(lu: &Tensor, pivots: &Tensor, b: &Tensor, adjoint: bool) -> Tensor {
    let op = "lu_solve";
    let size = check::square(op, lu);
    let [rows, columns] = check::matrix(op, b);
    check::same_dtype(op, lu, b);
    assert!(rows == size, "{op}: A {} and B {} do not fit A X = B", lu.shape(), b.shape());
    let batch = check::broadcast(op, &lu.shape()[..lu.rank() - 2], &b.shape()[..b.rank() - 2]);
    let full = |last: &[usize]| batch.iter().chain(last).copied().collect::<Shape>();
    let order = order_of(op, lu, pivots, [size, size]).broadcast_to(full(&[size]));
    let b = b.broadcast_to(full(&[size, columns]));
    let lower = Triangle { upper: false, unit: true, transpose: adjoint };
    let upper = Triangle { upper: true, unit: false, transpose: adjoint };
    if adjoint {
        let x = triangular(lu, &triangular(lu, &b, upper), lower);
        take_rows(&x, &inverse_order(&order))
    } else {
        triangular(lu, &triangular(lu, &take_rows(&b, &order), lower), upper)
    }
}

/// What an LU factorisation gives.
pub(crate) struct Factors {
    /// L below U.
    pub(crate) lu: Tensor,
    /// `order[i]` is the row of A that is row `i` of `L U`, in the dtype of A.
    pub(crate) order: Tensor,
    /// The row that was exchanged with row `i`, counted from zero, in the dtype of A.
    pub(crate) pivots: Tensor,
}

/// The factors of any matrix.
#[track_caller]
pub(crate) fn factors(a: &Tensor) -> Factors {
    let [lu, order, pivots] = apply(LuFactor, &[a]);
    Factors { lu, order: order.detach(), pivots: pivots.detach() }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct LuFactor;

impl MatrixOp for LuFactor {
    fn name(&self) -> &'static str {
        "lu_factor"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let of = Matrices::of(&operands[0])?;
        Ok(vec![operands[0].shape, of.with(&[of.rows]), of.with(&[of.least()])])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let of = Matrices::of(&operands[0].of)?;
        let of_a = operands[0].elements::<T>();
        let memory = || (vec![T::zero(); of.size()], vec![0; of.least()]);
        let cost = of.least() * of.size() / 2;
        each(&of.batch, cost, elements(results)?, memory, |memory, index, [lu, order, pivots]| {
            let (columns, exchanges) = memory;
            transpose(of.matrix(of_a, index), of.columns, columns);
            factor(columns, of.rows, of.columns, exchanges);
            transpose(columns, of.rows, lu);
            write_indices(pivots, exchanges);
            write_indices(order, &permutation(exchanges.iter().copied(), of.rows));
            Ok(())
        })
    }

    fn derivative(
        &self,
        operands: &[Tensor],
        results: &[Tensor],
        gradients: &[Tensor],
    ) -> Vec<Option<Tensor>> {
        let (a, gradient) = (&operands[0], &gradients[0]);
        let (rows, columns) = (a.size(-2), a.size(-1));
        let size = rows.min(columns);
        let square = results[0].narrow(-2, 0, size).narrow(-1, 0, size);
        let lower = strictly_lower(&square) + identity(size, a);
        let upper = square.triu(0);
        let first = gradient.narrow(-2, 0, size).narrow(-1, 0, size);
        let mut of_lower = t(&lower).matmul(&strictly_lower(&first));
        let mut of_upper = first.triu(0).matmul(&t(&upper));
        if columns > size {
            let (u, g) = (&results[0], gradient);
            let rest = columns - size;
            let (u, g) = (u.narrow(-1, size, rest), g.narrow(-1, size, rest));
            of_lower = of_lower - g.matmul(&t(&u));
        }
        if rows > size {
            let (l, g) = (&results[0], gradient);
            let (l, g) = (l.narrow(-2, size, rows - size), g.narrow(-2, size, rows - size));
            of_upper = of_upper - t(&l).matmul(&g);
        }
        let middle = strictly_lower(&of_lower) + of_upper.triu(0);
        let unit = Triangle { upper: false, unit: true, transpose: true };
        // Times the inverse of U^T from the right.
        let behind = |x: &Tensor| {
            let triangle = Triangle { upper: true, unit: false, transpose: false };
            t(&triangular(&square, &t(x), triangle))
        };
        let mut of_rows = behind(&triangular(&square, &middle, unit));
        if columns > size {
            let g = gradient.narrow(-1, size, columns - size);
            of_rows = Tensor::concat(&[of_rows, triangular(&square, &g, unit)], -1);
        }
        if rows > size {
            let g = gradient.narrow(-2, size, rows - size);
            of_rows = Tensor::concat(&[of_rows, behind(&g)], -2);
        }
        vec![Some(take_rows(&of_rows, &inverse_order(&results[1].detach())))]
    }
}

fn write_indices<T: Real>(to: &mut [T], from: &[usize]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::of(from as f64));
}

/// Exchanges of rows `[.., k]`, one after another, as the order of all rows that they give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Order {
    rows: usize,
}

impl MatrixOp for Order {
    fn name(&self) -> &'static str {
        "lu_solve"
    }

    fn shapes(&self, operands: &[TensorType]) -> Result<Vec<Shape>> {
        let shape = operands[0].shape;
        Ok(vec![shape.with(shape.rank() - 1, self.rows)])
    }

    fn run<T: Real>(
        &self,
        operands: &[HostOperand<'_>],
        results: &mut [HostResult<'_>],
    ) -> Result<()> {
        let shape = operands[0].of.shape;
        let batch = Shape::new(&shape[..shape.rank() - 1]);
        let size = shape[shape.rank() - 1];
        let pivots = operands[0].elements::<T>();
        each(
            &batch,
            size,
            elements(results)?,
            || (),
            |_, index, [order]: [&mut [T]; 1]| {
                let pivots = pivots[index * size..][..size].iter().map(|pivot| pivot.wide());
                if let Some(pivot) =
                    pivots.clone().find(|pivot| !(0.0..self.rows as f64).contains(pivot))
                {
                    return Err(format!("a pivot is {}, not in 1..={}", pivot + 1.0, self.rows));
                }
                write_indices(order, &permutation(pivots.map(|pivot| pivot as usize), self.rows));
                Ok(())
            },
        )
    }
}
