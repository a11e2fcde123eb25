//! Padding, and images of other sizes, as a few calls.

use gradloom::ops::padding::PadMode;
use gradloom::{Shape, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

fn padded(s: &Sample) -> Result<Tensor, Skip> {
    let (x, pairs) = (s.x()?, s.arg(0, "pad").ints()?);
    let mode = match s.arg(1, "mode").text_or("constant")?.as_str() {
        "reflect" => PadMode::Reflect,
        "replicate" => PadMode::Replicate,
        "circular" => PadMode::Circular,
        other => return Err(format!("mode {other}")),
    };
    let mut padding = vec![[0, 0]; x.rank()];
    for (pair, axis) in pairs.chunks(2).zip((0..x.rank()).rev()) {
        padding[axis] = [pair[0], pair[1]];
    }
    Ok(x.pad_mode(&padding, mode))
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
            let recomputed = s.named("recompute_scale_factor").bool_or(false)?;
            nearest(&x, &output, (!recomputed).then_some(&scales[..]))
        }
        (size, _) => {
            let size = size.sizes()?;
            let output = if size.len() == axes { size } else { vec![size[0]; axes] };
            nearest(&x, &output, None)
        }
    })
}

pub(super) fn table() -> Vec<Row> {
    rows! {
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
    }
    .to_vec()
}
