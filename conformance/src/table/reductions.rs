//! Reductions, running sums, order.

use gradloom::Tensor;

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// The axes that are reduced: those given, or all.
fn axes(s: &Sample, x: &Tensor, position: usize) -> Result<Vec<isize>, Skip> {
    match s.arg(position, "dim") {
        Value::None => Ok((0..x.rank() as isize).collect()),
        Value::List(list) if list.is_empty() => Ok((0..x.rank() as isize).collect()),
        // A tensor without axes has one to reduce.
        dims if x.rank() == 0 => dims.ints().map(|_| Vec::new()),
        dims => dims.ints(),
    }
}

type Reduce = fn(&Tensor, &[isize]) -> Tensor;

/// A reduction, with axes kept or not.
fn reduced(s: &Sample, plain: Reduce, kept: Reduce) -> Result<Tensor, Skip> {
    s.only(2, &["dim", "keepdim"])?;
    let x = s.x()?;
    let axes = axes(s, &x, 0)?;
    let keep = s.arg(1, "keepdim").bool_or(false)?;
    Ok(if keep { kept(&x, &axes) } else { plain(&x, &axes) })
}

fn deviation(
    s: &Sample,
    plain: fn(&Tensor, &[isize], f64) -> Tensor,
    kept: fn(&Tensor, &[isize], f64) -> Tensor,
) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let (dims, correction) = match s.arg(0, "dim") {
        // The only operand is `unbiased`.
        Value::Bool(unbiased) => ((0..x.rank() as isize).collect(), f64::from(u8::from(unbiased))),
        _ => {
            let unbiased = match (s.arg(1, "unbiased"), s.named("correction")) {
                (Value::Bool(unbiased), _) => f64::from(u8::from(unbiased)),
                (_, correction) => correction.float_or(1.0)?,
            };
            (axes(s, &x, 0)?, unbiased)
        }
    };
    let keep = s.arg(2, "keepdim").bool_or(false)?;
    Ok(if keep { kept(&x, &dims, correction) } else { plain(&x, &dims, correction) })
}

/// The index of an extreme along an axis, or of all elements one after another.
fn index(s: &Sample, of: fn(&Tensor, isize) -> Tensor) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let keep = s.arg(1, "keepdim").bool_or(false)?;
    match s.arg(0, "dim") {
        Value::None => {
            let index = of(&x.reshape([x.count()]), 0);
            Ok(if keep { index.reshape(vec![1; x.rank()]) } else { index })
        }
        _ if x.rank() == 0 => Ok(of(&x.reshape([1]), 0)),
        dim => {
            let dim = dim.int()?;
            let index = of(&x, dim);
            Ok(if keep { index.unsqueeze(dim) } else { index })
        }
    }
}

/// Without axes a tensor is a line of one element.
fn along(s: &Sample, x: &Tensor, of: impl Fn(&Tensor, isize) -> Tensor) -> Result<Tensor, Skip> {
    let axis = s.arg(0, "dim").int_or(-1)?;
    Ok(match x.rank() {
        0 => of(&x.reshape([1]), 0).reshape(()),
        _ => of(x, axis),
    })
}

