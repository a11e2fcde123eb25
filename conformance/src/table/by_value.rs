//! Results that depend on values, computed at the call.

use gradloom::{DType, Shape, Tensor, Unique};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

fn said(error: gradloom::Error) -> Skip {
    error.to_string()
}

fn truth(value: bool, s: &Sample) -> Tensor {
    Tensor::full((), value, DType::Bool, &s.device)
}

/// The parts of a result that a sample asks for.
fn asked(s: &Sample, found: Unique) -> Result<Vec<Tensor>, Skip> {
    let mut results = vec![found.values];
    if s.named("return_inverse").bool_or(false)? {
        results.push(found.inverse);
    }
    if s.named("return_counts").bool_or(false)? {
        results.push(found.counts);
    }
    Ok(results)
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "nonzero_static" => |s| {
            s.only(0, &["size", "fill_value"])?;
            s.x()?.nonzero_static(s.named("size").int()? as usize, s.named("fill_value").int_or(-1)? as i32)
        };
        "argwhere" => |s| s.x()?.nonzero().map_err(said)?;
        "masked_select" => |s| s.x()?.masked_select(&s.t(0, "mask")?).map_err(said)?;
        "equal" => |s| truth(s.x()?.equal(&s.t(0, "other")?).map_err(said)?, s);
        "allclose" => |s| {
            s.only(1, &["rtol", "atol", "equal_nan"])?;
            let (relative, absolute) =
                (s.named("rtol").float_or(1e-5)?, s.named("atol").float_or(1e-8)?);
            let equal_nan = s.named("equal_nan").bool_or(false)?;
            let close = s.x()?.allclose(&s.t(0, "other")?, relative, absolute, equal_nan);
            truth(close.map_err(said)?, s)
        };
        "item" => |s| Tensor::scalar(s.x()?.item().map_err(said)?, DType::F32, &s.device);
        "broadcast_shapes" => |s| {
            let shapes = std::iter::once(s.input()).chain(s.args()).map(Value::sizes);
            let shapes: Vec<Shape> =
                shapes.map(|sizes| sizes.map(|sizes| Shape::new(&sizes))).collect::<Result<_, _>>()?;
            let met = Shape::broadcast(&shapes).map_err(said)?;
            let sizes = met.iter().map(|&size| size as i32).collect();
            Tensor::from_vec(sizes, [met.rank()], &s.device).map_err(said)?
        };
    };
    let several = many! {
        "nonzero" => |s| {
            let places = match s.x()?.rank() {
                // As PyTorch has it, a number is a line of one element there.
                0 if s.named("as_tuple").bool_or(false)? => s.x()?.reshape([1]).nonzero(),
                _ => s.x()?.nonzero(),
            };
            let places = places.map_err(said)?;
            match s.named("as_tuple").bool_or(false)? {
                true => places.unbind(1),
                false => vec![places],
            }
        };
        "unique" => |s| {
            s.only(0, &["sorted", "return_inverse", "return_counts", "dim"])?;
            let x = s.x()?;
            let found = match s.named("dim") {
                Value::None => x.unique(),
                _ if x.rank() == 0 => x.unique(),
                axis => x.unique_along(axis.int()?),
            };
            asked(s, found.map_err(said)?)?
        };
        "unique_consecutive" => |s| {
            s.only(0, &["return_inverse", "return_counts", "dim"])?;
            let x = s.x()?;
            let found = match s.named("dim") {
                Value::None => x.unique_consecutive(),
                _ if x.rank() == 0 => x.unique_consecutive(),
                axis => x.unique_consecutive_along(axis.int()?),
            };
            asked(s, found.map_err(said)?)?
        };
    };
    [&single[..], &several[..]].concat()
}
