//! Reductions over the elements that a mask keeps.

use gradloom::{DType, Masked, Tensor, linalg};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// The input and what a mask keeps of it: all, if there is none.
fn kept(s: &Sample) -> Result<(Tensor, Masked), Skip> {
    let x = s.x()?;
    let masked = masked(s, &x, "mask")?;
    Ok((x, masked))
}

fn masked(s: &Sample, x: &Tensor, name: &str) -> Result<Masked, Skip> {
    let all = || Tensor::ones((), DType::Bool, &s.device);
    Ok(x.masked(&s.named(name).maybe_tensor()?.unwrap_or_else(all)))
}

fn axes(s: &Sample, x: &Tensor) -> Result<Vec<isize>, Skip> {
    match s.named("dim") {
        Value::None => Ok((0..x.rank() as isize).collect()),
        Value::List(list) if list.is_empty() => Ok((0..x.rank() as isize).collect()),
        _ if x.rank() == 0 => Ok(Vec::new()),
        dims => dims.ints(),
    }
}

fn reduced(s: &Sample, of: impl Fn(&Masked, &[isize]) -> Tensor) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim"])?;
    let (x, kept) = kept(s)?;
    shaped(s, &x, of(&kept, &axes(s, &x)?))
}

/// The result with the reduced axes kept, where that is asked for.
fn shaped(s: &Sample, x: &Tensor, y: Tensor) -> Result<Tensor, Skip> {
    if !s.named("keepdim").bool_or(false)? {
        return Ok(y);
    }
    Ok(y.reshape(*x.sum_keepdim(&axes(s, x)?[..]).shape()))
}

fn deviation(s: &Sample, of: fn(&Masked, &[isize], f64) -> Tensor) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim", "unbiased", "correction"])?;
    let (x, kept) = kept(s)?;
    let correction = match s.named("correction") {
        Value::None => f64::from(u8::from(s.named("unbiased").bool_or(true)?)),
        correction => correction.float()?,
    };
    shaped(s, &x, of(&kept, &axes(s, &x)?, correction))
}

fn along(s: &Sample, of: fn(&Masked, isize) -> Tensor) -> Result<Tensor, Skip> {
    s.only(1, &["mask", "dim"])?;
    line(s, s.arg(0, "dim").int()?, of)
}

/// A function along an axis; a tensor without axes is a line of one element.
fn line(s: &Sample, axis: isize, of: fn(&Masked, isize) -> Tensor) -> Result<Tensor, Skip> {
    let (x, kept) = kept(s)?;
    if x.rank() > 0 {
        return Ok(of(&kept, axis));
    }
    let mask = s.named("mask").maybe_tensor()?;
    let all = || Tensor::ones((), DType::Bool, &s.device);
    Ok(of(&x.reshape([1]).masked(&mask.unwrap_or_else(all)), 0).reshape(()))
}

/// The index of an extreme, as a float: along an axis, or of all elements one after another.
fn index(s: &Sample, of: fn(&Masked, isize) -> Tensor) -> Result<Tensor, Skip> {
    s.only(0, &["mask", "dim", "keepdim"])?;
    let x = s.x()?;
    let found = match s.named("dim") {
        Value::None => {
            let all = || Tensor::ones((), DType::Bool, &s.device);
            let mask = s.named("mask").maybe_tensor()?.unwrap_or_else(all);
            let count = x.count();
            let mask = mask.broadcast_to(*x.shape()).reshape([count]);
            of(&x.reshape([count]).masked(&mask), 0)
        }
        axis => line(s, axis.int()?, of)?,
    };
    shaped(s, &x, found.cast(x.dtype()))
}

fn median(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["dim", "mask", "keepdim"])?;
    let (x, kept) = kept(s)?;
    let axis = s.arg(0, "dim").int()?;
    let value = if x.rank() == 0 { kept.filled(f64::NAN) } else { kept.median(axis) };
    Ok(if s.named("keepdim").bool_or(false)? { value.unsqueeze(axis) } else { value })
}

fn norm(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["ord", "mask", "dim", "keepdim"])?;
    let order = s.arg(0, "ord").float_or(2.0)?;
    let (x, kept) = kept(s)?;
    let filled = kept.filled(if order == f64::NEG_INFINITY { f64::INFINITY } else { 0.0 });
    shaped(s, &x, linalg::vector_norm(&filled, order, &axes(s, &x)?[..]))
}

fn normalized(s: &Sample) -> Result<Tensor, Skip> {
    s.only(2, &["ord", "dim", "eps", "mask"])?;
    let (order, axis) = (s.arg(0, "ord").float()?, s.arg(1, "dim").int()?);
    Ok(kept(s)?.1.filled(0.0).normalize_by(order, axis, s.named("eps").float_or(1e-12)?))
}

fn logaddexp(s: &Sample) -> Result<Tensor, Skip> {
    s.only(1, &["input_mask", "other_mask"])?;
    let (x, y) = (masked(s, &s.x()?, "input_mask")?, masked(s, &s.t(0, "other")?, "other_mask")?);
    Ok(x.logaddexp(&y))
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "masked.sum" => |s| reduced(s, |x, axes| x.sum(axes))?;
        "masked.prod" => |s| reduced(s, |x, axes| x.prod(axes))?;
        "masked.amax" => |s| reduced(s, |x, axes| x.max(axes))?;
        "masked.amin" => |s| reduced(s, |x, axes| x.min(axes))?;
        "masked.logsumexp" => |s| reduced(s, |x, axes| x.logsumexp(axes))?;
        "masked.mean" => |s| reduced(s, |x, axes| x.mean(axes))?;
        "masked.var" => |s| deviation(s, |x, axes, correction| x.var(axes, correction))?;
        "masked.std" => |s| deviation(s, |x, axes, correction| x.std(axes, correction))?;
        "masked.argmax" => |s| index(s, Masked::argmax)?;
        "masked.argmin" => |s| index(s, Masked::argmin)?;
        "masked.median" => |s| median(s)?;
        "masked.norm" => |s| norm(s)?;
        "masked.normalize" => |s| normalized(s)?;
        "masked.logaddexp" => |s| logaddexp(s)?;
        "masked.cumsum" => |s| along(s, Masked::cumsum)?;
        "masked.cumprod" => |s| along(s, Masked::cumprod)?;
        "masked.softmax" => |s| along(s, Masked::softmax)?;
        "masked.log_softmax" => |s| along(s, Masked::log_softmax)?;
        "masked.softmin" => |s| {
            along(s, |x, axis| {
                // Of the negative, in which what is not kept is least.
                x.filled(f64::INFINITY).neg().softmax(axis)
            })?
        };
    }
    .to_vec()
}
