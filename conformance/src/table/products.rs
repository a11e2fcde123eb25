//! Products of tensors.

use gradloom::Tensor;

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// `beta x + alpha product`.
fn weighted(s: &Sample, product: Tensor) -> Result<Tensor, Skip> {
    let (alpha, beta) = (s.named("alpha").float_or(1.0)?, s.named("beta").float_or(1.0)?);
    let product = product.mul(alpha);
    // As in PyTorch, nothing of x is taken where beta is 0.
    Ok(if beta == 0.0 { product } else { s.x()?.mul(beta).add(product) })
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "inner" => |s| s.x()?.inner(&s.t(0, "other")?);
        "kron" => |s| s.x()?.kron(&s.t(0, "other")?);
        "tensordot" => |s| {
            let (x, y) = (s.x()?, s.t(0, "other")?);
            match s.arg(1, "dims") {
                Value::List(list) => {
                    x.tensordot(&y, &list[0].ints()?, &list[1].ints()?)
                }
                count => {
                    let count = count.int_or(2)?;
                    let own: Vec<isize> = (-count..0).collect();
                    let others: Vec<isize> = (0..count).collect();
                    x.tensordot(&y, &own, &others)
                }
            }
        };
        "einsum" => |s| {
            let equation = s.arg(0, "equation").text_or("")?;
            Tensor::einsum(&equation, &s.input().tensors()?)
        };
        "cdist" => |s| {
            let power = s.arg(1, "p").float_or(2.0)?;
            s.x()?.cdist(&s.t(0, "x2")?, power)
        };
        "dot" => |s| s.x()?.dot(&s.t(0, "other")?);
        "vdot" => |s| s.x()?.dot(&s.t(0, "other")?);
        "outer" => |s| s.x()?.outer(&s.t(0, "vec2")?);
        "mm" => |s| s.x()?.matmul(&s.t(0, "mat2")?);
        "bmm" => |s| s.x()?.matmul(&s.t(0, "mat2")?);
        "bmm.triton_optimized" => |s| s.x()?.matmul(&s.t(0, "mat2")?);
        "mv" => |s| s.x()?.matmul(&s.t(0, "vec")?);
        "matmul" => |s| s.x()?.matmul(&s.t(0, "other")?);
        "__rmatmul__" => |s| s.t(0, "other")?.matmul(&s.x()?);
        "addmm" => |s| weighted(s, s.t(0, "mat1")?.matmul(&s.t(1, "mat2")?))?;
        "addmm.decomposed" => |s| weighted(s, s.t(0, "mat1")?.matmul(&s.t(1, "mat2")?))?;
        "addmv" => |s| weighted(s, s.t(0, "mat")?.matmul(&s.t(1, "vec")?))?;
        "addr" => |s| weighted(s, s.t(0, "vec1")?.outer(&s.t(1, "vec2")?))?;
        "baddbmm" => |s| weighted(s, s.t(0, "batch1")?.matmul(&s.t(1, "batch2")?))?;
        "addbmm" => |s| weighted(s, s.t(0, "batch1")?.matmul(&s.t(1, "batch2")?).sum(0))?;

    }
    .to_vec()
}
