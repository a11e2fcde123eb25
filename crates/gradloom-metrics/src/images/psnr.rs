//! [`psnr`]: the error of a picture as a share of its range, in decibels.

use gradloom_error::Result;

use crate::inputs::{finite, not_empty, positive, same_length};

/// Peak signal-to-noise ratio, `10 log10(range^2 / mean squared error)` in decibels, over all numbers of pictures of any
/// layout. Equal pictures have an infinite one. As `skimage.metrics.peak_signal_noise_ratio`.
///
/// `data_range` is the distance of the largest possible number from the least: 255 for bytes, 1 for 0..=1.
///
/// # Errors
/// Without numbers, with pictures of different lengths, numbers that are not finite, or a range that is not above zero.
///
/// ```
/// let psnr = gradloom_metrics::psnr(&[10u8, 20, 30], &[10, 25, 30], 255.0).unwrap();
/// assert!((psnr - 10.0 * (255.0f64.powi(2) / (25.0 / 3.0)).log10()).abs() < 1e-12);
/// ```
pub fn psnr<S: Copy + Into<f64>>(x: &[S], y: &[S], data_range: f64) -> Result<f64> {
    const METRIC: &str = "psnr";
    same_length(METRIC, ("numbers of one picture", x.len()), ("of the other", y.len()))?;
    not_empty(METRIC, x.len())?;
    positive(METRIC, "data range", data_range)?;
    let (x, y) = (finite(METRIC, "number", x)?, finite(METRIC, "number", y)?);
    let squares: f64 = x.iter().zip(&y).map(|(x, y)| (x - y) * (x - y)).sum();
    Ok(10.0 * (data_range * data_range * x.len() as f64 / squares).log10())
}
