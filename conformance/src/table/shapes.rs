//! Views, joins, picking.

use gradloom::{DType, Shape, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// Integers given one by one or as a list.
fn integers(s: &Sample, name: &str) -> Result<Vec<isize>, Skip> {
    match (s.args(), s.named(name)) {
        ([Value::List(_)], _) => s.args()[0].ints(),
        ([], named) => named.ints(),
        (several, _) => several.iter().map(Value::int).collect(),
    }
}

fn reshaped(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    Ok(x.reshape(&integers(s, "shape")?[..]))
}

/// Sizes in which -1 is that of the operand.
fn expanded(s: &Sample) -> Result<Tensor, Skip> {
    let (x, sizes) = (s.x()?, integers(s, "size")?);
    let missing = sizes.len() - x.rank();
    let size = |(axis, &size): (usize, &isize)| match size {
        -1 => x.shape()[axis - missing],
        size => size as usize,
    };
    let sizes: Vec<usize> = sizes.iter().enumerate().map(size).collect();
    Ok(x.broadcast_to(Shape::new(&sizes)))
}

fn transposed(s: &Sample) -> Result<Tensor, Skip> {
    let (x, a, b) = (s.x()?, s.arg(0, "dim0").int()?, s.arg(1, "dim1").int()?);
    Ok(if x.rank() == 0 { x } else { x.transpose(a, b) })
}

fn permuted(s: &Sample) -> Result<Tensor, Skip> {
    Ok(s.x()?.permute(&integers(s, "dims")?))
}

fn squeezed(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let rank = x.rank() as isize;
    let dims = match s.arg(0, "dim") {
        Value::None => (0..rank).collect(),
        dims => dims.ints()?,
    };
    let dims: Vec<isize> = dims.iter().map(|&dim| if dim < 0 { dim + rank } else { dim }).collect();
    let kept = |axis: usize| x.shape()[axis] != 1 || !dims.contains(&(axis as isize));
    let sizes: Vec<usize> =
        (0..x.rank()).filter(|&axis| kept(axis)).map(|axis| x.shape()[axis]).collect();
    Ok(x.reshape(Shape::new(&sizes)))
}

fn narrowed(s: &Sample) -> Result<Tensor, Skip> {
    let (x, axis) = (s.x()?, s.arg(0, "dim").int()?);
    let start = match s.arg(1, "start") {
        Value::Int(start) if start < 0 => start as isize + x.size(axis) as isize,
        start => start.int()?,
    };
    Ok(x.narrow(axis, start as usize, s.arg(2, "length").int()? as usize))
}

fn chunks(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    Ok(s.x()?.chunk(s.arg(0, "chunks").int()? as usize, s.arg(1, "dim").int_or(0)?))
}

fn parts(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    let (x, axis) = (s.x()?, s.arg(1, "dim").int_or(0)?);
    let sizes = match s.arg(0, "split_size_or_sections") {
        Value::None => s.named("split_sizes").sizes()?,
        Value::Int(size) => {
            let (total, size) = (x.size(axis), size as usize);
            let mut sizes = vec![size; total / size];
            if total % size > 0 {
                sizes.push(total % size);
            }
            sizes
        }
        list => list.sizes()?,
    };
    Ok(x.split(&sizes, axis))
}

/// Columns of no axis and of one become two axes.
fn joined(s: &Sample, axis: isize, rank: usize) -> Result<Tensor, Skip> {
    let grown = |x: Tensor| {
        let mut x = x;
        while x.rank() < rank {
            x = x.unsqueeze(if rank == 2 && axis == 0 || x.rank() == 0 { 0 } else { -1 });
        }
        x
    };
    let tensors: Vec<Tensor> = s.tensors()?.into_iter().map(grown).collect();
    Ok(Tensor::concat(&tensors, axis))
}

fn filled(s: &Sample, value: Value, position: usize) -> Result<Tensor, Skip> {
    let sizes = match s.input() {
        Value::Tensor(_) => s.arg(position, "size").sizes()?,
        list => list.sizes()?,
    };
    let dtype = match s.named("dtype") {
        Value::Dtype(DType::F64) | Value::None => DType::F32,
        Value::Dtype(dtype) => dtype,
        other => return Err(other.kind()),
    };
    Ok(Tensor::full(Shape::new(&sizes), value.float()?, dtype, &s.device))
}

fn like(s: &Sample, value: f64) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let dtype = match s.named("dtype") {
        Value::None => x.dtype(),
        Value::Dtype(DType::F64) => DType::F32,
        Value::Dtype(dtype) => dtype,
        other => return Err(other.kind()),
    };
    Ok(Tensor::full(*x.shape(), value, dtype, &s.device))
}

