//! Linear algebra.

use gradloom::Tensor;
use gradloom::linalg::{self, MatrixNorm, Tolerance, Triangular};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// The triangle that is read, as the lower one.
fn symmetric(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    Ok(if s.named("UPLO").text_or("L")? == "U" { x.transpose(-2, -1) } else { x })
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "linalg.det" => |s| linalg::det(&s.x()?);
        "logdet" => |s| linalg::det(&s.x()?).log();
        "linalg.inv" => |s| linalg::inv(&s.x()?);
        "linalg.cholesky" => |s| linalg::cholesky(&s.x()?, s.named("upper").bool_or(false)?);
        "linalg.matrix_power" => |s| linalg::matrix_power(&s.x()?, s.arg(0, "n").int()? as i32);
        "linalg.multi_dot" => |s| {
            let tensors = s.input().tensors()?;
            linalg::multi_dot(&tensors.iter().collect::<Vec<_>>())
        };
        "linalg.vecdot" => |s| linalg::vecdot(&s.x()?, &s.t(0, "y")?, s.named("dim").int_or(-1)?);
        "linalg.cross" => |s| linalg::cross(&s.x()?, &s.t(0, "other")?, s.named("dim").int_or(-1)?);
        "linalg.vander" => |s| {
            let x = s.x()?;
            let x = if x.rank() == 0 { x.reshape([1]) } else { x };
            match s.named("N") {
                Value::None => linalg::vander(&x, None),
                count => linalg::vander(&x, Some(count.int()? as usize)),
            }
        };
        "matrix_exp" => |s| linalg::matrix_exp(&s.x()?);
        "linalg.svdvals" => |s| linalg::svdvals(&s.x()?);
        "linalg.eigvalsh" => |s| linalg::eigvalsh(&symmetric(s)?);
        "linalg.tensorinv" => |s| {
            linalg::tensorinv(&s.x()?, s.named("ind").int_or(2)? as usize)
        };
        "linalg.householder_product" => |s| linalg::householder_product(&s.x()?, &s.t(0, "tau")?);
        "linalg.diagonal" => |s| {
            let (first, second) = (s.named("dim1").int_or(-2)?, s.named("dim2").int_or(-1)?);
            s.x()?.diagonal(s.named("offset").int_or(0)?, first, second)
        };
        "linalg.cond" => |s| {
            let norm = match s.arg(0, "p") {
                Value::None => MatrixNorm::Two,
                norm => super::norms::named(&norm)?,
            };
            linalg::cond(&s.x()?, norm)
        };
        "linalg.solve" => |s| {
            s.only(1, &["left"])?;
            let (a, b) = (s.x()?, s.t(0, "B")?);
            match s.named("left").bool_or(true)? {
                true => linalg::solve(&a, &b),
                false => linalg::solve_right(&a, &b),
            }
        };
        "pinverse" => |s| {
            s.only(0, &[])?;
            linalg::pinv(&s.x()?, Tolerance::default())
        };
        "linalg.solve_triangular" => |s| {
            let (a, b) = (s.x()?, s.t(0, "B")?);
            let left = s.named("left").bool_or(true)?;
            let (upper, unit) =
                (s.named("upper").bool_or(false)?, s.named("unitriangular").bool_or(false)?);
            let options = if upper { Triangular::upper() } else { Triangular::lower() };
            let options = if unit { options.unit() } else { options };
            linalg::solve_triangular(&a, &b, if left { options } else { options.right() })
        };
        "linalg.vector_norm" => |s| {
            s.only(4, &["ord", "dim", "keepdim"])?;
            let (x, order) = (s.x()?, s.arg(0, "ord").float_or(2.0)?);
            let axes: Vec<isize> = match s.arg(1, "dim") {
                Value::None => (0..x.rank() as isize).collect(),
                _ if x.rank() == 0 => Vec::new(),
                axes => axes.ints()?,
            };
            let norm = linalg::vector_norm(&x, order, &axes[..]);
            match s.arg(2, "keepdim").bool_or(false)? {
                true => norm.reshape(*x.sum_keepdim(&axes[..]).shape()),
                false => norm,
            }
        };
    };
    let several = many! {
        "linalg.slogdet" => |s| {
            let (sign, logarithm) = linalg::slogdet(&s.x()?);
            vec![sign, logarithm]
        };
    };
    [&single[..], &several[..]].concat()
}
