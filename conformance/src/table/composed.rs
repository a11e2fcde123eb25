//! Operators without a method of their own, as a few calls.

use gradloom::{DType, Shape, Tensor};

use super::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// The index of one axis in the shape of what is moved by it.
fn spread(index: &Tensor, axis: isize, shape: &Shape) -> Tensor {
    let axis = axis.rem_euclid(shape.rank() as isize) as usize;
    let mut own = vec![1; shape.rank()];
    own[axis] = index.count();
    index.reshape(own).broadcast_to(*shape)
}

/// A tensor of no axes as a line of one element.
fn line(x: Tensor) -> Tensor {
    if x.rank() == 0 { x.reshape([1]) } else { x }
}

/// Where an index along an axis names something.
fn named(x: &Tensor, axis: isize, index: &Tensor) -> Tensor {
    let part = x.shape().with(axis.rem_euclid(x.rank() as isize) as usize, index.count());
    let ones = Tensor::ones(part, DType::F32, x.device());
    Tensor::scatter_add_zeros(*x.shape(), axis, &spread(index, axis, &part), &ones).gt(0.5)
}

fn index_add(s: &Sample) -> Result<Tensor, Skip> {
    let (x, axis, index) = (s.x()?, s.arg(0, "dim").int()?, line(s.t(1, "index")?));
    let source = s.t(2, "source")?.mul(s.named("alpha").float_or(1.0)?);
    let (own, source) = (line(x.clone()), line(source));
    let index = spread(&index, axis, source.shape());
    Ok(own.scatter_add(axis, &index, &source).reshape(*x.shape()))
}

fn index_fill(s: &Sample) -> Result<Tensor, Skip> {
    let (x, axis, index) = (s.x()?, s.arg(0, "dim").int()?, line(s.t(1, "index")?));
    let own = line(x.clone());
    let filled = named(&own, axis, &index).select(s.arg(2, "value").operand()?, &own);
    Ok(filled.reshape(*x.shape()))
}

fn index_copy(s: &Sample) -> Result<Tensor, Skip> {
    let (x, axis, index) = (s.x()?, s.arg(0, "dim").int()?, line(s.t(1, "index")?));
    let (own, source) = (line(x.clone()), line(s.t(2, "source")?));
    let moved = Tensor::scatter_add_zeros(
        *own.shape(),
        axis,
        &spread(&index, axis, source.shape()),
        &source,
    );
    Ok(named(&own, axis, &index).select(moved, &own).reshape(*x.shape()))
}

/// A part along an axis replaced: the rest, the part, the rest.
fn replaced(x: &Tensor, axis: isize, start: usize, part: &Tensor) -> Tensor {
    let (size, length) = (x.size(axis), part.size(axis));
    let before = x.narrow(axis, 0, start);
    let after = x.narrow(axis, start + length, size - start - length);
    Tensor::concat(&[before, part.clone(), after], axis)
}

fn padded(s: &Sample) -> Result<Tensor, Skip> {
    let (mut x, pairs) = (s.x()?, s.arg(0, "pad").ints()?);
    let mode = s.arg(1, "mode").text_or("constant")?;
    let rank = x.rank();
    for (pair, axis) in pairs.chunks(2).zip((0..rank).rev()) {
        let (axis, size) = (axis as isize, x.size(axis as isize));
        let [before, after] = [pair[0], pair[1]];
        let cut = [before, after].map(|n| n.min(0).unsigned_abs());
        let (before, after) = (before.max(0) as usize, after.max(0) as usize);
        let [first, last] = match mode.as_str() {
            "reflect" => [
                x.narrow(axis, 1.min(size), before).flip(axis),
                x.narrow(axis, (size - after).saturating_sub(1), after).flip(axis),
            ],
            "replicate" => [
                x.narrow(axis, 0, 1.min(size)).repeat_interleave(before, axis),
                x.narrow(axis, size.saturating_sub(1), 1.min(size)).repeat_interleave(after, axis),
            ],
            "circular" => [x.narrow(axis, size - before, before), x.narrow(axis, 0, after)],
            other => return Err(format!("mode {other}")),
        };
        x = Tensor::concat(&[first, x, last], axis);
        x = x.narrow(axis, cut[0], x.size(axis) - cut[0] - cut[1]);
    }
    Ok(x)
}

