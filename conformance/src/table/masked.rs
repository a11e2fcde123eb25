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
    let (x, mask) = kept(s, other)?;
    let axes = axes(s, &x)?;
    if mask.is_some() && other.is_infinite() {
        // What nothing is the extreme of is no part of the samples' promise.
        let some = mask.as_ref().map(|mask| mask.any(&axes[..]).all(..));
        let some = some.map(|some| some.to_vec::<bool>().map_err(|error| error.to_string()));
        if some.transpose()?.is_some_and(|some| !some[0]) {
            return Err("a mask that keeps nothing".into());
        }
    }
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
    s.only(0, &["mask", "dim", "keepdim", "unbiased"])?;
    let (x, mask) = kept(s, 0.0)?;
    let axes = axes(s, &x)?;
    let counts = count(&x, mask.as_ref(), &axes);
    let wide = *x.sum_keepdim(&axes[..]).shape();
    let mean = (x.sum(&axes[..]) / &counts).reshape(wide);
    let distance = x.sub(mean).square();
    let distance = mask.map_or(distance.clone(), |mask| mask.select(&distance, x.zeros_like()));
    let unbiased = s.named("unbiased").bool_or(true)?;
    let less = counts.sub(if unbiased { 1.0 } else { 0.0 }).maximum(0.0);
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

pub(super) fn table() -> Vec<Row> {
    rows! {
        "masked.sum" => |s| reduced(s, 0.0, |x, axes| x.sum(axes))?;
        "masked.prod" => |s| reduced(s, 1.0, |x, axes| x.prod(axes))?;
        "masked.amax" => |s| reduced(s, f64::NEG_INFINITY, |x, axes| x.max(axes))?;
        "masked.amin" => |s| reduced(s, f64::INFINITY, |x, axes| x.min(axes))?;
        "masked.logsumexp" => |s| {
            reduced(s, f64::NEG_INFINITY, |x, axes| x.logsumexp(axes))?
        };
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
