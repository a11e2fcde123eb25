//! Fourier transforms, whose complex numbers are pairs, and windows of signals.

use gradloom::fft::windows::{self, Ends};
use gradloom::fft::{self, Complex, FftOptions, Norm, StftOptions};
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

fn ends(s: &Sample) -> Result<Ends, Skip> {
    Ok(if s.named("sym").bool_or(true)? { Ends::Symmetric } else { Ends::Periodic })
}

/// How many elements a window has.
fn count(s: &Sample) -> Result<usize, Skip> {
    Ok(s.input().int()? as usize)
}

fn stft(s: &Sample) -> Result<Tensor, Skip> {
    let known = [
        "n_fft",
        "hop_length",
        "win_length",
        "window",
        "center",
        "pad_mode",
        "normalized",
        "onesided",
        "return_complex",
    ];
    s.only(0, &known)?;
    if s.named("pad_mode").text_or("reflect")? != "reflect" {
        return Err("another way to pad".into());
    }
    let size = s.named("n_fft").int()? as usize;
    let mut options = StftOptions::new(size)
        .center(s.named("center").bool_or(true)?)
        .normalized(s.named("normalized").bool_or(false)?)
        .onesided(s.named("onesided").bool_or(true)?);
    if let Value::Int(hop) = s.named("hop_length") {
        options = options.hop(hop as usize);
    }
    match (s.named("window").maybe_tensor()?, s.named("win_length")) {
        (Some(window), _) => options = options.window(&window),
        (None, Value::None) => {}
        (None, length) => {
            let ones = Tensor::ones([length.int()? as usize], DType::F32, &s.device);
            options = options.window(&ones);
        }
    }
    Ok(pairs(fft::stft(&s.x()?, &options)))
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

        "signal.windows.hann" => |s| windows::hann(count(s)?, ends(s)?, &s.device);
        "signal.windows.hamming" => |s| windows::hamming(count(s)?, ends(s)?, &s.device);
        "signal.windows.blackman" => |s| windows::blackman(count(s)?, ends(s)?, &s.device);
        "signal.windows.nuttall" => |s| windows::nuttall(count(s)?, ends(s)?, &s.device);
        "signal.windows.bartlett" => |s| windows::bartlett(count(s)?, ends(s)?, &s.device);
        "signal.windows.cosine" => |s| windows::cosine(count(s)?, ends(s)?, &s.device);
        "signal.windows.gaussian" => |s| {
            windows::gaussian(count(s)?, s.named("std").float_or(1.0)?, ends(s)?, &s.device)
        };
        "signal.windows.exponential" => |s| {
            s.only(0, &["sym", "tau", "dtype", "device", "requires_grad"])?;
            windows::exponential(count(s)?, s.named("tau").float_or(1.0)?, ends(s)?, &s.device)
        };
        "signal.windows.kaiser" => |s| {
            windows::kaiser(count(s)?, s.named("beta").float_or(12.0)?, ends(s)?, &s.device)
        };
        "signal.windows.general_hamming" => |s| {
            let alpha = s.named("alpha").float_or(0.54)?;
            windows::general_hamming(count(s)?, alpha, ends(s)?, &s.device)
        };
        "signal.windows.general_cosine" => |s| match s.named("a") {
            Value::List(terms) => {
                let terms = terms.iter().map(Value::float).collect::<Result<Vec<_>, _>>()?;
                windows::general_cosine(count(s)?, &terms, ends(s)?, &s.device)
            }
            _ => return Err("no terms".into()),
        };
        "stft" => |s| stft(s)?;
    }
    .to_vec()
}