/// The nearest elements for a new size of the last axes.
fn nearest(x: &Tensor, output: &[usize], scales: Option<&[f64]>) -> Tensor {
    let first = x.rank() - output.len();
    let mut y = x.clone();
    for (at, &size) in output.iter().enumerate() {
        let (axis, own) = ((first + at) as isize, x.shape()[first + at]);
        let step = scales.map_or(own as f64 / size as f64, |scales| 1.0 / scales[at]);
        let place = |out: usize| ((out as f64 * step).floor() as usize).min(own - 1) as i32;
        let places: Vec<i32> = (0..size).map(place).collect();
        let Ok(index) = Tensor::from_vec(places, [size], x.device()) else { break };
        y = y.take(axis, &index);
    }
    y
}

fn upsampled(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let axes = x.rank() - 2;
    Ok(match (s.arg(0, "size"), s.arg(1, "scale_factor")) {
        (Value::None, scale) => {
            let scales = match &scale {
                Value::List(list) => {
                    list.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?
                }
                one => vec![one.float()?; axes],
            };
            let sizes = x.shape()[2..].iter().zip(&scales);
            let output: Vec<usize> =
                sizes.map(|(&size, scale)| (size as f64 * scale).floor() as usize).collect();
            nearest(&x, &output, Some(&scales))
        }
        (size, _) => {
            let size = size.sizes()?;
            let output = if size.len() == axes { size } else { vec![size[0]; axes] };
            nearest(&x, &output, None)
        }
    })
}

fn reduced(s: &Sample, losses: Tensor) -> Result<Tensor, Skip> {
    Ok(match s.named("reduction").text_or("mean")?.as_str() {
        "mean" => losses.mean(..),
        "sum" => losses.sum(..),
        _ => losses,
    })
}

/// `sum(|x - y + epsilon|^power)^(1 / power)` of the last axis.
fn distance(x: &Tensor, y: &Tensor, power: f64, epsilon: f64) -> Tensor {
    let difference = x.sub(y).add(epsilon);
    match power {
        2.0 => difference.square().sum(-1).sqrt(),
        1.0 => difference.abs().sum(-1),
        _ => difference.abs().powf(power).sum(-1).powf(1.0 / power),
    }
}

/// Normalised over all axes but the first two.
fn instances(s: &Sample) -> Result<Tensor, Skip> {
    if !s.named("use_input_stats").bool_or(true)? {
        return Err("running statistics".into());
    }
    let (x, axes): (Tensor, Vec<isize>) = (s.x()?, (2..s.x()?.rank() as isize).collect());
    let epsilon = s.named("eps").float_or(1e-5)?;
    scaled_by_channel(s, normalised(&x, &axes, epsilon))
}

fn normalised(x: &Tensor, axes: &[isize], epsilon: f64) -> Tensor {
    let centred = x.sub(x.mean_keepdim(axes));
    centred.mul(x.var_keepdim(axes, 0).add(epsilon).rsqrt())
}

fn scaled_by_channel(s: &Sample, y: Tensor) -> Result<Tensor, Skip> {
    let mut shape = vec![1; y.rank()];
    shape[1] = y.shape()[1];
    let y = match s.arg(2, "weight").maybe_tensor()? {
        Some(weight) => y.mul(weight.reshape(&shape[..])),
        None => y,
    };
    Ok(match s.arg(3, "bias").maybe_tensor()? {
        Some(bias) => y.add(bias.reshape(&shape[..])),
        None => y,
    })
}

