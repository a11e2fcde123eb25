//! Windows that fade a signal in and out, as `torch.signal.windows`.
//!
//! Each is f32 and of `count` elements. Symmetric ones end where they begin; periodic ones (PyTorch:
//! `sym=False`), for transforms, are those of one element more without its last. One element is 1, none is none.

use std::f64::consts::{PI, TAU};

use gradloom_tensor::{DType, Device, Tensor};

/// Where a window ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Ends {
    /// The last element is the mirror image of the first.
    #[default]
    Symmetric,
    /// The element after the last is, which is the first of the next window.
    Periodic,
}

/// A window whose element `i` is a function of its place `i`, and of the distance between the ends.
#[track_caller]
fn window(count: usize, ends: Ends, device: &Device, of: impl Fn(Tensor, f64) -> Tensor) -> Tensor {
    if count < 2 {
        return Tensor::ones([count], DType::F32, device);
    }
    let length = if ends == Ends::Symmetric { count - 1 } else { count };
    of(Tensor::arange(count, device).cast(DType::F32), length as f64)
}

/// `sum of (-1)^i a_i cos(2 pi i x)` for x from 0 to 1. PyTorch: `signal.windows.general_cosine`.
///
/// # Panics
/// Without coefficients.
#[track_caller]
pub fn general_cosine(count: usize, coefficients: &[f64], ends: Ends, device: &Device) -> Tensor {
    assert!(!coefficients.is_empty(), "general_cosine: there are no coefficients");
    window(count, ends, device, |place, length| {
        let terms = coefficients.iter().enumerate().map(|(i, &coefficient)| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            let turns = place.mul(TAU * i as f64 / length).cos();
            turns.mul(sign * coefficient)
        });
        terms.reduce(|sum, term| sum + term).unwrap_or_else(|| place.zeros_like())
    })
}

/// `alpha - (1 - alpha) cos(2 pi x)`. PyTorch: `signal.windows.general_hamming`.
#[track_caller]
pub fn general_hamming(count: usize, alpha: f64, ends: Ends, device: &Device) -> Tensor {
    general_cosine(count, &[alpha, 1.0 - alpha], ends, device)
}

/// `0.54 - 0.46 cos(2 pi x)`. PyTorch: `signal.windows.hamming`.
#[track_caller]
pub fn hamming(count: usize, ends: Ends, device: &Device) -> Tensor {
    general_hamming(count, 0.54, ends, device)
}

/// `(1 - cos(2 pi x)) / 2`. PyTorch: `signal.windows.hann`.
#[track_caller]
pub fn hann(count: usize, ends: Ends, device: &Device) -> Tensor {
    general_hamming(count, 0.5, ends, device)
}

/// Of three cosines. PyTorch: `signal.windows.blackman`.
#[track_caller]
pub fn blackman(count: usize, ends: Ends, device: &Device) -> Tensor {
    general_cosine(count, &[0.42, 0.5, 0.08], ends, device)
}

/// Of four cosines, with least side lobes. PyTorch: `signal.windows.nuttall`.
#[track_caller]
pub fn nuttall(count: usize, ends: Ends, device: &Device) -> Tensor {
    general_cosine(count, &[0.363_581_9, 0.489_177_5, 0.136_599_5, 0.010_641_1], ends, device)
}

/// A triangle. PyTorch: `signal.windows.bartlett`.
#[track_caller]
pub fn bartlett(count: usize, ends: Ends, device: &Device) -> Tensor {
    window(count, ends, device, |place, length| {
        place.mul(2.0 / length).sub(1.0).abs().neg().add(1.0)
    })
}

/// Half a wave of a sine. PyTorch: `signal.windows.cosine`.
#[track_caller]
pub fn cosine(count: usize, ends: Ends, device: &Device) -> Tensor {
    window(count, ends, device, |place, length| place.add(0.5).mul(PI / (length + 1.0)).sin())
}

/// `e^(-d^2 / (2 std^2))` of the distance d from the middle. PyTorch: `signal.windows.gaussian`.
///
/// # Panics
/// If the deviation is not positive.
#[track_caller]
pub fn gaussian(count: usize, std: f64, ends: Ends, device: &Device) -> Tensor {
    assert!(std > 0.0, "gaussian: the deviation {std} is not positive");
    window(count, ends, device, |place, length| {
        place.sub(length / 2.0).div(std).square().mul(-0.5).exp()
    })
}

/// `e^(-|d| / tau)` of the distance d from the middle. PyTorch: `signal.windows.exponential`.
///
/// # Panics
/// If tau is not positive.
#[track_caller]
pub fn exponential(count: usize, tau: f64, ends: Ends, device: &Device) -> Tensor {
    assert!(tau > 0.0, "exponential: tau {tau} is not positive");
    window(count, ends, device, |place, length| place.sub(length / 2.0).abs().mul(-1.0 / tau).exp())
}

/// `i0(beta sqrt(1 - (2 x - 1)^2)) / i0(beta)`. PyTorch: `signal.windows.kaiser`.
///
/// # Panics
/// If beta is negative.
#[track_caller]
pub fn kaiser(count: usize, beta: f64, ends: Ends, device: &Device) -> Tensor {
    assert!(beta >= 0.0, "kaiser: beta {beta} is negative");
    window(count, ends, device, |place, length| {
        // Scaled, so that a large beta does not overflow.
        let x = place.mul(2.0 / length).sub(1.0);
        let root = x.square().neg().add(1.0).maximum(0.0).sqrt().mul(beta);
        let whole = Tensor::scalar(beta, DType::F32, device);
        root.i0e().div(whole.i0e()).mul(root.sub(&whole).exp())
    })
}
