//! Norms of vectors and matrices, and condition numbers.
//!
//! All are made of ordinary ops and singular values. Where a norm has no derivative, at zero, the gradient
//! is zero, as in PyTorch.

use gradloom_tensor::op::Axes;
use gradloom_tensor::{IntoAxes, Tensor};

use crate::check;
use crate::lu::factors;
use crate::matrices::diagonal;
use crate::solve::System;
use crate::svd::svdvals;

/// A norm of matrices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MatrixNorm {
    /// The root of the sum of squares. PyTorch: `"fro"`.
    #[default]
    Frobenius,
    /// The sum of singular values. PyTorch: `"nuc"`.
    Nuclear,
    /// The largest sum of absolute values of a column. PyTorch: `1`.
    One,
    /// The smallest sum of absolute values of a column. PyTorch: `-1`.
    MinusOne,
    /// The largest singular value. PyTorch: `2`.
    Two,
    /// The smallest singular value. PyTorch: `-2`.
    MinusTwo,
    /// The largest sum of absolute values of a row. PyTorch: `inf`.
    Infinity,
    /// The smallest sum of absolute values of a row. PyTorch: `-inf`.
    MinusInfinity,
}

/// The 2-norm of all elements: `[..] -> []`. Floats. PyTorch: `torch.linalg.norm`.
///
/// # Panics
/// On other dtypes.
#[track_caller]
pub fn norm(x: &Tensor) -> Tensor {
    check::any_float("norm", x);
    root_of_squares(&x.wide(), ..).cast(x.dtype())
}

/// The norm of order `order` over axes, which are dropped: `sum(|x|^order)^(1/order)`, the largest or
/// smallest absolute value for infinities, the number of elements that are not zero for 0.
///
/// Floats; of f16 and bf16 computed in f32. PyTorch: `torch.linalg.vector_norm`.
///
/// # Panics
/// On other dtypes, on axes out of range, and without elements if the order is negative or infinite.
#[track_caller]
pub fn vector_norm(x: &Tensor, order: f64, axes: impl IntoAxes) -> Tensor {
    let op = "vector_norm";
    check::any_float(op, x);
    let (dtype, x) = (x.dtype(), &x.wide());
    let axes = match axes.resolve(op, x.rank()) {
        Ok(axes) => axes,
        Err(error) => panic!("{error}"),
    };
    let count: usize = axes.iter().map(|axis| x.shape()[axis]).product();
    assert!(
        count > 0 || (0.0..f64::INFINITY).contains(&order),
        "{op}: there is no norm of order {order} of no elements (axes of {})",
        x.shape()
    );
    wide_vector_norm(x, order, axes).cast(dtype)
}

#[track_caller]
fn wide_vector_norm(x: &Tensor, order: f64, axes: Axes) -> Tensor {
    if order == f64::INFINITY {
        return x.abs().max(axes);
    }
    if order == f64::NEG_INFINITY {
        return x.abs().min(axes);
    }
    let is_some = x.ne(0.0);
    if order == 0.0 {
        return is_some.cast(x.dtype()).sum(axes);
    }
    if order == 1.0 {
        return x.abs().sum(axes);
    }
    if order == 2.0 {
        return root_of_squares(x, axes);
    }
    // Zeros have no part in the gradient, whose formula would be infinite there.
    let safe = is_some.select(x.abs(), x.ones_like());
    let of_zero = if order > 0.0 { 0.0 } else { f64::INFINITY };
    let sum = is_some.select(safe.powf(order), x.full_like(of_zero)).sum(axes);
    let is_plain = sum.ne(0.0).logical_and(sum.ne(f64::INFINITY));
    let root = is_plain.select(&sum, sum.ones_like()).powf(1.0 / order);
    let limit = if order > 0.0 { sum.clone() } else { sum.reciprocal() };
    is_plain.select(root, limit.detach())
}

/// The root of the sum of squares, whose gradient at zero is zero.
#[track_caller]
fn root_of_squares(x: &Tensor, axes: impl IntoAxes) -> Tensor {
    let sum = x.square().sum(axes);
    let is_some = sum.ne(0.0);
    is_some.select(is_some.select(&sum, sum.ones_like()).sqrt(), sum.zeros_like())
}