fn cast_to(s: &Sample, x: Tensor) -> Result<Tensor, Skip> {
    match s.named("dtype") {
        Value::None => Ok(x),
        Value::Dtype(dtype) => Ok(x.cast(dtype)),
        other => Err(format!("dtype {}", other.kind())),
    }
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "sum" => |s| reduced(s, |x, axes| x.sum(axes), |x, axes| x.sum_keepdim(axes))?;
        "mean" => |s| reduced(s, |x, axes| x.mean(axes), |x, axes| x.mean_keepdim(axes))?;
        "amax" => |s| reduced(s, |x, axes| x.max(axes), |x, axes| x.max_keepdim(axes))?;
        "amin" => |s| reduced(s, |x, axes| x.min(axes), |x, axes| x.min_keepdim(axes))?;
        "all" => |s| reduced(s, |x, axes| x.all(axes), |x, axes| x.all_keepdim(axes))?;
        "any" => |s| reduced(s, |x, axes| x.any(axes), |x, axes| x.any_keepdim(axes))?;
        "count_nonzero" => |s| {
            reduced(s, |x, axes| x.count_nonzero(axes), |x, axes| x.count_nonzero_keepdim(axes))?
        };
        "logsumexp" => |s| {
            reduced(s, |x, axes| x.logsumexp(axes), |x, axes| x.logsumexp_keepdim(axes))?
        };
        "max.reduction_no_dim" => |s| s.x()?.max(..);
        "min.reduction_no_dim" => |s| s.x()?.min(..);
        "var" => |s| variance(s)?;
        "var.unbiased" => |s| variance(s)?;
        "std" => |s| standard_deviation(s)?;
        "std.unbiased" => |s| standard_deviation(s)?;
        "argmax" => |s| index(s, Tensor::argmax)?;
        "argmin" => |s| index(s, Tensor::argmin)?;
        "cumsum" => |s| { let x = cast_to(s, s.x()?)?; along(s, &x, Tensor::cumsum)? };
        "softmax" => |s| { s.only(1, &["dim"])?; let x = s.x()?; along(s, &x, Tensor::softmax)? };
        "softmax.with_dtype" => |s| {
            let x = cast_to(s, s.x()?)?;
            along(s, &x, Tensor::softmax)?
        };
        "log_softmax" => |s| {
            s.only(1, &["dim"])?;
            let x = s.x()?;
            along(s, &x, Tensor::log_softmax)?
        };
        "log_softmax.with_dtype" => |s| {
            let x = cast_to(s, s.x()?)?;
            along(s, &x, Tensor::log_softmax)?
        };
        "nn.functional.softmin" => |s| {
            s.only(1, &["dim"])?;
            let x = s.x()?.neg();
            along(s, &x, Tensor::softmax)?
        };
        "nn.functional.softmin.with_dtype" => |s| {
            let x = cast_to(s, s.x()?)?.neg();
            along(s, &x, Tensor::softmax)?
        };
        "prod" => |s| {
            s.only(2, &["dim", "keepdim", "dtype"])?;
            let x = cast_to(s, s.x()?)?;
            let axes = axes(s, &x, 0)?;
            if s.arg(1, "keepdim").bool_or(false)? { x.prod_keepdim(&axes[..]) } else { x.prod(&axes[..]) }
        };
        "nansum" => |s| reduced(s, |x, axes| x.nansum(axes), |x, axes| x.nansum_keepdim(axes))?;
        "nanmean" => |s| reduced(s, |x, axes| x.nanmean(axes), |x, axes| x.nanmean_keepdim(axes))?;
        "cumprod" => |s| { let x = cast_to(s, s.x()?)?; along(s, &x, Tensor::cumprod)? };
        "logcumsumexp" => |s| { let x = s.x()?; along(s, &x, Tensor::logcumsumexp)? };
        "msort" => |s| { let x = s.x()?; if x.rank() == 0 { x } else { x.sort(0, false).0 } };
        "argsort" => |s| {
            let descending = s.arg(1, "descending").bool_or(false)?;
            let x = s.x()?;
            along(s, &x, |x, axis| x.argsort(axis, descending))?
        };
        "bucketize" => |s| {
            s.only(1, &["boundaries", "right", "out_int32"])?;
            s.x()?.bucketize(&s.t(0, "boundaries")?, s.named("right").bool_or(false)?)
        };
    };
    let several = many! {
        "sort" => |s| {
            let x = s.x()?;
            let axis = s.arg(0, "dim").int_or(-1)?;
            let descending = s.arg(1, "descending").bool_or(false)?;
            match x.rank() {
                0 => vec![x.clone(), x.reshape([1]).argsort(0, false).reshape(())],
                _ => {
                    let (values, indices) = x.sort(axis, descending);
                    vec![values, indices]
                }
            }
        };
        "topk" => |s| {
            let x = s.x()?;
            let count = s.arg(0, "k").int()? as usize;
            let axis = s.arg(1, "dim").int_or(-1)?;
            let largest = s.arg(2, "largest").bool_or(true)?;
            let (values, indices) = x.topk(count, axis, largest);
            vec![values, indices]
        };
        "max.reduction_with_dim" => |s| picked(s, 0, Tensor::max_with_index)?;
        "min.reduction_with_dim" => |s| picked(s, 0, Tensor::min_with_index)?;
        "median" => |s| match s.arg(0, "dim") {
            Value::None => { let x = s.x()?; vec![x.reshape([x.count()]).median(0).0] }
            _ => picked(s, 0, Tensor::median)?,
        };
        "kthvalue" => |s| {
            let k = s.arg(0, "k").int()? as usize - 1;
            picked(s, 1, |x, axis| x.kthvalue(k, axis))?
        };
        "cummax" => |s| both(s, Tensor::cummax)?;
        "cummin" => |s| both(s, Tensor::cummin)?;
        "aminmax" => |s| {
            let least = reduced(s, |x, axes| x.min(axes), |x, axes| x.min_keepdim(axes))?;
            let most = reduced(s, |x, axes| x.max(axes), |x, axes| x.max_keepdim(axes))?;
            vec![least, most]
        };
        "var_mean" => |s| with_mean(s, variance(s)?)?;
        "var_mean.unbiased" => |s| with_mean(s, variance(s)?)?;
        "std_mean" => |s| with_mean(s, standard_deviation(s)?)?;
        "std_mean.unbiased" => |s| with_mean(s, standard_deviation(s)?)?;
    };
    [&single[..], &several[..]].concat()
}