fn converted(s: &Sample, dtype: DType) -> Result<Tensor, Skip> {
    let lacks = dtype == DType::I64 && !s.device.capabilities().i64;
    Ok(s.x()?.cast(if lacks { DType::I32 } else { dtype }))
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "reshape" => |s| reshaped(s)?;
        "view" => |s| reshaped(s)?;
        "view_copy" => |s| reshaped(s)?;
        "reshape_as" => |s| s.x()?.reshape(*s.t(0, "other")?.shape());
        "view_as" => |s| s.x()?.reshape(*s.t(0, "other")?.shape());
        "ravel" => |s| { let x = s.x()?; x.reshape([x.count()]) };
        "flatten" => |s| {
            let x = s.x()?;
            match x.rank() {
                0 => x.reshape([1]),
                _ => x.flatten(s.arg(0, "start_dim").int_or(0)?, s.arg(1, "end_dim").int_or(-1)?),
            }
        };
        "expand" => |s| expanded(s)?;
        "expand_copy" => |s| expanded(s)?;
        "broadcast_to" => |s| expanded(s)?;
        "expand_as" => |s| s.x()?.broadcast_to(*s.t(0, "other")?.shape());
        "transpose" => |s| transposed(s)?;
        "transpose_copy" => |s| transposed(s)?;
        "permute" => |s| permuted(s)?;
        "permute_copy" => |s| permuted(s)?;
        "t" => |s| { let x = s.x()?; if x.rank() < 2 { x } else { x.t() } };
        "t_copy" => |s| { let x = s.x()?; if x.rank() < 2 { x } else { x.t() } };
        "mT" => |s| s.x()?.transpose(-2, -1);
        "mH" => |s| s.x()?.transpose(-2, -1);
        "T" => |s| {
            let x = s.x()?;
            x.permute(&(0..x.rank() as isize).rev().collect::<Vec<_>>())
        };
        "H" => |s| { let x = s.x()?; if x.rank() < 2 { x } else { x.t() } };
        "squeeze" => |s| squeezed(s)?;
        "squeeze_copy" => |s| squeezed(s)?;
        "squeeze.multiple" => |s| squeezed(s)?;
        "unsqueeze" => |s| s.x()?.unsqueeze(s.arg(0, "dim").int()?);
        "unsqueeze_copy" => |s| s.x()?.unsqueeze(s.arg(0, "dim").int()?);
        "flip" => |s| { let x = s.x()?; x.flip(&integers(s, "dims")?[..]) };
        "fliplr" => |s| s.x()?.flip(1);
        "flipud" => |s| s.x()?.flip(0);
        "narrow" => |s| narrowed(s)?;
        "narrow_copy" => |s| narrowed(s)?;
        "select" => |s| s.x()?.index(s.arg(0, "dim").int()?, s.arg(1, "index").int()?);
        "tril" => |s| s.x()?.tril(s.arg(0, "diagonal").int_or(0)?);
        "triu" => |s| s.x()?.triu(s.arg(0, "diagonal").int_or(0)?);
        "repeat" => |s| {
            let counts = integers(s, "repeats")?;
            s.x()?.repeat(&counts.iter().map(|&count| count as usize).collect::<Vec<_>>())
        };
        "roll" => |s| {
            let (x, shifts) = (s.x()?, s.arg(0, "shifts").ints()?);
            match s.arg(1, "dims") {
                Value::None => x.reshape([x.count()]).roll(shifts[0], 0).reshape(*x.shape()),
                dims => {
                    let pairs = shifts.into_iter().zip(dims.ints()?);
                    pairs.fold(x, |x, (shift, axis)| x.roll(shift, axis))
                }
            }
        };
        "cat" => |s| {
            let tensors = s.input().tensors()?;
            if tensors.iter().any(|x| x.rank() != tensors[0].rank()) {
                return Err("an empty line among others".into());
            }
            Tensor::concat(&tensors, s.arg(0, "dim").int_or(0)?)
        };
        "stack" => |s| Tensor::stack(&s.input().tensors()?, s.arg(0, "dim").int_or(0)?);
        "vstack" => |s| joined(s, 0, 2)?;
        "hstack" => |s| {
            let rank = s.tensors()?[0].rank();
            joined(s, isize::from(rank > 1), 1)?
        };
        "column_stack" => |s| joined(s, 1, 2)?;
        "gather" => |s| {
            let (x, index) = (s.x()?, s.t(1, "index")?);
            match x.rank() {
                0 => return Err("no axis".into()),
                rank if rank != index.rank() => return Err("an index of other axes".into()),
                _ => x.gather(s.arg(0, "dim").int()?, &index),
            }
        };
        "index_select" => |s| {
            let (x, index) = (s.x()?, s.t(1, "index")?);
            match (x.rank(), index.rank()) {
                (0, _) | (_, 0) => return Err("no axis".into()),
                _ => x.index_select(s.arg(0, "dim").int()?, &index),
            }
        };
        "take_along_dim" => |s| match s.arg(1, "dim") {
            Value::None => {
                let (x, index) = (s.x()?, s.t(0, "indices")?);
                x.reshape([x.count()]).gather(0, &index.reshape([index.count()]))
            }
            dim => {
                let (x, index) = (s.x()?, s.t(0, "indices")?);
                if x.rank() == 0 || x.rank() != index.rank() {
                    return Err("an index of other axes".into());
                }
                let dim = dim.int()?.rem_euclid(x.rank() as isize) as usize;
                let (mut own, mut wanted) = (x.shape().to_vec(), index.shape().to_vec());
                for axis in (0..own.len()).filter(|&axis| axis != dim) {
                    let size = if own[axis] == 1 { wanted[axis] } else { own[axis] };
                    (own[axis], wanted[axis]) = (size, size);
                }
                let (own, wanted) = (Shape::new(&own), Shape::new(&wanted));
                let size = x.shape()[dim] as i64;
                let index = index.lt(0).select(index.add(size), &index);
                x.broadcast_to(own).gather(dim as isize, &index.broadcast_to(wanted))
            }
        };
        "take" => |s| {
            let (x, index) = (s.x()?, s.t(0, "index")?);
            let count = x.count();
            let index = index.lt(0).select(index.add(count as i64), &index);
            x.reshape([count]).take(0, &index)
        };
        "scatter_add" => |s| {
            let (x, index, source) = (s.x()?, s.t(1, "index")?, s.t(2, "src")?);
            match x.rank() {
                0 => return Err("no axis".into()),
                _ if index.shape() != source.shape() => return Err("a part of the source".into()),
                _ => x.scatter_add(s.arg(0, "dim").int()?, &index, &source),
            }
        };
        "eye" => |s| match (s.input(), s.args()) {
            (Value::Int(n), []) => { s.only(0, &[])?; Tensor::eye(*n as usize, DType::F32, &s.device) }
            _ => return Err("two sizes".into()),
        };
        "zeros" => |s| filled(s, Value::Float(0.0), 0)?;
        "ones" => |s| filled(s, Value::Float(1.0), 0)?;
        "new_zeros" => |s| filled(s, Value::Float(0.0), 0)?;
        "new_ones" => |s| filled(s, Value::Float(1.0), 0)?;
        "full" => |s| filled(s, s.arg(0, "fill_value"), 0)?;
        "new_full" => |s| filled(s, s.arg(1, "fill_value"), 0)?;
        "zeros_like" => |s| like(s, 0.0)?;
        "ones_like" => |s| like(s, 1.0)?;
        "full_like" => |s| like(s, s.arg(0, "fill_value").float()?)?;
        "fill" => |s| like(s, s.arg(0, "value").float()?)?;
        "bool" => |s| converted(s, DType::Bool)?;
        "byte" => |s| converted(s, DType::I32)?.cast(DType::U8);
        "char" => |s| converted(s, DType::I8)?;
        "int" => |s| converted(s, DType::I32)?;
        "long" => |s| converted(s, DType::I64)?;
        "float" => |s| converted(s, DType::F32)?;
        "half" => |s| converted(s, DType::F16)?;
        "bfloat16" => |s| converted(s, DType::BF16)?;
        "constant_pad_nd" => |s| padded(s)?;
        "nn.functional.pad.constant" => |s| padded(s)?;
        "movedim" => |s| {
            let (x, from, to) =
                (s.x()?, s.arg(0, "source").ints()?, s.arg(1, "destination").ints()?);
            match (from.as_slice(), to.as_slice()) {
                ([from], [to]) => x.movedim(*from, *to),
                ([], []) => x,
                _ => return Err("several axes".into()),
            }
        };
        "unflatten" => |s| s.x()?.unflatten(s.arg(0, "dim").int()?, &s.arg(1, "sizes").ints()?);
        "rot90" => |s| {
            let axes = match s.arg(1, "dims") {
                Value::None => vec![0, 1],
                axes => axes.ints()?,
            };
            s.x()?.rot90(s.arg(0, "k").int_or(1)?, axes[0], axes[1])
        };
        "diagonal" => |s| diagonal(s)?;
        "diagonal_copy" => |s| diagonal(s)?;
        "diag_embed" => |s| {
            s.only(1, &["offset"])?;
            s.x()?.diag_embed(s.arg(0, "offset").int_or(0)?)
        };
        "diag" => |s| {
            let (x, offset) = (s.x()?, s.arg(0, "diagonal").int_or(0)?);
            if x.rank() == 1 { x.diag_embed(offset) } else { x.diagonal(offset, 0, 1) }
        };
        "diagflat" => |s| {
            let x = s.x()?;
            x.reshape([x.count()]).diag_embed(s.arg(0, "offset").int_or(0)?)
        };
        "trace" => |s| s.x()?.trace();
        "repeat_interleave" => |s| match (s.arg(0, "repeats"), s.arg(1, "dim")) {
            (Value::Int(count), Value::None) => {
                let x = s.x()?;
                x.reshape([x.count()]).repeat_interleave(count as usize, 0)
            }
            (Value::Int(count), dim) if s.x()?.rank() > 0 => {
                s.x()?.repeat_interleave(count as usize, dim.int()?)
            }
            _ => return Err("a number for each element".into()),
        };
        "unfold" => |s| windows(s)?;
        "unfold_copy" => |s| windows(s)?;
    };
    let several = many! {
        "atleast_1d" => |s| s.tensors()?.iter().map(Tensor::atleast_1d).collect();
        "atleast_2d" => |s| s.tensors()?.iter().map(Tensor::atleast_2d).collect();
        "atleast_3d" => |s| s.tensors()?.iter().map(Tensor::atleast_3d).collect();
        "unbind" => |s| s.x()?.unbind(s.arg(0, "dim").int_or(0)?);
        "unbind_copy" => |s| s.x()?.unbind(s.arg(0, "dim").int_or(0)?);
        "meshgrid.variadic_tensors" => |s| grids(s)?;
        "meshgrid.list_of_tensors" => |s| grids(s)?;
        "chunk" => |s| chunks(s)?;
        "unsafe_chunk" => |s| chunks(s)?;
        "split" => |s| parts(s)?;
        "split.list_args" => |s| parts(s)?;
        "split_with_sizes" => |s| parts(s)?;
        "split_with_sizes_copy" => |s| parts(s)?;
        "unsafe_split" => |s| parts(s)?;
        "broadcast_tensors" => |s| {
            let tensors = s.tensors()?;
            let sum = tensors.iter().skip(1).fold(tensors[0].clone(), |sum, x| sum + x);
            tensors.iter().map(|x| x.broadcast_to(*sum.shape())).collect()
        };
    };
    [&single[..], &several[..]].concat()
}