fn batches(s: &Sample) -> Result<Tensor, Skip> {
    let x = s.x()?;
    if x.rank() < 2 {
        return Err("no axis of channels".into());
    }
    let epsilon = s.named("eps").float_or(1e-5)?;
    let axes: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
    let mut shape = vec![1; x.rank()];
    shape[1] = x.shape()[1];
    let y = match s.named("training").bool_or(false)? {
        true => normalised(&x, &axes, epsilon),
        false => {
            let mean = s.t(0, "running_mean")?.reshape(&shape[..]);
            let variance = s.t(1, "running_var")?.reshape(&shape[..]);
            x.sub(mean).mul(variance.add(epsilon).rsqrt())
        }
    };
    scaled_by_channel(s, y)
}

fn differences(s: &Sample) -> Result<Tensor, Skip> {
    let (mut x, axis) = (s.x()?, s.arg(1, "dim").int_or(-1)?);
    let ends = [s.arg(2, "prepend").maybe_tensor()?, s.arg(3, "append").maybe_tensor()?];
    let [first, last] = ends;
    let parts: Vec<Tensor> = first.into_iter().chain([x]).chain(last).collect();
    x = Tensor::concat(&parts, axis);
    for _ in 0..s.arg(0, "n").int_or(1)? {
        let length = x.size(axis).saturating_sub(1);
        x = x.narrow(axis, 1.min(x.size(axis)), length).sub(x.narrow(axis, 0, length));
    }
    Ok(x)
}

/// The areas between neighbours.
fn trapezoids(s: &Sample) -> Result<Tensor, Skip> {
    let (y, axis) = (s.x()?, s.named("dim").int_or(-1)?);
    let length = y.size(axis) - 1;
    let sums = y.narrow(axis, 1, length).add(y.narrow(axis, 0, length)).mul(0.5);
    let points = s.arg(0, "x");
    Ok(match points {
        Value::Tensor(x) if x.rank() == 1 && y.rank() > 1 => {
            let steps = x.narrow(0, 1, x.count() - 1).sub(x.narrow(0, 0, x.count() - 1));
            let mut shape = vec![1; y.rank()];
            shape[axis.rem_euclid(y.rank() as isize) as usize] = steps.count();
            sums.mul(steps.reshape(shape))
        }
        Value::Tensor(x) => {
            let length = x.size(axis) - 1;
            sums.mul(x.narrow(axis, 1, length).sub(x.narrow(axis, 0, length)))
        }
        Value::None => sums.mul(s.named("dx").float_or(1.0)?),
        dx => sums.mul(dx.float()?),
    })
}

fn covariance(x: &Tensor) -> Tensor {
    let x = if x.rank() < 2 { x.reshape([1, x.count()]) } else { x.clone() };
    let centred = x.sub(x.mean_keepdim(1));
    centred.matmul(&centred.t()).mul(1.0 / (x.size(1) as f64 - 1.0))
}

fn all(s: &Sample) -> Result<Vec<Tensor>, Skip> {
    let mut tensors = s.input().tensors()?;
    for argument in s.args() {
        tensors.extend(argument.tensors()?);
    }
    Ok(tensors)
}

