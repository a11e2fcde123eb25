//! Norms as PyTorch's older and newer functions name them.

use gradloom::Tensor;
use gradloom::linalg::{self, MatrixNorm};

use crate::sample::{Sample, Skip, Value};

/// The norm of matrices that a name or number means.
pub(super) fn named(value: &Value) -> Result<MatrixNorm, Skip> {
    Ok(match value {
        Value::None => MatrixNorm::Frobenius,
        Value::Text(name) if name == "fro" => MatrixNorm::Frobenius,
        Value::Text(name) if name == "nuc" => MatrixNorm::Nuclear,
        value => match value.float()? {
            1.0 => MatrixNorm::One,
            -1.0 => MatrixNorm::MinusOne,
            2.0 => MatrixNorm::Two,
            -2.0 => MatrixNorm::MinusTwo,
            f64::INFINITY => MatrixNorm::Infinity,
            f64::NEG_INFINITY => MatrixNorm::MinusInfinity,
            other => return Err(format!("norm {other}")),
        },
    })
}

/// The norm with the reduced axes kept, where that is asked for.
fn kept(x: &Tensor, norm: Tensor, axes: &[isize], keep: bool) -> Tensor {
    if keep { norm.reshape(*x.sum_keepdim(axes).shape()) } else { norm }
}

fn of_matrices(x: &Tensor, order: &Value, axes: &[isize], keep: bool) -> Result<Tensor, Skip> {
    let &[row, column] = axes else { return Err(format!("{} axes of a matrix", axes.len())) };
    Ok(kept(x, linalg::matrix_norm_along(x, named(order)?, [row, column]), axes, keep))
}

fn of_vectors(x: &Tensor, order: f64, axes: &[isize], keep: bool) -> Tensor {
    let axes = if x.rank() == 0 { &[] } else { axes };
    kept(x, linalg::vector_norm(x, order, axes), axes, keep)
}

fn all_axes(x: &Tensor) -> Vec<isize> {
    (0..x.rank() as isize).collect()
}

/// `linalg.matrix_norm`.
pub(super) fn matrix(s: &Sample) -> Result<Tensor, Skip> {
    s.only(3, &["ord", "dim", "keepdim"])?;
    let axes = match s.arg(1, "dim") {
        Value::None => vec![-2, -1],
        axes => axes.ints()?,
    };
    of_matrices(&s.x()?, &s.arg(0, "ord"), &axes, s.arg(2, "keepdim").bool_or(false)?)
}

/// `linalg.norm`: of vectors or matrices, as many axes as there are.
pub(super) fn any(s: &Sample) -> Result<Tensor, Skip> {
    s.only(3, &["ord", "dim", "keepdim"])?;
    let (x, order, keep) = (s.x()?, s.arg(0, "ord"), s.arg(2, "keepdim").bool_or(false)?);
    let axes = match s.arg(1, "dim") {
        Value::None => None,
        axes => Some(axes.ints()?),
    };
    match (axes, &order) {
        (None, Value::None) => Ok(of_vectors(&x, 2.0, &all_axes(&x), keep)),
        (None, _) if x.rank() < 2 => Ok(of_vectors(&x, order.float()?, &all_axes(&x), keep)),
        (None, _) => of_matrices(&x, &order, &all_axes(&x), keep),
        (Some(axes), Value::None) => Ok(of_vectors(&x, 2.0, &axes, keep)),
        (Some(axes), _) if axes.len() == 1 => Ok(of_vectors(&x, order.float()?, &axes, keep)),
        (Some(axes), _) => of_matrices(&x, &order, &axes, keep),
    }
}

/// `norm`: of vectors, unless it is the nuclear one.
pub(super) fn older(s: &Sample) -> Result<Tensor, Skip> {
    s.only(3, &["p", "dim", "keepdim"])?;
    let (x, order, keep) = (s.x()?, s.arg(0, "p"), s.arg(2, "keepdim").bool_or(false)?);
    let axes = match s.arg(1, "dim") {
        Value::None => all_axes(&x),
        axes => axes.ints()?,
    };
    match &order {
        Value::Text(name) if name == "nuc" => of_matrices(&x, &order, &axes, keep),
        Value::Text(_) | Value::None => Ok(of_vectors(&x, 2.0, &axes, keep)),
        order => Ok(of_vectors(&x, order.float()?, &axes, keep)),
    }
}