/// A norm of matrices: `[.., m, n] -> [..]`; 0 of matrices without elements.
///
/// Floats; of f16 and bf16 computed in f32. PyTorch: `torch.linalg.matrix_norm`.
///
/// # Errors
/// The evaluation of a norm of singular values fails where a matrix has elements that are NaN or infinite.
///
/// # Panics
/// If A is no matrix, or of another dtype.
#[track_caller]
pub fn matrix_norm(a: &Tensor, norm: MatrixNorm) -> Tensor {
    check::any_float("matrix_norm", a);
    let (dtype, a) = (a.dtype(), &a.wide());
    let [rows, columns] = check::matrix("matrix_norm", a);
    wide_matrix_norm(a, [rows, columns], norm).cast(dtype)
}

#[track_caller]
fn wide_matrix_norm(a: &Tensor, [rows, columns]: [usize; 2], norm: MatrixNorm) -> Tensor {
    if rows == 0 || columns == 0 {
        return a.sum([-2, -1]);
    }
    match norm {
        MatrixNorm::Frobenius => root_of_squares(a, [-2, -1]),
        MatrixNorm::Nuclear => svdvals(a).sum(-1),
        MatrixNorm::One => a.abs().sum(-2).max(-1),
        MatrixNorm::MinusOne => a.abs().sum(-2).min(-1),
        MatrixNorm::Two => svdvals(a).max(-1),
        MatrixNorm::MinusTwo => svdvals(a).min(-1),
        MatrixNorm::Infinity => a.abs().sum(-1).max(-1),
        MatrixNorm::MinusInfinity => a.abs().sum(-1).min(-1),
    }
}

/// [`matrix_norm`] of matrices along two other axes, rows and columns, which are dropped. PyTorch:
/// `torch.linalg.matrix_norm(dim=..)`.
///
/// # Errors
/// As [`matrix_norm`].
///
/// # Panics
/// If axes are equal or out of range, or the dtype is another.
#[track_caller]
pub fn matrix_norm_along(a: &Tensor, norm: MatrixNorm, [rows, columns]: [isize; 2]) -> Tensor {
    let rank = a.rank() as isize;
    let [row, column] = [rows, columns].map(|axis| if axis < 0 { axis + rank } else { axis });
    assert!(
        row != column && [row, column].iter().all(|axis| (0..rank).contains(axis)),
        "matrix_norm: {rows} and {columns} are no two axes of {}",
        a.shape()
    );
    let others = (0..rank).filter(|&axis| axis != row && axis != column);
    matrix_norm(&a.permute(&others.chain([row, column]).collect::<Vec<_>>()), norm)
}

/// The condition number `|A| |A^-1|` in a norm: `[.., n, n] -> [..]`; infinite for singular matrices, 0
/// without elements. In the norm [`MatrixNorm::Two`] (PyTorch's default) it is the largest singular value
/// divided by the smallest, in [`MatrixNorm::MinusTwo`] the inverse of that, also of `[.., m, n]`.
///
/// f32 or f64. PyTorch: `torch.linalg.cond`.
///
/// # Errors
/// As [`matrix_norm`].
///
/// # Panics
/// If A is no matrix, not square in another norm, or of another dtype.
#[track_caller]
pub fn cond(a: &Tensor, norm: MatrixNorm) -> Tensor {
    let op = "cond";
    let [rows, columns] = check::matrix(op, a);
    let by_values = matches!(norm, MatrixNorm::Two | MatrixNorm::MinusTwo);
    if !by_values {
        check::square(op, a);
    }
    if rows == 0 || columns == 0 {
        return a.sum([-2, -1]);
    }
    if by_values {
        let values = svdvals(a);
        let (largest, smallest) = (values.index(-1, 0), values.index(-1, -1));
        return match norm {
            MatrixNorm::Two => largest / smallest,
            _ => smallest / largest,
        };
    }
    let factors = factors(&a.detach());
    let is_singular = diagonal(&factors.lu.detach()).eq(0.0).any(-1);
    // Singular values of an inverse of infinities would be an error.
    let identity = crate::matrices::identity(rows, a);
    let singular = is_singular.unsqueeze(-1).unsqueeze(-1);
    let inverse = System::of(a, &factors).inverse_unchecked(op);
    let inverse = singular.select(identity, inverse);
    let number = matrix_norm(a, norm) * matrix_norm(&inverse, norm);
    is_singular.select(number.full_like(f64::INFINITY), number)
}
