//! Convolutions and pooling.

use gradloom::ops::convolution::{ConvOptions, ConvTransposeOptions};
use gradloom::ops::per_axis::Padding;
use gradloom::ops::pooling::PoolOptions;
use gradloom::{Key, Tensor};

use super::row::{Row, many, rows};
use crate::sample::{Sample, Skip, Value};

/// One size for all axes, or one for each.
fn sizes<const N: usize>(value: &Value, other: usize) -> Result<[usize; N], Skip> {
    let sizes = match value {
        Value::None => return Ok([other; N]),
        Value::List(list) if list.is_empty() => return Ok([other; N]),
        value => value.sizes()?,
    };
    match sizes.as_slice() {
        [one] => Ok([*one; N]),
        several => several.try_into().map_err(|_| format!("{} sizes", several.len())),
    }
}

/// A tensor with an axis of examples, and whether it had one.
fn batched(x: Tensor, axes: usize) -> (Tensor, bool) {
    if x.rank() == axes + 1 { (x.unsqueeze(0), false) } else { (x, true) }
}

fn unbatched(y: Tensor, had: bool) -> Tensor {
    if had { y } else { y.squeeze(0) }
}

/// With the bias of each channel, if there is one.
fn biased(s: &Sample, y: Tensor) -> Result<Tensor, Skip> {
    Ok(match s.arg(1, "bias").maybe_tensor()? {
        Some(bias) => {
            let mut shape = vec![1; y.rank()];
            shape[1] = bias.count();
            y + bias.reshape(shape)
        }
        None => y,
    })
}

type Convolve<const N: usize> = fn(&Tensor, &Tensor, &ConvOptions<N>) -> Tensor;

fn convolution<const N: usize>(s: &Sample, of: Convolve<N>) -> Result<Tensor, Skip> {
    let (x, had) = batched(s.x()?, N);
    let weight = s.t(0, "weight")?;
    let dilation = sizes(&s.arg(4, "dilation"), 1)?;
    let padding = match s.arg(3, "padding") {
        Value::Text(name) if name == "valid" => Padding::NONE,
        Value::Text(_) => {
            let kernel: [usize; N] = std::array::from_fn(|axis| weight.shape()[axis + 2]);
            Padding::same(kernel, dilation)
        }
        other => Padding::from(sizes::<N>(&other, 0)?),
    };
    let options = ConvOptions {
        stride: sizes(&s.arg(2, "stride"), 1)?,
        padding,
        dilation,
        groups: s.arg(5, "groups").int_or(1)? as usize,
    };
    Ok(unbatched(biased(s, of(&x, &weight, &options))?, had))
}

type Transpose<const N: usize> = fn(&Tensor, &Tensor, &ConvTransposeOptions<N>) -> Tensor;

fn transposed<const N: usize>(s: &Sample, of: Transpose<N>) -> Result<Tensor, Skip> {
    let (x, had) = batched(s.x()?, N);
    let weight = s.t(0, "weight")?;
    let options = ConvTransposeOptions::default()
        .stride(sizes::<N>(&s.arg(2, "stride"), 1)?)
        .padding(sizes::<N>(&s.arg(3, "padding"), 0)?)
        .output_padding(sizes::<N>(&s.arg(4, "output_padding"), 0)?)
        .groups(s.arg(5, "groups").int_or(1)? as usize)
        .dilation(sizes::<N>(&s.arg(6, "dilation"), 1)?);
    Ok(unbatched(biased(s, of(&x, &weight, &options))?, had))
}

/// Options at the positions that all pooling has in common.
fn window<const N: usize>(s: &Sample) -> Result<PoolOptions<N>, Skip> {
    let kernel = sizes::<N>(&s.arg(0, "kernel_size"), 1)?;
    let stride = match s.arg(1, "stride") {
        Value::None => kernel,
        Value::List(list) if list.is_empty() => kernel,
        stride => sizes(&stride, 1)?,
    };
    let padding = sizes::<N>(&s.arg(2, "padding"), 0)?;
    Ok(PoolOptions::new(kernel).stride(stride).padding(padding))
}

fn maxima<const N: usize>(
    s: &Sample,
    of: fn(&Tensor, &PoolOptions<N>) -> (Tensor, Tensor),
) -> Result<Vec<Tensor>, Skip> {
    let options = window(s)?
        .dilation(sizes::<N>(&s.arg(3, "dilation"), 1)?)
        .ceil_mode(s.arg(4, "ceil_mode").bool_or(false)?);
    let (x, had) = batched(s.x()?, N);
    let (values, indices) = of(&x, &options);
    let values = unbatched(values, had);
    match s.named("return_indices").bool_or(false)? {
        true => Ok(vec![values, unbatched(indices, had)]),
        false => Ok(vec![values]),
    }
}

