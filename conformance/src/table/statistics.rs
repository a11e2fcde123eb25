//! Covariances, quantiles, counts and what is most frequent.

use gradloom::{Bins, CovOptions, Interpolation, Operand, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

fn covariance(s: &Sample) -> Result<Tensor, Skip> {
    s.only(0, &["correction", "fweights", "aweights"])?;
    let mut options = CovOptions::default().correction(s.named("correction").float_or(1.0)?);
    if let Some(weights) = s.named("fweights").maybe_tensor()? {
        options = options.frequencies(&weights);
    }
    if let Some(weights) = s.named("aweights").maybe_tensor()? {
        options = options.importances(&weights);
    }
    Ok(s.x()?.cov(&options))
}

/// An axis and whether it is kept; a tensor without axes is a line of one element.
fn line(s: &Sample, position: usize) -> Result<(Tensor, isize, bool), Skip> {
    let x = s.x()?;
    let keep = s.arg(position + 1, "keepdim").bool_or(false)?;
    let axis = s.arg(position, "dim").int_or(-1)?;
    Ok(if x.rank() == 0 { (x.reshape([1]), 0, false) } else { (x, axis, keep) })
}

fn quantiles(
    s: &Sample,
    of: fn(&Tensor, &[f64], isize, Interpolation) -> Tensor,
    of_tensor: fn(&Tensor, &Tensor, isize, Interpolation) -> Tensor,
) -> Result<Tensor, Skip> {
    s.only(3, &["q", "dim", "keepdim", "interpolation"])?;
    let interpolation = match s.named("interpolation").text_or("linear")?.as_str() {
        "linear" => Interpolation::Linear,
        "lower" => Interpolation::Lower,
        "higher" => Interpolation::Higher,
        "midpoint" => Interpolation::Midpoint,
        "nearest" => Interpolation::Nearest,
        other => return Err(format!("interpolation {other}")),
    };
    let x = s.x()?;
    let keep = s.arg(2, "keepdim").bool_or(false)?;
    let (flat, axis) = match s.arg(1, "dim") {
        Value::None => (x.reshape([x.count()]), 0),
        _ if x.rank() == 0 => (x.reshape([1]), 0),
        axis => (x.clone(), axis.int()?),
    };
    let (mut found, many) = match s.arg(0, "q") {
        Value::Tensor(q) if q.rank() == 0 => {
            (of_tensor(&flat, &q.reshape([1]), axis, interpolation), false)
        }
        Value::Tensor(q) => (of_tensor(&flat, &q, axis, interpolation), true),
        q => (of(&flat, &[q.float()?], axis, interpolation), false),
    };
    if keep && x.rank() > 0 {
        found = match s.arg(1, "dim") {
            Value::None => {
                let shape = [found.size(0)].into_iter().chain(vec![1; x.rank()]);
                found.reshape(shape.collect::<Vec<_>>())
            }
            axis => {
                let axis = axis.int()?.rem_euclid(x.rank() as isize);
                found.unsqueeze(axis + 1)
            }
        };
    }
    Ok(if many { found } else { found.squeeze(0) })
}

/// Bins of a sample: a number of them, or edges; and the range of a coordinate.
fn bins(value: &Value, range: Option<(f64, f64)>) -> Result<Bins, Skip> {
    Ok(match (value, range) {
        (Value::Tensor(edges), _) => Bins::from(edges),
        (count, None) => Bins::from(count.int()? as usize),
        (count, Some((low, high))) => Bins::Range { count: count.int()? as usize, low, high },
    })
}

fn ranges(s: &Sample, count: usize) -> Result<Vec<Option<(f64, f64)>>, Skip> {
    match s.named("range") {
        Value::List(list) => {
            let ends = list.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?;
            Ok(ends.chunks(2).map(|pair| Some((pair[0], pair[1]))).collect())
        }
        _ => Ok(vec![None; count]),
    }
}

fn gradients(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    s.only(0, &["dim", "spacing", "edge_order"])?;
    let x = s.x()?;
    let axes = match s.named("dim") {
        Value::None => (0..x.rank() as isize).collect(),
        axes => axes.ints()?,
    };
    let order = s.named("edge_order").int_or(1)? as usize;
    let spacing = |place: usize| -> Result<Operand, Skip> {
        match s.named("spacing") {
            Value::None => Ok(Operand::from(1.0)),
            Value::List(list) => list[place].operand(),
            number => number.operand(),
        }
    };
    let along = axes.iter().enumerate();
    along.map(|(place, &axis)| Ok(x.gradient(axis, spacing(place)?, order))).collect()
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "cov" => |s| covariance(s)?;
        "corrcoef" => |s| s.x()?.corrcoef();
        "quantile" => |s| quantiles(s, Tensor::quantiles, Tensor::quantiles_of)?;
        "nanquantile" => |s| quantiles(s, Tensor::nanquantiles, Tensor::nanquantiles_of)?;
        "histc" => |s| {
            s.only(3, &["bins", "min", "max"])?;
            let count = s.arg(0, "bins").int_or(100)? as usize;
            s.x()?.histc(count, s.arg(1, "min").float_or(0.0)?, s.arg(2, "max").float_or(0.0)?)
        };
        "searchsorted" => |s| {
            s.only(1, &["right", "out_int32", "side", "sorter"])?;
            let side = s.named("side").text_or("left")?;
            let right = s.named("right").bool_or(false)? || side == "right";
            let x = s.x()?;
            let values = match s.arg(0, "values") {
                Value::Tensor(values) => values,
                number => Tensor::scalar(number.float()?, x.dtype(), &s.device),
            };
            match s.named("sorter").maybe_tensor()? {
                Some(order) => x.searchsorted_by(&order, &values, right),
                None => x.searchsorted(&values, right),
            }
        };
    };
    let several = many! {
        "mode" => |s| {
            let (x, axis, keep) = line(s, 0)?;
            let (value, index) = x.mode(axis);
            match keep {
                true => vec![value.unsqueeze(axis), index.unsqueeze(axis)],
                false => vec![value, index],
            }
        };
        "nanmedian" => |s| match s.arg(0, "dim") {
            Value::None => { let x = s.x()?; vec![x.reshape([x.count()]).nanmedian(0).0] }
            _ => {
                let (x, axis, keep) = line(s, 0)?;
                let (value, index) = x.nanmedian(axis);
                match keep {
                    true => vec![value.unsqueeze(axis), index.unsqueeze(axis)],
                    false => vec![value, index],
                }
            }
        };
        "histogram" => |s| {
            s.only(1, &["bins", "range", "weight", "density"])?;
            let bins = bins(&s.arg(0, "bins"), ranges(s, 1)?[0])?;
            let weight = s.named("weight").maybe_tensor()?;
            let density = s.named("density").bool_or(false)?;
            let (counts, edges) = s.x()?.histogram(bins, weight.as_ref(), density);
            vec![counts, edges]
        };
        "histogramdd" => |s| {
            s.only(1, &["bins", "range", "weight", "density"])?;
            let Value::List(list) = s.arg(0, "bins") else { return Err("one number of bins".into()) };
            let ranges = ranges(s, list.len())?;
            let along = list.iter().zip(ranges).map(|(value, range)| bins(value, range));
            let weight = s.named("weight").maybe_tensor()?;
            let density = s.named("density").bool_or(false)?;
            let (counts, edges) =
                s.x()?.histogramdd(&along.collect::<Result<Vec<_>, _>>()?, weight.as_ref(), density);
            [vec![counts], edges].concat()
        };
        "gradient" => |s| gradients(s)?;
    };
    [&single[..], &several[..]].concat()
}
