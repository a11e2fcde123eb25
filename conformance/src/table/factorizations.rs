//! Factorisations of matrices, and what follows from them. Where factors are free up to signs or order, what
//! they determine is compared: `golden.py` has the same invariants.

use gradloom::linalg::{self, ProductWithQ, QrMode, Tolerance};
use gradloom::{DType, Key, Tensor};

use super::norms;
use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// The triangle that is read, as the lower one.
fn symmetric(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    Ok(if s.named("UPLO").text_or("L")? == "U" { x.transpose(-2, -1) } else { x })
}

fn tolerance(s: &Sample) -> Result<Tolerance, Skip> {
    let mut tolerance = Tolerance::default();
    for (name, absolute) in [("atol", true), ("rtol", false)] {
        let value = s.named(name);
        if matches!(value, Value::None) {
            continue;
        }
        let value = value.operand()?;
        tolerance = if absolute { tolerance.absolute(value) } else { tolerance.relative(value) };
    }
    Ok(tolerance)
}

/// `u [.., m, k], s [.., k], v^T [.., k, n]` without the signs of vectors.
fn unsigned([u, s, vt]: [Tensor; 3]) -> Vec<Tensor> {
    let size = s.size(-1);
    let (u, vt) = (u.narrow(-1, 0, size), vt.narrow(-2, 0, size));
    vec![u.abs(), s, vt.abs(), u.matmul(&vt)]
}

/// The order of complex numbers by real and then by imaginary part: `[.., n]` of pairs `[.., n, 2]`.
fn order(pairs: &Tensor) -> Tensor {
    let (re, im) = (pairs.detach().index(-1, 0), pairs.detach().index(-1, 1));
    let by_im = im.argsort(-1, false);
    by_im.gather(-1, &re.gather(-1, &by_im).argsort(-1, false))
}

/// Pairs `[.., n, 2]` in an order `[.., n]`.
fn in_order(pairs: &Tensor, order: &Tensor) -> Tensor {
    pairs.gather(-2, &order.unsqueeze(-1).broadcast_to(*pairs.shape()))
}

fn low_rank(s: &Sample, center: Option<bool>) -> Result<Vec<Tensor>, Skip> {
    let mut a = s.x()?.matmul(&s.t(0, "other")?.transpose(-2, -1));
    let rank = s.named("q").int()? as usize;
    if let Some(mean) = s.named("M").maybe_tensor()? {
        a = a - mean;
    }
    let key = Key::new(3);
    let (u, values, v) = match center {
        Some(center) => linalg::pca_lowrank(&a, rank, center, 2, key),
        None => linalg::svd_lowrank(&a, rank, 2, key),
    };
    Ok(vec![u.matmul(&v.transpose(-2, -1)), values])
}

fn lstsq(s: &Sample) -> Result<(linalg::LeastSquares, String), Skip> {
    s.only(1, &["driver", "rcond"])?;
    let cutoff = match s.named("rcond") {
        Value::None => None,
        cutoff => Some(cutoff.float()?),
    };
    let driver = s.named("driver").text_or("gelsy")?;
    Ok((linalg::lstsq(&s.x()?, &s.t(0, "B")?, cutoff), driver))
}