fn variance(s: &Sample) -> Result<Tensor, Skip> {
    deviation(s, |x, a, c| x.var(a, c), |x, a, c| x.var_keepdim(a, c))
}

fn standard_deviation(s: &Sample) -> Result<Tensor, Skip> {
    deviation(s, |x, a, c| x.std(a, c), |x, a, c| x.std_keepdim(a, c))
}

/// A deviation and the mean over the same axes.
fn with_mean(s: &Sample, deviation: Tensor) -> Result<Vec<Tensor>, Skip> {
    let x = s.x()?;
    let axes = match s.arg(0, "dim") {
        Value::Bool(_) => (0..x.rank() as isize).collect(),
        _ => axes(s, &x, 0)?,
    };
    let keep = s.arg(2, "keepdim").bool_or(false)?;
    let mean = if keep { x.mean_keepdim(&axes[..]) } else { x.mean(&axes[..]) };
    Ok(vec![deviation, mean])
}

/// An element along an axis and its index, with the axis kept or not.
fn picked(
    s: &Sample,
    position: usize,
    of: impl Fn(&Tensor, isize) -> (Tensor, Tensor),
) -> Result<Vec<Tensor>, Skip> {
    let (x, axis) = (s.x()?, s.arg(position, "dim").int_or(-1)?);
    if x.rank() == 0 {
        let (value, index) = of(&x.reshape([1]), 0);
        return Ok(vec![value, index]);
    }
    let (value, index) = of(&x, axis);
    let keep = s.arg(position + 1, "keepdim").bool_or(false)?;
    Ok(match keep {
        true => vec![value.unsqueeze(axis), index.unsqueeze(axis)],
        false => vec![value, index],
    })
}

/// Values and indices along an axis; without axes a tensor is a line of one element.
fn both(s: &Sample, of: fn(&Tensor, isize) -> (Tensor, Tensor)) -> Result<Vec<Tensor>, Skip> {
    let (x, axis) = (s.x()?, s.arg(0, "dim").int()?);
    let (values, indices) = if x.rank() == 0 { of(&x.reshape([1]), 0) } else { of(&x, axis) };
    Ok(vec![values.reshape(*x.shape()), indices.reshape(*x.shape())])
}
