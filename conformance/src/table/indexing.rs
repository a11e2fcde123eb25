//! Writing and picking at indices, segments, strides.

use gradloom::ops::scatter::ScatterReduction;
use gradloom::{DType, Shape, Slice, SliceRange, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

fn scattered(s: &Sample) -> Result<Tensor, Skip> {
    s.only(4, &["reduce"])?;
    let (x, axis, index) = (s.x()?, s.arg(0, "dim").int()?, s.t(1, "index")?);
    match (s.arg(3, "reduce"), s.arg(2, "src")) {
        (Value::None, Value::Tensor(source)) => Ok(x.scatter(axis, &index, &source)),
        (Value::None, number) => Ok(x.scatter(axis, &index, number.operand()?)),
        (reduce, _) => {
            let source = s.t(2, "src")?;
            let reduction = reduction(&reduce.text_or("add")?)?;
            Ok(x.scatter_reduce(axis, &index, &source, reduction, true))
        }
    }
}

fn reduction(name: &str) -> Result<ScatterReduction, Skip> {
    Ok(match name {
        "sum" | "add" => ScatterReduction::Sum,
        "prod" | "multiply" => ScatterReduction::Prod,
        "mean" => ScatterReduction::Mean,
        "amax" | "max" => ScatterReduction::Max,
        "amin" | "min" => ScatterReduction::Min,
        other => return Err(format!("reduction {other}")),
    })
}

type Reduce = fn(&Tensor, isize, &Tensor, &Tensor, ScatterReduction, bool) -> Tensor;

fn scatter_reduced(s: &Sample, reduce: Reduce) -> Result<Tensor, Skip> {
    let (x, axis, index) = (s.x()?, s.arg(0, "dim").int()?, s.t(1, "index")?);
    let (source, name) = (s.t(2, "src")?, s.arg(3, "reduce").text_or("sum")?);
    let include_self = s.named("include_self").bool_or(true)?;
    Ok(reduce(&x, axis, &index, &source, reduction(&name)?, include_self))
}

/// Places that a mask keeps, along each of its axes; an index of integers as it is.
fn places(s: &Sample, value: &Value) -> Result<Vec<Tensor>, Skip> {
    let index = match value {
        Value::List(_) => {
            let places: Vec<i32> = value.ints()?.into_iter().map(|place| place as i32).collect();
            let count = places.len();
            return Tensor::from_vec(places, [count], &s.device)
                .map(|index| vec![index])
                .map_err(|error| error.to_string());
        }
        other => other.tensor()?,
    };
    if index.dtype() != DType::Bool {
        return Ok(vec![index]);
    }
    let kept = index.to_vec::<bool>().map_err(|error| error.to_string())?;
    let kept: Vec<usize> = (0..kept.len()).filter(|&place| kept[place]).collect();
    let mut inner = index.count();
    let mut found = Vec::new();
    for &size in index.shape().iter() {
        inner /= size.max(1);
        let along = kept.iter().map(|place| (place / inner % size) as i32).collect::<Vec<_>>();
        let along = Tensor::from_vec(along, [kept.len()], &s.device);
        found.push(along.map_err(|error| error.to_string())?);
    }
    Ok(found)
}

fn index_put(s: &Sample) -> Result<Tensor, Skip> {
    let Value::List(indices) = s.arg(0, "indices") else { return Err("no indices".into()) };
    let mut found = Vec::new();
    for index in &indices {
        found.extend(places(s, index)?);
    }
    let indices: Vec<Option<&Tensor>> = found.iter().map(Some).collect();
    let accumulate = s.arg(2, "accumulate").bool_or(false)?;
    Ok(s.x()?.index_put(&indices, &s.t(1, "values")?, accumulate))
}

/// `x[...]`: first what is a slice, then what is an index.
fn item(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    // A list of integers is an index, a tuple of them would be one for each axis; the database has the first.
    let entries = match s.arg(0, "index") {
        Value::List(list) if !list.iter().all(|entry| matches!(entry, Value::Int(_))) => list,
        other => vec![other],
    };
    let axes = |entry: &Value| match entry {
        Value::Ellipsis => 0,
        Value::Tensor(mask) if mask.dtype() == DType::Bool => mask.rank(),
        _ => 1,
    };
    let named: usize = entries.iter().map(axes).sum();
    let whole = SliceRange::Range { start: None, end: None, step: 1 };
    let (mut ranges, mut indices) = (Vec::new(), Vec::new());
    for entry in &entries {
        match entry {
            Value::Ellipsis => {
                ranges.extend(vec![whole; x.rank() - named]);
                indices.extend(vec![None; x.rank() - named]);
            }
            Value::Int(at) => ranges.push(SliceRange::Index(*at as isize)),
            Value::Slice(start, end, step) => {
                let step = step.unwrap_or(1);
                ranges.push(SliceRange::Range { start: *start, end: *end, step });
                indices.push(None);
            }
            other => {
                for index in places(s, other)? {
                    ranges.push(whole);
                    indices.push(Some(index));
                }
            }
        }
    }
    let indices: Vec<Option<&Tensor>> = indices.iter().map(Option::as_ref).collect();
    Ok(x.slice(Slice::new(ranges)).index_by(&indices))
}

/// Indices that count from either end, moved into their axes.
fn clamped(s: &Sample, x: &Tensor) -> Result<Vec<Tensor>, Skip> {
    let Value::List(indices) = s.arg(1, "indices") else { return Err("no indices".into()) };
    let inside = |(axis, index): (usize, &Value)| {
        let size = x.shape()[axis] as i64;
        Ok(index.tensor()?.maximum(-size).minimum(size - 1))
    };
    indices.iter().enumerate().map(inside).collect()
}

fn range(s: &Sample, from: usize) -> Result<(isize, SliceRange), Skip> {
    let bound = |position: usize, name: &str| match s.arg(position, name) {
        Value::None => Ok(None),
        other => other.int().map(Some),
    };
    let axis = s.arg(from, "dim").int_or(0)?;
    let (start, end) = (bound(from + 1, "start")?, bound(from + 2, "end")?);
    let step = s.arg(from + 3, "step").int_or(1)?;
    Ok((axis, SliceRange::Range { start, end, step }))
}

fn strides(s: &Sample, from: usize) -> Result<(Vec<usize>, Vec<usize>, usize), Skip> {
    let offset = s.arg(from + 2, "storage_offset").int_or(0)? as usize;
    Ok((s.arg(from, "size").sizes()?, s.arg(from + 1, "stride").sizes()?, offset))
}

fn strided(s: &Sample) -> Result<Tensor, Skip> {
    let (sizes, strides, offset) = strides(s, 0)?;
    Ok(s.x()?.as_strided(&sizes, &strides, offset))
}

fn segments(s: &Sample) -> Result<Tensor, Skip> {
    let (x, reduction) = (s.x()?, reduction(&s.arg(0, "reduce").text_or("sum")?)?);
    let initial = match s.named("initial") {
        Value::None => None,
        other => Some(other.float()?),
    };
    Ok(match s.named("lengths").maybe_tensor()? {
        // What is not checked need not fill the axis.
        Some(lengths) if s.named("unsafe").bool_or(false)? => {
            let mut padding = vec![(0, 0); lengths.rank()];
            padding[lengths.rank() - 1] = (1, 0);
            x.segment_reduce_offsets(&lengths.cumsum(-1).pad(&padding), reduction, initial)
        }
        Some(lengths) => x.segment_reduce(&lengths, reduction, initial),
        None => {
            let offsets = s.named("offsets").tensor()?;
            x.segment_reduce_offsets(&offsets, reduction, initial)
        }
    })
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "scatter" => |s| scattered(s)?;
        "scatter_reduce.sum" => |s| scatter_reduced(s, Tensor::scatter_reduce)?;
        "scatter_reduce.prod" => |s| scatter_reduced(s, Tensor::scatter_reduce)?;
        "scatter_reduce.mean" => |s| scatter_reduced(s, Tensor::scatter_reduce)?;
        "scatter_reduce.amax" => |s| scatter_reduced(s, Tensor::scatter_reduce)?;
        "scatter_reduce.amin" => |s| scatter_reduced(s, Tensor::scatter_reduce)?;
        "index_reduce.prod" => |s| scatter_reduced(s, Tensor::index_reduce)?;
        "index_reduce.mean" => |s| scatter_reduced(s, Tensor::index_reduce)?;
        "index_reduce.amax" => |s| scatter_reduced(s, Tensor::index_reduce)?;
        "index_reduce.amin" => |s| scatter_reduced(s, Tensor::index_reduce)?;
        "index_add" => |s| {
            let (axis, alpha) = (s.arg(0, "dim").int()?, s.named("alpha").float_or(1.0)?);
            s.x()?.index_add(axis, &s.t(1, "index")?, &s.t(2, "source")?, alpha)
        };
        "index_fill" => |s| {
            let (axis, value) = (s.arg(0, "dim").int()?, s.arg(2, "value").operand()?);
            s.x()?.index_fill(axis, &s.t(1, "index")?, value)
        };
        "index_copy" => |s| {
            s.x()?.index_copy(s.arg(0, "dim").int()?, &s.t(1, "index")?, &s.t(2, "source")?)
        };
        "index_put" => |s| index_put(s)?;
        "put" => |s| {
            let accumulate = s.arg(2, "accumulate").bool_or(false)?;
            s.x()?.put(&s.t(0, "index")?, &s.t(1, "source")?, accumulate)
        };
        "masked_scatter" => |s| s.x()?.masked_scatter(&s.t(0, "mask")?, &s.t(1, "source")?);
        "__getitem__" => |s| item(s)?;
        "_unsafe_masked_index" => |s| {
            let (x, mask) = (s.x()?, s.t(0, "mask")?);
            let indices = clamped(s, &x)?;
            let indices: Vec<Option<&Tensor>> = indices.iter().map(Some).collect();
            mask.select(x.index_by(&indices), s.arg(2, "fill").operand()?)
        };
        "_unsafe_masked_index_put_accumulate" => |s| {
            let (x, mask, values) = (s.x()?, s.t(0, "mask")?, s.t(2, "values")?);
            let indices = clamped(s, &x)?;
            let indices: Vec<Option<&Tensor>> = indices.iter().map(Some).collect();
            x.index_put(&indices, &mask.select(values, 0.0), true)
        };
        "slice" => |s| {
            let ((axis, range), x) = (range(s, 0)?, s.x()?);
            let whole = SliceRange::Range { start: None, end: None, step: 1 };
            let mut ranges = vec![whole; x.rank()];
            ranges[axis.rem_euclid(x.rank() as isize) as usize] = range;
            x.slice(Slice::new(ranges))
        };
        "slice_scatter" => |s| {
            let (axis, range) = range(s, 1)?;
            s.x()?.slice_scatter(&s.t(0, "src")?, axis, range)
        };
        "select_scatter" => |s| {
            s.x()?.select_scatter(&s.t(0, "src")?, s.arg(1, "dim").int()?, s.arg(2, "index").int()?)
        };
        "diagonal_scatter" => |s| {
            let (first, second) = (s.arg(2, "dim1").int_or(0)?, s.arg(3, "dim2").int_or(1)?);
            let offset = s.arg(1, "offset").int_or(0)?;
            s.x()?.diagonal_scatter(&s.t(0, "src")?, offset, first, second)
        };
        "as_strided" => |s| strided(s)?;
        "as_strided_copy" => |s| strided(s)?;
        // The samples are parts of larger memory, but are written down on their own.
        "as_strided.partial_views" => |s| strided(s)?;
        "as_strided_scatter" => |s| {
            let (sizes, strides, offset) = strides(s, 1)?;
            s.x()?.as_strided_scatter(&s.t(0, "src")?.reshape(sizes), &strides, offset)
        };
        "_segment_reduce.lengths" => |s| segments(s)?;
        "_segment_reduce.offsets" => |s| segments(s)?;
        "_chunk_cat" => |s| {
            let (axis, count) = (s.arg(0, "dim").int()?, s.arg(1, "num_chunks").int()? as usize);
            Tensor::chunk_concat(&s.input().tensors()?, axis, count)
        };
        "combinations" => |s| {
            let replacement = s.named("with_replacement").bool_or(false)?;
            s.x()?.combinations(s.arg(0, "r").int_or(2)? as usize, replacement)
        };
        "resize_" => |s| s.x()?.resize(Shape::new(&s.arg(0, "size").sizes()?));
        "resize_as_" => |s| s.x()?.resize(*s.t(0, "other")?.shape());
    }
    .to_vec()
}