/// One of PyTorch's drivers gives none.
fn residuals(found: &Tensor, driver: &str) -> Tensor {
    if driver == "gelsy" {
        Tensor::zeros([0], found.dtype(), found.device())
    } else {
        found.clone()
    }
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "linalg.matrix_rank" => |s| linalg::matrix_rank(&s.x()?, tolerance(s)?);
        "linalg.matrix_rank.hermitian" => |s| {
            linalg::matrix_rank_hermitian(&s.x()?, tolerance(s)?)
        };
        "linalg.pinv" => |s| linalg::pinv(&s.x()?, tolerance(s)?);
        "linalg.pinv.hermitian" => |s| linalg::pinv_hermitian(&s.x()?, tolerance(s)?);
        "linalg.pinv.singular" => |s| {
            s.only(1, &[])?;
            let a = s.x()?.matmul(&s.t(0, "b")?.transpose(-2, -1));
            linalg::pinv(&a, Tolerance::default())
        };
        "linalg.matrix_sqrth" => |s| linalg::matrix_sqrth(&s.x()?);
        "cholesky_inverse" => |s| {
            linalg::cholesky_inverse(&s.x()?, s.arg(0, "upper").bool_or(false)?)
        };
        "cholesky_solve" => |s| {
            linalg::cholesky_solve(&s.t(0, "L")?, &s.x()?, s.arg(1, "upper").bool_or(false)?)
        };
        "linalg.lu_solve" => |s| {
            let (lu, pivots, b) = (s.x()?, s.t(0, "pivots")?, s.t(1, "B")?);
            let adjoint = s.named("adjoint").bool_or(false)?;
            match s.named("left").bool_or(true)? {
                true => linalg::lu_solve(&lu, &pivots, &b, adjoint),
                false => linalg::lu_solve_right(&lu, &pivots, &b, adjoint),
            }
        };
        "lu_solve" => |s| {
            s.only(2, &[])?;
            linalg::lu_solve(&s.t(0, "LU_data")?, &s.t(1, "LU_pivots")?, &s.x()?, false)
        };
        "linalg.ldl_solve" => |s| {
            linalg::ldl_solve(&s.x()?, &s.t(0, "pivots")?, &s.t(1, "B")?)
        };
        "ormqr" => |s| {
            let product = match (s.named("left").bool_or(true)?, s.named("transpose").bool_or(false)?) {
                (true, false) => ProductWithQ::Left,
                (true, true) => ProductWithQ::LeftTransposed,
                (false, false) => ProductWithQ::Right,
                (false, true) => ProductWithQ::RightTransposed,
            };
            linalg::ormqr(&s.x()?, &s.t(0, "tau")?, &s.t(1, "other")?, product)
        };
        "linalg.tensorsolve" => |s| {
            let (a, b) = (s.x()?, s.t(0, "b")?);
            match s.named("dims") {
                Value::None => linalg::tensorsolve(&a, &b),
                axes => {
                    let axes = axes.ints()?;
                    // PyTorch does not ask that the axes of B are those of A, only how many elements there are.
                    let rank = a.rank() as isize;
                    let moved = |axis: isize| axes.iter().any(|own| own.rem_euclid(rank) == axis);
                    let sizes = (0..rank).filter(|&axis| !moved(axis)).map(|axis| a.size(axis));
                    let last = axes.iter().map(|&axis| a.size(axis));
                    let sizes: Vec<usize> = sizes.chain(last).take(b.rank()).collect();
                    linalg::tensorsolve_with(&a, &b.reshape(sizes), &axes)
                }
            }
        };
        "linalg.matrix_norm" => |s| norms::matrix(s)?;
        "linalg.norm" => |s| norms::any(s)?;
        "linalg.norm.subgradients_at_zero" => |s| norms::any(s)?;
        "norm" => |s| norms::older(s)?;
        "norm.fro" => |s| norms::older(s)?;
        "norm.inf" => |s| norms::older(s)?;
        "norm.nuc" => |s| norms::older(s)?;
        "linalg.eigvals" => |s| {
            let values = linalg::eigvals(&s.x()?);
            in_order(&values, &order(&values))
        };
    };
    let several = many! {
        "linalg.cholesky_ex" => |s| {
            let (factor, order) = linalg::cholesky_ex(&s.x()?, s.named("upper").bool_or(false)?);
            vec![factor, order]
        };
        "linalg.inv_ex" => |s| { let (inverse, zero) = linalg::inv_ex(&s.x()?); vec![inverse, zero] };
        "linalg.solve_ex" => |s| {
            s.only(1, &[])?;
            let (x, zero) = linalg::solve_ex(&s.x()?, &s.t(0, "B")?);
            vec![x, zero]
        };
        "linalg.lu" => |s| {
            let (p, l, u) = linalg::lu(&s.x()?);
            vec![p, l, u]
        };
        "linalg.lu_factor" => |s| {
            let (lu, pivots) = linalg::lu_factor(&s.x()?);
            vec![lu, pivots]
        };
        "linalg.lu_factor_ex" => |s| {
            let (lu, pivots, zero) = linalg::lu_factor_ex(&s.x()?);
            vec![lu, pivots, zero]
        };
        "lu" => |s| {
            let (lu, pivots, zero) = linalg::lu_factor_ex(&s.x()?);
            match s.arg(1, "get_infos").bool_or(false)? {
                true => vec![lu, pivots, zero],
                false => vec![lu, pivots],
            }
        };
        "lu_unpack" => |s| {
            s.only(1, &[])?;
            let (p, l, u) = linalg::lu_unpack(&s.x()?, &s.t(0, "LU_pivots")?);
            vec![p, l, u]
        };
        "linalg.ldl_factor" => |s| {
            let (factors, pivots) = linalg::ldl_factor(&s.x()?);
            vec![factors, pivots]
        };
        "linalg.ldl_factor_ex" => |s| {
            let (factors, pivots, zero) = linalg::ldl_factor_ex(&s.x()?);
            vec![factors, pivots, zero]
        };
        "geqrf" => |s| { let (a, tau) = linalg::geqrf(&s.x()?); vec![a, tau] };
        "linalg.polar" => |s| { let (u, h) = linalg::polar(&s.x()?); vec![u, h] };
        "linalg.qr" => |s| {
            s.only(0, &[])?;
            let (q, r) = linalg::qr(&s.x()?, QrMode::Reduced);
            let sign = r.diagonal(0, -2, -1).detach().sign();
            vec![q * sign.unsqueeze(-2), r * sign.unsqueeze(-1)]
        };
        "linalg.eigh" => |s| {
            let (values, vectors) = linalg::eigh(&symmetric(s)?);
            vec![values, vectors.abs()]
        };
        "linalg.eig" => |s| {
            let (values, vectors) = linalg::eig(&s.x()?);
            let order = order(&values);
            let length = vectors.square().sum(-1);
            let none = length.eq(0.0);
            let length = none.select(length.zeros_like(), none.select(1.0, &length).sqrt());
            let index = order.unsqueeze(-2).broadcast_to(*length.shape());
            vec![in_order(&values, &order), length.gather(-1, &index)]
        };
        "linalg.svd" => |s| {
            let (u, values, vt) = linalg::svd(&s.x()?, s.named("full_matrices").bool_or(true)?);
            unsigned([u, values, vt])
        };
        "svd" => |s| {
            let (u, values, vt) = linalg::svd(&s.x()?, !s.named("some").bool_or(true)?);
            unsigned([u, values, vt])
        };
        "svd_lowrank" => |s| low_rank(s, None)?;
        "pca_lowrank" => |s| low_rank(s, Some(s.named("center").bool_or(true)?))?;
        "triangular_solve" => |s| {
            s.only(4, &["upper", "transpose", "unitriangular"])?;
            let (b, a) = (s.x()?, s.t(0, "A")?);
            let upper = s.arg(1, "upper").bool_or(true)?;
            let (turned, unit) =
                (s.arg(2, "transpose").bool_or(false)?, s.arg(3, "unitriangular").bool_or(false)?);
            let given = if turned { a.transpose(-2, -1) } else { a.clone() };
            let options = match upper != turned {
                true => linalg::Triangular::upper(),
                false => linalg::Triangular::lower(),
            };
            let options = if unit { options.unit() } else { options };
            vec![linalg::solve_triangular(&given, &b, options), a]
        };
        "linalg.lstsq" => |s| {
            let (found, driver) = lstsq(s)?;
            let none = |dtype| Tensor::zeros([0], dtype, &s.device);
            let rank = if driver == "gels" { none(DType::I32) } else { found.rank };
            let values = match driver.as_str() {
                "gels" | "gelsy" => none(DType::F32),
                // They have no gradient in PyTorch.
                _ => found.singular_values.detach(),
            };
            vec![found.solution, residuals(&found.residuals, &driver), rank, values]
        };
        "linalg.lstsq.grad_oriented" => |s| {
            let (found, driver) = lstsq(s)?;
            vec![found.solution, residuals(&found.residuals, &driver)]
        };
    };
    [&single[..], &several[..]].concat()
}