/// Parts of nearly equal size, or cut at places.
fn tensor_parts(s: &Sample, axis: isize) -> Result<Vec<Tensor>, Skip> {
    let x = s.x()?;
    let size = x.size(axis);
    let cuts = match s.arg(0, "indices_or_sections") {
        Value::List(list) => list.iter().map(Value::int).collect::<Result<Vec<_>, _>>()?,
        Value::Int(count) => {
            let count = count as usize;
            (1..count).map(|at| (at * (size / count) + at.min(size % count)) as isize).collect()
        }
        _ => return Err("a tensor of places".into()),
    };
    let mut parts = Vec::new();
    let mut first = 0;
    for cut in cuts.into_iter().map(|cut| cut as usize).chain([size]) {
        let cut = cut.min(size);
        parts.push(x.narrow(axis, first.min(cut), cut.saturating_sub(first)));
        first = cut;
    }
    Ok(parts)
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "index_add" => |s| index_add(s)?;
        "index_fill" => |s| index_fill(s)?;
        "index_copy" => |s| index_copy(s)?;
        "select_scatter" => |s| {
            let (x, axis) = (s.x()?, s.arg(1, "dim").int()?);
            let at = s.arg(2, "index").int()?.rem_euclid(x.size(axis) as isize) as usize;
            replaced(&x, axis, at, &s.t(0, "src")?.unsqueeze(axis))
        };
        "diagonal_scatter" => |s| {
            let (x, part, offset) = (s.x()?, s.t(0, "src")?, s.arg(1, "offset").int_or(0)?);
            if x.rank() != 2 || x.shape()[0] != x.shape()[1] {
                return Err("other than a square".into());
            }
            let there = part.ones_like().diag_embed(offset).gt(0.5);
            there.select(part.diag_embed(offset), &x)
        };
        "block_diag" => |s| {
            let matrices: Vec<Tensor> = all(s)?
                .iter()
                .map(|x| match x.rank() {
                    0 => x.reshape([1, 1]),
                    1 => x.unsqueeze(0),
                    _ => x.clone(),
                })
                .collect();
            let total: usize = matrices.iter().map(|x| x.shape()[1]).sum();
            let mut before = 0;
            let mut rows = Vec::new();
            for x in &matrices {
                let size = x.shape()[1];
                rows.push(x.pad(&[(0, 0), (before, total - before - size)]));
                before += size;
            }
            Tensor::concat(&rows, 0)
        };
        "cartesian_prod" => |s| {
            let tensors = all(s)?;
            let grids = Tensor::meshgrid(&tensors);
            match grids.as_slice() {
                [one] => one.clone(),
                several => {
                    let lines: Vec<Tensor> =
                        several.iter().map(|x| x.reshape([x.count()])).collect();
                    Tensor::stack(&lines, 1)
                }
            }
        };
        "dstack" => |s| {
            let grown = |x: Tensor| match x.rank() {
                0 => x.reshape([1, 1, 1]),
                1 => x.unsqueeze(0).unsqueeze(-1),
                2 => x.unsqueeze(-1),
                _ => x,
            };
            Tensor::concat(&all(s)?.into_iter().map(grown).collect::<Vec<_>>(), 2)
        };
        "atleast_2d" => |s| {
            s.only(0, &[])?;
            let x = s.x()?;
            match x.rank() { 0 => x.reshape([1, 1]), 1 => x.unsqueeze(0), _ => x }
        };
        "atleast_3d" => |s| {
            s.only(0, &[])?;
            let x = s.x()?;
            match x.rank() {
                0 => x.reshape([1, 1, 1]),
                1 => x.unsqueeze(0).unsqueeze(-1),
                2 => x.unsqueeze(-1),
                _ => x,
            }
        };
        "corrcoef" => |s| {
            let x = s.x()?;
            let covariance = covariance(&x);
            let scale = covariance.diagonal(0, 0, 1).rsqrt();
            let correlation = covariance.mul(scale.unsqueeze(0)).mul(scale.unsqueeze(1));
            let shaped = correlation.clamp(-1.0, 1.0);
            if x.rank() < 2 || x.shape()[0] == 1 { shaped.reshape(()) } else { shaped }
        };
        "cov" => |s| {
            s.only(0, &[])?;
            let x = s.x()?;
            let found = covariance(&x);
            if x.rank() < 2 || x.shape()[0] == 1 { found.reshape(()) } else { found }
        };
        "cross" => |s| gradloom::linalg::cross(&s.x()?, &s.t(0, "other")?, s.named("dim").int_or(-1)?);
        "diff" => |s| differences(s)?;
        "dist" => |s| {
            let difference = s.x()?.sub(&s.t(0, "other")?);
            let count = difference.count();
            gradloom::linalg::vector_norm(&difference.reshape([count]), s.arg(1, "p").float_or(2.0)?, 0)
        };
        "sum_to_size" => |s| {
            let (x, sizes) = (s.x()?, s.arg(0, "size").sizes()?);
            let missing = x.rank() - sizes.len();
            let longer = |&axis: &usize| axis < missing || sizes[axis - missing] != x.shape()[axis];
            let axes: Vec<isize> = (0..x.rank()).filter(longer).map(|axis| axis as isize).collect();
            x.sum(&axes[..]).reshape(Shape::new(&sizes))
        };
        "tile" => |s| {
            let (x, counts) = (s.x()?, s.arg(0, "dims").sizes()?);
            let missing = x.rank().saturating_sub(counts.len());
            let counts: Vec<usize> = std::iter::repeat_n(1, missing).chain(counts).collect();
            x.repeat(&counts)
        };
        "trapezoid" => |s| trapezoids(s)?.sum(s.named("dim").int_or(-1)?);
        "trapz" => |s| trapezoids(s)?.sum(s.named("dim").int_or(-1)?);
        "cumulative_trapezoid" => |s| trapezoids(s)?.cumsum(s.named("dim").int_or(-1)?);
        "arange" => |s| {
            let (start, end, step) = match (s.input(), s.args()) {
                (end, []) => (0.0, end.float()?, s.named("step").float_or(1.0)?),
                (start, [end]) => (start.float()?, end.float()?, s.named("step").float_or(1.0)?),
                (start, [end, step, ..]) => (start.float()?, end.float()?, step.float()?),
            };
            match s.named("dtype") {
                Value::Dtype(DType::F32 | DType::F64) => {
                    Tensor::arange_range(start, end, step, DType::F32, &s.device)
                }
                _ => return Err("no dtype".into()),
            }
        };
        "linspace" => |s| {
            let count = s.arg(1, "steps").int()? as usize;
            Tensor::linspace(s.input().float()?, s.arg(0, "end").float()?, count, DType::F32, &s.device)
        };
        "logspace" => |s| {
            let count = s.arg(1, "steps").int()? as usize;
            let powers =
                Tensor::linspace(s.input().float()?, s.arg(0, "end").float()?, count, DType::F32, &s.device);
            powers.mul(s.arg(2, "base").float_or(10.0)?.ln()).exp()
        };
        "nn.functional.pad.reflect" => |s| padded(s)?;
        "nn.functional.pad.replicate" => |s| padded(s)?;
        "nn.functional.pad.replicate_negative" => |s| padded(s)?;
        "nn.functional.pad.circular" => |s| padded(s)?;
        "nn.functional.interpolate.nearest" => |s| upsampled(s)?;
        "nn.functional.upsample_nearest" => |s| upsampled(s)?;
        "nn.functional.pixel_shuffle" => |s| {
            let (x, factor) = (s.x()?, s.arg(0, "upscale_factor").int()? as usize);
            let rank = x.rank();
            let [c, h, w] = [x.shape()[rank - 3], x.shape()[rank - 2], x.shape()[rank - 1]];
            let outer: usize = x.shape()[..rank - 3].iter().product();
            let split = x.reshape([outer, c / (factor * factor), factor, factor, h, w]);
            let mut shape = x.shape()[..rank - 3].to_vec();
            shape.extend([c / (factor * factor), h * factor, w * factor]);
            split.permute(&[0, 1, 4, 2, 5, 3]).reshape(Shape::new(&shape))
        };
        "nn.functional.pixel_unshuffle" => |s| {
            let (x, factor) = (s.x()?, s.arg(0, "downscale_factor").int()? as usize);
            let rank = x.rank();
            let [c, h, w] =
                [x.shape()[rank - 3], x.shape()[rank - 2] / factor, x.shape()[rank - 1] / factor];
            let outer: usize = x.shape()[..rank - 3].iter().product();
            let split = x.reshape([outer, c, h, factor, w, factor]);
            let mut shape = x.shape()[..rank - 3].to_vec();
            shape.extend([c * factor * factor, h, w]);
            split.permute(&[0, 1, 3, 5, 2, 4]).reshape(Shape::new(&shape))
        };
        "nn.functional.channel_shuffle" => |s| {
            let (x, groups) = (s.x()?, s.arg(0, "groups").int()?);
            let split = x.unflatten(1, &[groups, -1]);
            split.transpose(1, 2).reshape(*x.shape())
        };
        "nn.functional.instance_norm" => |s| instances(s)?;
        "nn.functional.batch_norm" => |s| batches(s)?;
        "nn.functional.rms_norm" => |s| {
            let x = s.x()?;
            let count = s.arg(0, "normalized_shape").ints()?.len() as isize;
            let axes: Vec<isize> = (-count..0).collect();
            let epsilon = s.named("eps").float_or(f64::from(f32::EPSILON))?;
            let y = x.mul(x.square().mean_keepdim(&axes[..]).add(epsilon).rsqrt());
            match s.arg(1, "weight").maybe_tensor()? {
                Some(weight) => y.mul(weight),
                None => y,
            }
        };
        "nn.functional.local_response_norm" => |s| {
            let (x, size) = (s.x()?, s.arg(0, "size").int()? as usize);
            let (alpha, beta) = (s.named("alpha").float_or(1e-4)?, s.named("beta").float_or(0.75)?);
            let mut padding = vec![(0, 0); x.rank()];
            padding[1] = (size / 2, (size - 1) / 2);
            let sums = x.square().pad(&padding).sliding_windows(1, size, 1).mean(-1);
            x.div(sums.mul(alpha).add(s.named("k").float_or(1.0)?).powf(beta))
        };
        "nn.functional.bilinear" => |s| {
            let (x, y, weight) = (s.x()?, s.t(0, "input2")?, s.t(1, "weight")?);
            let z = Tensor::einsum("...i,oij,...j->...o", &[x, weight, y]);
            match s.arg(2, "bias").maybe_tensor()? {
                Some(bias) => z.add(bias),
                None => z,
            }
        };
        "nn.functional.soft_margin_loss" => |s| {
            reduced(s, s.x()?.mul(&s.t(0, "target")?).neg().softplus())?
        };
        "nn.functional.margin_ranking_loss" => |s| {
            let difference = s.x()?.sub(&s.t(0, "input2")?);
            let margin = s.named("margin").float_or(0.0)?;
            reduced(s, s.t(1, "target")?.neg().mul(difference).add(margin).relu())?
        };
        "nn.functional.hinge_embedding_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let margin = s.named("margin").float_or(1.0)?;
            let zero = x.zeros_like();
            let apart = x.neg().add(margin).relu();
            reduced(s, target.eq(1.0).select(&x, &zero).add(target.eq(-1.0).select(apart, &zero)))?
        };
        "nn.functional.poisson_nll_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let losses = match s.named("log_input").bool_or(true)? {
                true => x.exp().sub(target.mul(&x)),
                false => x.sub(target.mul(x.add(s.named("eps").float_or(1e-8)?).log())),
            };
            let losses = match s.named("full").bool_or(false)? {
                true => {
                    let large = target.gt(1.0);
                    let safe = large.select(&target, target.ones_like());
                    let stirling =
                        safe.mul(safe.log()).sub(&safe).add(safe.mul(std::f64::consts::TAU).log().mul(0.5));
                    losses.add(large.select(stirling, target.zeros_like()))
                }
                false => losses,
            };
            reduced(s, losses)?
        };
        "nn.functional.gaussian_nll_loss" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let variance = match s.arg(1, "var") {
                Value::Tensor(variance) => variance,
                other => x.full_like(other.float()?),
            };
            let variance = if variance.rank() + 1 == x.rank() { variance.unsqueeze(-1) } else { variance };
            let floor = s.named("eps").float_or(1e-6)?;
            // The gradient goes by the bound as if it were not there, as in PyTorch.
            let raised = variance.add(variance.maximum(floor).sub(&variance).detach());
            let losses = raised.log().add(x.sub(&target).square().div(&raised)).mul(0.5);
            let full = s.named("full").bool_or(false)?;
            let losses = losses.add(if full { 0.5 * std::f64::consts::TAU.ln() } else { 0.0 });
            reduced(s, losses)?
        };
        "nn.functional.kl_div" => |s| {
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let losses = match s.named("log_target").bool_or(false)? {
                true => target.exp().mul(target.sub(&x)),
                false => target.xlogy(&target).sub(target.mul(&x)),
            };
            match s.named("reduction").text_or("mean")?.as_str() {
                "batchmean" => losses.sum(..).div(x.size(0) as f64),
                _ => reduced(s, losses)?,
            }
        };
        "nn.functional.pairwise_distance" => |s| {
            let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
            let found = distance(&s.x()?, &s.t(0, "x2")?, power, epsilon);
            if s.named("keepdim").bool_or(false)? { found.unsqueeze(-1) } else { found }
        };
        "nn.functional.triplet_margin_loss" => |s| {
            let (power, epsilon) = (s.named("p").float_or(2.0)?, s.named("eps").float_or(1e-6)?);
            let (x, positive, negative) = (s.x()?, s.t(0, "positive")?, s.t(1, "negative")?);
            let near = distance(&x, &positive, power, epsilon);
            let mut far = distance(&x, &negative, power, epsilon);
            if s.named("swap").bool_or(false)? {
                far = far.minimum(distance(&positive, &negative, power, epsilon));
            }
            reduced(s, near.sub(far).add(s.named("margin").float_or(1.0)?).relu())?
        };
        "nn.functional.cosine_embedding_loss" => |s| {
            let (x, y, target) = (s.x()?, s.t(0, "input2")?, s.t(1, "target")?);
            let margin = s.named("margin").float_or(0.0)?;
            let epsilon = 1e-12;
            let lengths = x.square().sum(-1).add(epsilon).mul(y.square().sum(-1).add(epsilon));
            let cosine = x.mul(&y).sum(-1).div(lengths.sqrt());
            let zero = cosine.zeros_like();
            let alike = target.eq(1.0).select(cosine.neg().add(1.0), &zero);
            let apart = target.eq(-1.0).select(cosine.sub(margin).relu(), &zero);
            reduced(s, alike.add(apart))?
        };
        "nn.functional.nll_loss" => |s| {
            s.only(1, &["weight", "reduction"])?;
            let (x, target) = (s.x()?, s.t(0, "target")?);
            let rank = x.rank() as isize;
            let axis = if rank == 1 { 0 } else { 1 };
            let picked = x.gather(axis, &target.unsqueeze(axis)).squeeze(axis).neg();
            match s.named("weight").maybe_tensor()? {
                None => reduced(s, picked)?,
                Some(weight) => {
                    let weights = weight.take(0, &target);
                    let losses = picked.mul(&weights);
                    match s.named("reduction").text_or("mean")?.as_str() {
                        "mean" => losses.sum(..).div(weights.sum(..)),
                        _ => reduced(s, losses)?,
                    }
                }
            }
        };
        "renorm" => |s| {
            let (x, power, axis) = (s.x()?, s.arg(0, "p").float()?, s.arg(1, "dim").int()?);
            let most = s.arg(2, "maxnorm").float()?;
            let axis = axis.rem_euclid(x.rank() as isize);
            let others: Vec<isize> = (0..x.rank() as isize).filter(|&own| own != axis).collect();
            let norm = gradloom::linalg::vector_norm(&x, power, &others[..]);
            let scale = norm.gt(most).select(norm.add(1e-7).reciprocal().mul(most), norm.ones_like());
            let mut shape = vec![1; x.rank()];
            shape[axis as usize] = x.shape()[axis as usize];
            x.mul(scale.reshape(shape))
        };
    };
    let several = many! {
        "tensor_split" => |s| tensor_parts(s, s.arg(1, "dim").int_or(0)?)?;
        "hsplit" => |s| { let axis = isize::from(s.x()?.rank() > 1); tensor_parts(s, axis)? };
        "vsplit" => |s| tensor_parts(s, 0)?;
        "dsplit" => |s| tensor_parts(s, 2)?;
    };
    [&single[..], &several[..]].concat()
}