fn padded(s: &Sample) -> Result<Tensor, Skip> {
    let (x, pairs) = (s.x()?, s.arg(0, "pad").ints()?);
    let value = match s.arg(1, "value") {
        Value::None | Value::Text(_) => s.arg(2, "value").float_or(0.0)?,
        value => value.float()?,
    };
    if pairs.iter().any(|&size| size < 0) {
        return Err("padding below zero".into());
    }
    let mut padding = vec![(0, 0); x.rank()];
    for (pair, axis) in pairs.chunks(2).zip((0..x.rank()).rev()) {
        padding[axis] = (pair[0] as usize, pair[1] as usize);
    }
    Ok(x.pad_value(&padding, value))
}

fn diagonal(s: &Sample) -> Result<Tensor, Skip> {
    let (first, second) = (s.arg(1, "dim1").int_or(0)?, s.arg(2, "dim2").int_or(1)?);
    Ok(s.x()?.diagonal(s.arg(0, "offset").int_or(0)?, first, second))
}

fn windows(s: &Sample) -> Result<Tensor, Skip> {
    let (x, axis) = (s.x()?, s.arg(0, "dimension").int()?);
    let (size, step) = (s.arg(1, "size").int()? as usize, s.arg(2, "step").int()? as usize);
    Ok(match x.rank() {
        0 => x.reshape([1]).narrow(0, 0, size),
        _ => x.sliding_windows(axis, size, step),
    })
}

fn grids(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    let indexing = s.named("indexing").text_or("ij")?;
    if indexing != "ij" {
        return Err(format!("indexing {indexing}"));
    }
    Ok(Tensor::meshgrid(&s.tensors()?))
}
