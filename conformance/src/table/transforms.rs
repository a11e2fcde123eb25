//! Fourier transforms, whose complex numbers are pairs, and windows of signals.

use gradloom::fft::{self, Complex, FftOptions, Norm};
use gradloom::{DType, Tensor};

use super::row::{Row, rows};
use crate::sample::{Sample, Skip, Value};

/// Options of a transform along one axis.
fn one(s: &Sample) -> Result<FftOptions, Skip> {
    let options = norm(s, FftOptions::new())?.axis(s.arg(1, "dim").int_or(-1)?);
    Ok(match s.arg(0, "n") {
        Value::None => options,
        size => options.size(size.int()? as usize),
    })
}

/// Options of a transform along several.
fn several(s: &Sample, two: bool) -> Result<FftOptions, Skip> {
    let mut options = norm(s, FftOptions::new())?;
    match (s.arg(1, "dim"), two) {
        (Value::None, true) => options = options.axes(&[-2, -1]),
        (Value::None, false) => {}
        (axes, true) if axes.ints()?.len() != 2 => return Err("other than two axes".into()),
        (axes, _) => options = options.axes(&axes.ints()?),
    }
    Ok(match s.arg(0, "s") {
        Value::None => options,
        sizes => options.sizes(&sizes.sizes()?),
    })
}

fn norm(s: &Sample, options: FftOptions) -> Result<FftOptions, Skip> {
    Ok(match s.arg(2, "norm").text_or("backward")?.as_str() {
        "backward" => options,
        "forward" => options.norm(Norm::Forward),
        "ortho" => options.norm(Norm::Ortho),
        other => return Err(format!("norm {other}")),
    })
}

fn pairs(z: Complex) -> Tensor {
    z.pairs().clone()
}

fn shift_axes(s: &Sample, x: &Tensor) -> Result<Vec<isize>, Skip> {
    match s.arg(0, "dim") {
        Value::None => Ok((0..x.rank() as isize).collect()),
        axes => axes.ints(),
    }
}

/// The places of a window's elements in `0..=1`, or how many there are if that is none or one.
fn places(s: &Sample) -> Result<Tensor, Skip> {
    let count = s.input().int()? as usize;
    let symmetric = s.named("sym").bool_or(true)?;
    if count < 2 {
        return Err("one element at most".into());
    }
    let steps = if symmetric { count - 1 } else { count };
    Ok(Tensor::arange(count, &s.device).cast(DType::F32).div(steps as f64))
}

/// `sum of (-1)^i a_i cos(2 pi i x)`.
fn cosines(s: &Sample, terms: &[f64]) -> Result<Tensor, Skip> {
    let places = places(s)?;
    let mut sum = places.zeros_like();
    for (i, term) in terms.iter().enumerate() {
        let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
        sum = sum + places.mul(std::f64::consts::TAU * i as f64).cos().mul(sign * term);
    }
    Ok(sum)
}

pub(super) fn table() -> Vec<Row> {
    rows! {
        "fft.fft" => |s| pairs(fft::fft(&s.x()?, &one(s)?));
        "fft.ifft" => |s| pairs(fft::ifft(&s.x()?, &one(s)?));
        "fft.rfft" => |s| pairs(fft::rfft(&s.x()?, &one(s)?));
        "fft.ihfft" => |s| pairs(fft::ihfft(&s.x()?, &one(s)?));
        "fft.irfft" => |s| fft::irfft(&s.x()?, &one(s)?);
        "fft.hfft" => |s| fft::hfft(&s.x()?, &one(s)?);
        "fft.fft2" => |s| pairs(fft::fft2(&s.x()?, &several(s, true)?));
        "fft.ifft2" => |s| pairs(fft::ifft2(&s.x()?, &several(s, true)?));
        "fft.rfft2" => |s| pairs(fft::rfft2(&s.x()?, &several(s, true)?));
        "fft.ihfft2" => |s| pairs(fft::ihfft2(&s.x()?, &several(s, true)?));
        "fft.irfft2" => |s| fft::irfft2(&s.x()?, &several(s, true)?);
        "fft.hfft2" => |s| fft::hfft2(&s.x()?, &several(s, true)?);
        "fft.fftn" => |s| pairs(fft::fftn(&s.x()?, &several(s, false)?));
        "fft.ifftn" => |s| pairs(fft::ifftn(&s.x()?, &several(s, false)?));
        "fft.rfftn" => |s| pairs(fft::rfftn(&s.x()?, &several(s, false)?));
        "fft.ihfftn" => |s| pairs(fft::ihfftn(&s.x()?, &several(s, false)?));
        "fft.irfftn" => |s| fft::irfftn(&s.x()?, &several(s, false)?);
        "fft.hfftn" => |s| fft::hfftn(&s.x()?, &several(s, false)?);
        "fft.fftshift" => |s| { let x = s.x()?; fft::fftshift(&x, &shift_axes(s, &x)?) };
        "fft.ifftshift" => |s| { let x = s.x()?; fft::ifftshift(&x, &shift_axes(s, &x)?) };

        "signal.windows.hann" => |s| cosines(s, &[0.5, 0.5])?;
        "signal.windows.hamming" => |s| cosines(s, &[0.54, 0.46])?;
        "signal.windows.blackman" => |s| cosines(s, &[0.42, 0.5, 0.08])?;
        "signal.windows.nuttall" => |s| {
            cosines(s, &[0.363_581_9, 0.489_177_5, 0.136_599_5, 0.010_641_1])?
        };
        "signal.windows.general_hamming" => |s| {
            let alpha = s.named("alpha").float_or(0.54)?;
            cosines(s, &[alpha, 1.0 - alpha])?
        };
        "signal.windows.general_cosine" => |s| match s.named("a") {
            Value::List(terms) => {
                let terms = terms.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?;
                cosines(s, &terms)?
            }
            _ => return Err("no terms".into()),
        };
        "signal.windows.bartlett" => |s| places(s)?.mul(2.0).sub(1.0).abs().neg().add(1.0);
        "signal.windows.cosine" => |s| {
            let count = s.input().int()? as usize;
            if count < 2 {
                return Err("one element at most".into());
            }
            let steps = count + usize::from(!s.named("sym").bool_or(true)?);
            let places = Tensor::arange(count, &s.device).cast(DType::F32).add(0.5);
            places.mul(std::f64::consts::PI / steps as f64).sin()
        };
        "signal.windows.gaussian" => |s| {
            let count = s.input().int()? as usize;
            if count < 2 {
                return Err("one element at most".into());
            }
            let last = count - usize::from(s.named("sym").bool_or(true)?);
            let deviation = s.named("std").float_or(1.0)?;
            let places = Tensor::arange(count, &s.device).cast(DType::F32).sub(last as f64 / 2.0);
            places.div(deviation).square().mul(-0.5).exp()
        };
    }
    .to_vec()
}
