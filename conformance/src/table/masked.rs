//! Reductions over the elements that a mask keeps.

use gradloom::Tensor;

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// The input with `other` where the mask does not keep it, and the mask.
fn kept(s: &Sample, other: f64) -> Result<(Tensor, Option<Tensor>), Skip> {
    let x = s.x()?;
    Ok(match s.named("mask").maybe_tensor()? {
        Some(mask) => {
            let mask = mask.broadcast_to(*x.shape());
            (mask.select(&x, x.full_like(other)), Some(mask))
        }
        None => (x, None),
    })
}

fn axes(s: &Sample, x: &Tensor) -> Result<Vec<isize>, Skip> {
    match s.named("dim") {
        Value::None => Ok((0..x.rank() as isize).collect()),
        Value::List(list) if list.is_empty() => Ok((0..x.rank() as isize).collect()),
        _ if x.rank() == 0 => Ok(Vec::new()),
        dims => dims.ints(),
    }
}

/// A reduction in which `other` counts for nothing.
fn reduced(s: &Sample, other: f64, of: fn(&Tensor, &[isize]) -> Tensor) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim"])?;
    let (x, _) = kept(s, other)?;
    let axes = axes(s, &x)?;
    shaped(s, &x, of(&x, &axes))
}

/// The result with the reduced axes kept, where that is asked for.
fn shaped(s: &Sample, x: &Tensor, y: Tensor) -> Result<Tensor, Skip> {
    if !s.named("keepdim").bool_or(false)? {
        return Ok(y);
    }
    Ok(y.reshape(*x.sum_keepdim(&axes(s, x)?[..]).shape()))
}

fn count(x: &Tensor, mask: Option<&Tensor>, axes: &[isize]) -> Tensor {
    let ones = x.ones_like();
    mask.map_or(ones.clone(), |mask| mask.select(&ones, x.zeros_like())).sum(axes)
}

fn mean(s: &Sample) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim"])?;
    let (x, mask) = kept(s, 0.0)?;
    let axes = axes(s, &x)?;
    shaped(s, &x, x.sum(&axes[..]) / count(&x, mask.as_ref(), &axes))
}

fn variance(s: &Sample) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim", "unbiased", "correction"])?;
    let (x, mask) = kept(s, 0.0)?;
    let axes = axes(s, &x)?;
    let counts = count(&x, mask.as_ref(), &axes);
    let wide = *x.sum_keepdim(&axes[..]).shape();
    let mean = (x.sum(&axes[..]) / &counts).reshape(wide);
    let distance = x.sub(mean).square();
    let distance = mask.map_or(distance.clone(), |mask| mask.select(&distance, x.zeros_like()));
    let correction = match s.named("correction") {
        Value::None => f64::from(u8::from(s.named("unbiased").bool_or(true)?)),
        correction => correction.float()?,
    };
    let less = counts.sub(correction).maximum(0.0);
    shaped(s, &x, distance.sum(&axes[..]) / less)
}

fn along(s: &Sample, other: f64, of: fn(&Tensor, isize) -> Tensor) -> Result<Tensor, Skip> {
    s.only(1, &["mask", "dim"])?;
    let (x, _) = kept(s, other)?;
    if x.rank() == 0 {
        return Ok(of(&x.reshape([1]), 0).reshape(()));
    }
    Ok(of(&x, s.arg(0, "dim").int()?))
}

/// The index of an extreme, as a float: along an axis, or of all elements one after another.
fn index(s: &Sample, other: f64, of: fn(&Tensor, isize) -> Tensor) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim"])?;
    let (x, _) = kept(s, other)?;
    let found = match s.named("dim") {
        Value::None => of(&x.reshape([x.count()]), 0),
        _ if x.rank() == 0 => of(&x.reshape([1]), 0),
        axis => of(&x, axis.int()?),
    };
    shaped(s, &x, found.cast(x.dtype()))
}

fn median(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["dim", "mask", "keepdim"])?;
    let (x, _) = kept(s, f64::NAN)?;
    let axis = s.arg(0, "dim").int()?;
    let value = if x.rank() == 0 { x.clone() } else { x.nanmedian(axis).0 };
    Ok(if s.named("keepdim").bool_or(false)? { value.unsqueeze(axis) } else { value })
}

fn norm(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["ord", "mask", "dim", "keepdim"])?;
    let order = s.arg(0, "ord").float_or(2.0)?;
    let (x, _) = kept(s, if order == f64::NEG_INFINITY { f64::INFINITY } else { 0.0 })?;
    shaped(s, &x, gradloom::linalg::vector_norm(&x, order, &axes(s, &x)?[..]))
}

fn normalized(s: &Sample) -> Result<Tensor, Skip> {
    s.only(2, &["ord", "dim", "eps", "mask"])?;
    let (order, axis) = (s.arg(0, "ord").float()?, s.arg(1, "dim").int()?);
    let (x, _) = kept(s, 0.0)?;
    let norm = match x.rank() {
        0 => gradloom::linalg::vector_norm(&x, order, ..),
        _ => gradloom::linalg::vector_norm(&x, order, axis).unsqueeze(axis),
    };
    Ok(x / norm.maximum(s.named("eps").float_or(1e-12)?))
}

fn logaddexp(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["input_mask", "other_mask"])?;
    let part = |x: Tensor, name: &str| -> Result<Tensor, Skip> {
        Ok(match s.named(name).maybe_tensor()? {
            Some(mask) => mask.select(&x, x.full_like(f64::NEG_INFINITY)),
            None => x,
        })
    };
    Ok(part(s.x()?, "input_mask")?.logaddexp(part(s.t(0, "other")?, "other_mask")?))
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "masked.sum" => |s| reduced(s, 0.0, |x, axes| x.sum(axes))?;
        "masked.prod" => |s| reduced(s, 1.0, |x, axes| x.prod(axes))?;
        "masked.amax" => |s| reduced(s, f64::NEG_INFINITY, |x, axes| x.max(axes))?;
        "masked.amin" => |s| reduced(s, f64::INFINITY, |x, axes| x.min(axes))?;
        "masked.logsumexp" => |s| {
            reduced(s, f64::NEG_INFINITY, |x, axes| x.logsumexp(axes))?
        };
        "masked.argmax" => |s| index(s, f64::NEG_INFINITY, Tensor::argmax)?;
        "masked.argmin" => |s| index(s, f64::INFINITY, Tensor::argmin)?;
        "masked.median" => |s| median(s)?;
        "masked.norm" => |s| norm(s)?;
        "masked.normalize" => |s| normalized(s)?;
        "masked.logaddexp" => |s| logaddexp(s)?;
        "masked.mean" => |s| mean(s)?;
        "masked.var" => |s| variance(s)?;
        "masked.std" => |s| variance(s)?.sqrt();
        "masked.cumsum" => |s| along(s, 0.0, Tensor::cumsum)?;
        "masked.cumprod" => |s| along(s, 1.0, Tensor::cumprod)?;
        "masked.softmax" => |s| along(s, f64::NEG_INFINITY, Tensor::softmax)?;
        "masked.log_softmax" => |s| along(s, f64::NEG_INFINITY, Tensor::log_softmax)?;
        "masked.softmin" => |s| along(s, f64::INFINITY, |x, axis| x.neg().softmax(axis))?;
    }
    .to_vec()
}