fn averages<const N: usize>(
    s: &Sample,
    of: fn(&Tensor, &PoolOptions<N>) -> Tensor,
) -> Result<Tensor, Skip> {
    let options = window(s)?
        .ceil_mode(s.arg(3, "ceil_mode").bool_or(false)?)
        .count_include_pad(s.arg(4, "count_include_pad").bool_or(true)?);
    let options = match s.arg(5, "divisor_override") {
        Value::None => options,
        divisor => options.divisor(divisor.int()?),
    };
    let (x, had) = batched(s.x()?, N);
    Ok(unbatched(of(&x, &options), had))
}

type Unpool<const N: usize> = fn(&Tensor, &Tensor, &PoolOptions<N>, Option<[usize; N]>) -> Tensor;

fn unpooled<const N: usize>(s: &Sample, of: Unpool<N>) -> Result<Tensor, Skip> {
    let kernel = sizes::<N>(&s.named("kernel_size"), 1)?;
    let stride = match s.named("stride") {
        Value::None => kernel,
        stride => sizes(&stride, 1)?,
    };
    let options =
        PoolOptions::new(kernel).stride(stride).padding(sizes::<N>(&s.named("padding"), 0)?);
    let output = match s.named("output_size") {
        Value::None => None,
        sizes => {
            let sizes = sizes.sizes()?;
            let last = &sizes[sizes.len() - N..];
            Some(std::array::from_fn(|axis| last[axis]))
        }
    };
    let ((x, had), (indices, _)) = (batched(s.x()?, N), batched(s.t(0, "indices")?, N));
    Ok(unbatched(of(&x, &indices, &options, output), had))
}

type Fractional<const N: usize> = fn(&Tensor, [usize; N], [usize; N], &Tensor) -> (Tensor, Tensor);

fn fractional<const N: usize>(s: &Sample, of: Fractional<N>) -> Result<Vec<Tensor>, Skip> {
    let kernel = sizes::<N>(&s.arg(0, "kernel_size"), 1)?;
    let (x, had) = batched(s.x()?, N);
    let output = match (s.named("output_size"), s.named("output_ratio")) {
        (Value::None, Value::List(ratios)) => {
            let ratios = ratios.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?;
            std::array::from_fn(|axis| (x.shape()[axis + 2] as f64 * ratios[axis]) as usize)
        }
        (Value::None, ratio) => {
            let ratio = ratio.float()?;
            std::array::from_fn(|axis| (x.shape()[axis + 2] as f64 * ratio) as usize)
        }
        (output, _) => sizes::<N>(&output, 1)?,
    };
    let draws = match s.named("_random_samples").maybe_tensor()? {
        Some(draws) => draws,
        None => x.fractional_draws(Key::new(1)),
    };
    let (values, indices) = of(&x, kernel, output, &draws);
    let values = unbatched(values, had);
    match s.named("return_indices").bool_or(false)? {
        true => Ok(vec![values, unbatched(indices, had)]),
        false => Ok(vec![values]),
    }
}

/// The gradient of ones by maximum pooling.
fn maxima_gradient(s: &Sample) -> Result<Tensor, Skip> {
    let options = window::<2>(s)?
        .dilation(sizes::<2>(&s.arg(3, "dilation"), 1)?)
        .ceil_mode(s.arg(4, "ceil_mode").bool_or(false)?);
    let (x, had) = batched(s.x()?, 2);
    let ones = x.max_pool2d(&options).ones_like();
    Ok(unbatched(options.max_gradient(&x, &ones), had))
}

fn adaptive<const N: usize>(s: &Sample) -> Result<[usize; N], Skip> {
    let x = s.x()?;
    let own = |axis: usize| x.shape()[x.rank() - N + axis];
    match s.arg(0, "output_size") {
        Value::List(list) => {
            let mut output = [0; N];
            for (axis, size) in list.iter().enumerate() {
                output[axis] = match size {
                    Value::None => own(axis),
                    size => size.int()? as usize,
                };
            }
            Ok(output)
        }
        one => Ok([one.int()? as usize; N]),
    }
}

fn adaptive_average<const N: usize>(
    s: &Sample,
    of: fn(&Tensor, [usize; N]) -> Tensor,
) -> Result<Tensor, Skip> {
    let (x, had) = batched(s.x()?, N);
    Ok(unbatched(of(&x, adaptive(s)?), had))
}

