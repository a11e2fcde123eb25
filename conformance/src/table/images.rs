//! Padding, and images of other sizes, as a few calls.

use gradloom::ops::grid_sampling::{GridMode, GridOptions, GridPadding};
use gradloom::ops::interpolation::{InterpolateOptions, Interpolation};
use gradloom::{Shape, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

fn padded(s: &Sample) -> Result<Tensor, Skip> {
    let (mut x, pairs) = (s.x()?, s.arg(0, "pad").ints()?);
    let mode = s.arg(1, "mode").text_or("constant")?;
    let rank = x.rank();
    for (pair, axis) in pairs.chunks(2).zip((0..rank).rev()) {
        let (axis, size) = (axis as isize, x.size(axis as isize));
        let [before, after] = [pair[0], pair[1]];
        let mut cut = [before, after].map(|n| n.min(0).unsigned_abs());
        if mode == "circular" {
            x = x.narrow(axis, cut[0], size - cut[0] - cut[1]);
            cut = [0, 0];
        }
        let size = x.size(axis);
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

/// `interpolate` with the options of a sample.
fn resized(s: &Sample, options: &InterpolateOptions) -> Result<Tensor, Skip> {
    let x = s.x()?;
    let axes = x.rank() - 2;
    let options = options
        .clone()
        .align_corners(options.align_corners || s.named("align_corners").bool_or(false)?)
        .antialias(options.antialias || s.named("antialias").bool_or(false)?);
    Ok(match (s.arg(0, "size"), s.arg(1, "scale_factor")) {
        (Value::None, scale) => {
            let scales = match &scale {
                Value::List(list) => {
                    list.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?
                }
                one => vec![one.float()?; axes],
            };
            let recompute = s.named("recompute_scale_factor").bool_or(false)?;
            x.interpolate_by(&scales, recompute, &options)
        }
        (size, _) => {
            let size = size.sizes()?;
            let output = if size.len() == axes { size } else { vec![size[0]; axes] };
            x.interpolate(&output, &options)
        }
    })
}

fn of_mode(s: &Sample, mode: Interpolation) -> Result<Tensor, Skip> {
    resized(s, &InterpolateOptions::new(mode))
}

/// Its own names for sizes and factors.
fn antialiased(s: &Sample) -> Result<Tensor, Skip> {
    let options = InterpolateOptions::new(Interpolation::Linear)
        .antialias(true)
        .align_corners(s.named("align_corners").bool_or(false)?);
    let x = s.x()?;
    let factors = match s.named("scale_factors") {
        Value::List(list) => Some(list.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?),
        _ => match (s.named("scales_h"), s.named("scales_w")) {
            (Value::None, _) | (_, Value::None) => None,
            (height, width) => Some(vec![height.float()?, width.float()?]),
        },
    };
    Ok(match (s.named("output_size"), factors) {
        (Value::None, Some(factors)) => x.interpolate_by(&factors, false, &options),
        (sizes, factors) => {
            x.interpolate(&sizes.sizes()?, &InterpolateOptions { factors, ..options })
        }
    })
}

fn sampled(s: &Sample) -> Result<Tensor, Skip> {
    let mode = match s.arg(1, "mode") {
        Value::Text(name) => name,
        number => ["bilinear", "nearest", "bicubic"][number.int_or(0)? as usize].into(),
    };
    let padding = match s.arg(2, "padding_mode") {
        Value::Text(name) => name,
        number => ["zeros", "border", "reflection"][number.int_or(0)? as usize].into(),
    };
    let options = GridOptions {
        mode: match mode.as_str() {
            "nearest" => GridMode::Nearest,
            "bicubic" => GridMode::Cubic,
            _ => GridMode::Linear,
        },
        padding: match padding.as_str() {
            "border" => GridPadding::Border,
            "reflection" => GridPadding::Reflection,
            _ => GridPadding::Zeros,
        },
        align_corners: s.arg(3, "align_corners").bool_or(false)?,
    };
    Ok(s.x()?.grid_sample(&s.t(0, "grid")?, &options))
}

/// Gradients by places are sums over channels and neighbours.
pub(super) fn grids() -> Vec<Row> {
    rows! {
        "nn.functional.grid_sample" => |s| sampled(s)?;
        "grid_sampler_2d" => |s| sampled(s)?;
        "grid_sampler_3d" => |s| sampled(s)?;
    }
    .to_vec()
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "nn.functional.pad.reflect" => |s| padded(s)?;
        "nn.functional.pad.replicate" => |s| padded(s)?;
        "nn.functional.pad.replicate_negative" => |s| padded(s)?;
        "nn.functional.pad.circular" => |s| padded(s)?;
        "nn.functional.interpolate.nearest" => |s| of_mode(s, Interpolation::Nearest)?;
        "nn.functional.interpolate.nearest-exact" => |s| of_mode(s, Interpolation::NearestExact)?;
        "nn.functional.interpolate.linear" => |s| of_mode(s, Interpolation::Linear)?;
        "nn.functional.interpolate.bilinear" => |s| of_mode(s, Interpolation::Linear)?;
        "nn.functional.interpolate.trilinear" => |s| of_mode(s, Interpolation::Linear)?;
        "nn.functional.interpolate.bicubic" => |s| of_mode(s, Interpolation::Cubic)?;
        "nn.functional.interpolate.area" => |s| of_mode(s, Interpolation::Area)?;
        "nn.functional.upsample_nearest" => |s| of_mode(s, Interpolation::Nearest)?;
        "nn.functional.upsample_bilinear" => |s| {
            resized(s, &InterpolateOptions::new(Interpolation::Linear).align_corners(true))?
        };
        "_upsample_bilinear2d_aa" => |s| antialiased(s)?;
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
    }
    .to_vec()
}
