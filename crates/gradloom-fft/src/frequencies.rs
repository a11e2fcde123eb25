//! The frequencies of a transform's numbers, and their order.

use gradloom_tensor::{DType, Device, Tensor};

/// The frequencies `[n]` (f32) of the numbers that [`fft`](crate::fft) gives of samples `spacing` apart, in
/// cycles per unit: from zero upwards, then the negative ones. PyTorch: `torch.fft.fftfreq`.
///
/// # Panics
/// If `n` or `spacing` is zero.
#[track_caller]
#[must_use]
pub fn fftfreq(n: usize, spacing: f64, device: &Device) -> Tensor {
    check("fftfreq", n, spacing);
    let index = Tensor::arange(n, device);
    let wrapped = index.sub(n as i64);
    let index = index.lt(n.div_ceil(2) as i64).select(&index, wrapped);
    index.cast(DType::F32) / (n as f64 * spacing)
}

/// The frequencies `[n / 2 + 1]` (f32) of the numbers that [`rfft`](crate::rfft) gives. PyTorch:
/// `torch.fft.rfftfreq`.
///
/// # Panics
/// If `n` or `spacing` is zero.
#[track_caller]
#[must_use]
pub fn rfftfreq(n: usize, spacing: f64, device: &Device) -> Tensor {
    check("rfftfreq", n, spacing);
    Tensor::arange(n / 2 + 1, device).cast(DType::F32) / (n as f64 * spacing)
}

#[track_caller]
fn check(name: &str, n: usize, spacing: f64) {
    assert!(n > 0 && spacing != 0.0, "{name}: n = {n} and spacing {spacing} give no frequencies");
}

/// With the number of frequency zero in the middle of these axes. PyTorch: `torch.fft.fftshift`.
///
/// # Panics
/// If an axis is out of range.
#[track_caller]
#[must_use]
pub fn fftshift(x: &Tensor, axes: &[isize]) -> Tensor {
    axes.iter().fold(x.clone(), |x, &axis| x.roll((x.size(axis) / 2) as isize, axis))
}

/// The inverse of [`fftshift`]. PyTorch: `torch.fft.ifftshift`.
///
/// # Panics
/// If an axis is out of range.
#[track_caller]
#[must_use]
pub fn ifftshift(x: &Tensor, axes: &[isize]) -> Tensor {
    axes.iter().fold(x.clone(), |x, &axis| x.roll(-((x.size(axis) / 2) as isize), axis))
}