fn adaptive_maxima<const N: usize>(
    s: &Sample,
    of: fn(&Tensor, [usize; N]) -> (Tensor, Tensor),
) -> Result<Vec<Tensor>, Skip> {
    let (x, had) = batched(s.x()?, N);
    let (values, indices) = of(&x, adaptive(s)?);
    let values = unbatched(values, had);
    match s.arg(1, "return_indices").bool_or(false)? {
        true => Ok(vec![values, unbatched(indices, had)]),
        false => Ok(vec![values]),
    }
}

pub(super) fn table() -> Vec<Row> {
    let single = rows! {
        "nn.functional.conv1d" => |s| convolution(s, Tensor::conv1d)?;
        "nn.functional.conv2d" => |s| convolution(s, Tensor::conv2d)?;
        "nn.functional.conv3d" => |s| convolution(s, Tensor::conv3d)?;
        "nn.functional.conv_transpose1d" => |s| transposed(s, Tensor::conv_transpose1d)?;
        "nn.functional.conv_transpose2d" => |s| transposed(s, Tensor::conv_transpose2d)?;
        "nn.functional.conv_transpose3d" => |s| transposed(s, Tensor::conv_transpose3d)?;
        "nn.functional.unfold" => |s| {
            use gradloom::ops::unfold::UnfoldOptions;
            let (x, had) = batched(s.x()?, 2);
            let options = UnfoldOptions::new(sizes::<2>(&s.arg(0, "kernel_size"), 1)?)
                .dilation(sizes::<2>(&s.arg(1, "dilation"), 1)?)
                .padding(sizes::<2>(&s.arg(2, "padding"), 0)?)
                .stride(sizes::<2>(&s.arg(3, "stride"), 1)?);
            unbatched(x.unfold(&options), had)
        };
        "nn.functional.max_unpool1d" => |s| unpooled(s, Tensor::max_unpool1d)?;
        "nn.functional.max_unpool2d" => |s| unpooled(s, Tensor::max_unpool2d)?;
        "nn.functional.max_unpool3d" => |s| unpooled(s, Tensor::max_unpool3d)?;
        "nn.functional.max_unpool1d.grad" => |s| unpooled(s, Tensor::max_unpool1d)?;
        "nn.functional.max_unpool2d.grad" => |s| unpooled(s, Tensor::max_unpool2d)?;
        "nn.functional.max_unpool3d.grad" => |s| unpooled(s, Tensor::max_unpool3d)?;
        "max_pool2d_with_indices_backward" => |s| maxima_gradient(s)?;
        "nn.functional.avg_pool1d" => |s| averages(s, Tensor::avg_pool1d)?;
        "nn.functional.avg_pool2d" => |s| averages(s, Tensor::avg_pool2d)?;
        "nn.functional.avg_pool3d" => |s| averages(s, Tensor::avg_pool3d)?;
        "nn.functional.adaptive_avg_pool1d" => |s| adaptive_average(s, Tensor::adaptive_avg_pool1d)?;
        "nn.functional.adaptive_avg_pool2d" => |s| adaptive_average(s, Tensor::adaptive_avg_pool2d)?;
        "nn.functional.adaptive_avg_pool3d" => |s| adaptive_average(s, Tensor::adaptive_avg_pool3d)?;
    };
    let several = many! {
        "nn.functional.adaptive_max_pool1d" => |s| {
            adaptive_maxima(s, Tensor::adaptive_max_pool1d_with_indices)?
        };
        "nn.functional.adaptive_max_pool2d" => |s| {
            adaptive_maxima(s, Tensor::adaptive_max_pool2d_with_indices)?
        };
        "nn.functional.adaptive_max_pool3d" => |s| {
            adaptive_maxima(s, Tensor::adaptive_max_pool3d_with_indices)?
        };
        "nn.functional.fractional_max_pool2d" => |s| fractional(s, Tensor::fractional_max_pool2d)?;
        "nn.functional.fractional_max_pool3d" => |s| fractional(s, Tensor::fractional_max_pool3d)?;
        "nn.functional.max_pool1d" => |s| maxima(s, Tensor::max_pool1d_with_indices)?;
        "nn.functional.max_pool2d" => |s| maxima(s, Tensor::max_pool2d_with_indices)?;
        "nn.functional.max_pool3d" => |s| maxima(s, Tensor::max_pool3d_with_indices)?;
    };
    [&single[..], &several[..]].concat()
}
