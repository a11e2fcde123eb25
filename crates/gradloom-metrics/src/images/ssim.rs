//! [`Ssim`]: how like two pictures are in brightness, contrast and structure, window by window.

use gradloom_error::{Error, Result};

use crate::inputs::{finite, positive, same_length};

/// Where the channels of a picture stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelAxis {
    /// So many pictures of one channel one after the other, `[C, H, W]`; one for a grey one.
    First(usize),
    /// So many numbers for each pixel, `[H, W, C]`.
    Last(usize),
}

/// The windows over which means are taken.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Window {
    /// Each pixel of a square with this side counts as much.
    Uniform(usize),
    /// By distance, with this deviation, cut at 3.5 of it.
    Gaussian(f64),
}

/// Structural similarity, a mean over all windows that lie in the picture, and over channels; 1 for equal pictures. As
/// `skimage.metrics.structural_similarity` with its options.
///
/// Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", 2004;
/// theirs is [`gaussian(1.5)`](Ssim::gaussian) with [`sample_covariance(false)`](Ssim::sample_covariance).
///
/// ```
/// use gradloom_metrics::{ChannelAxis, Ssim};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let x: Vec<f64> = (0..256).map(|i| f64::from(i % 16) / 15.0).collect();
/// let y: Vec<f64> = x.iter().map(|x| 0.5 * x).collect();
/// let ssim = Ssim::new(1.0).gaussian(1.5);
/// assert_eq!(ssim.of(&x, &x, [16, 16], ChannelAxis::First(1))?, 1.0);
/// assert!(ssim.of(&x, &y, [16, 16], ChannelAxis::First(1))? < 0.9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ssim {
    data_range: f64,
    window: Window,
    sample_covariance: bool,
    constants: [f64; 2],
}

impl Ssim {
    /// Uniform windows of 7 x 7, unbiased covariances, constants 0.01 and 0.03. `data_range` is the distance of the
    /// largest possible number from the least.
    pub fn new(data_range: f64) -> Self {
        let window = Window::Uniform(7);
        Ssim { data_range, window, sample_covariance: true, constants: [0.01, 0.03] }
    }

    /// Uniform windows with this side; odd. skimage: `win_size`.
    #[must_use]
    pub fn window(mut self, side: usize) -> Self {
        self.window = Window::Uniform(side);
        self
    }

    /// Windows in which pixels count by distance, cut at 3.5 deviations. skimage: `gaussian_weights` with `sigma`.
    #[must_use]
    pub fn gaussian(mut self, deviation: f64) -> Self {
        self.window = Window::Gaussian(deviation);
        self
    }

    /// Whether covariances are divided by one less than the pixels of a window. skimage: `use_sample_covariance`.
    #[must_use]
    pub fn sample_covariance(mut self, unbiased: bool) -> Self {
        self.sample_covariance = unbiased;
        self
    }

    /// The constants that keep brightness and contrast from a division by zero. skimage: `K1` and `K2`.
    #[must_use]
    pub fn constants(mut self, constants: [f64; 2]) -> Self {
        self.constants = constants;
        self
    }

    /// The similarity of two pictures of this height and width.
    ///
    /// # Errors
    /// If lengths do not fit, numbers are not finite, settings make no sense, or a window is larger than the picture.
    pub fn of<S: Copy + Into<f64>>(
        &self,
        x: &[S],
        y: &[S],
        size: [usize; 2],
        channels: ChannelAxis,
    ) -> Result<f64> {
        const METRIC: &str = "ssim";
        same_length(METRIC, ("numbers of one picture", x.len()), ("of the other", y.len()))?;
        let (ChannelAxis::First(count) | ChannelAxis::Last(count)) = channels;
        let [height, width] = size;
        let pixels = height.checked_mul(width).unwrap_or(0);
        if count == 0 || pixels == 0 || pixels.checked_mul(count) != Some(x.len()) {
            return Err(Error::invalid(format!(
                "{METRIC}: {} numbers are no picture of {height} x {width} with {count} channels",
                x.len()
            )));
        }
        let weights = self.weights(size)?;
        let (x, y) = (finite(METRIC, "number", x)?, finite(METRIC, "number", y)?);
        let channel = |all: &[f64], channel: usize| -> Vec<f64> {
            match channels {
                ChannelAxis::First(_) => all[channel * pixels..(channel + 1) * pixels].to_vec(),
                ChannelAxis::Last(_) => all[channel..].iter().step_by(count).copied().collect(),
            }
        };
        let each = (0..count)
            .map(|at| self.of_channel(&channel(&x, at), &channel(&y, at), size, &weights));
        Ok(each.sum::<f64>() / count as f64)
    }

    /// The weights of a window along each of its axes.
    fn weights(&self, size: [usize; 2]) -> Result<Vec<f64>> {
        positive("ssim", "data range", self.data_range)?;
        positive("ssim", "first constant", self.constants[0])?;
        positive("ssim", "second constant", self.constants[1])?;
        let weights = match self.window {
            Window::Uniform(side) => {
                if side < 3 || side.is_multiple_of(2) {
                    let message = format!("ssim: windows of {side}; a side is odd, from 3 on");
                    return Err(Error::invalid(message));
                }
                // Before there is memory for them.
                fits(side, size)?;
                vec![1.0 / side as f64; side]
            }
            Window::Gaussian(deviation) => {
                positive("ssim", "deviation", deviation)?;
                let radius = (3.5 * deviation + 0.5).floor();
                if radius < 1.0 {
                    let message = format!("ssim: a deviation of {deviation} sees one pixel alone");
                    return Err(Error::invalid(message));
                }
                let radius = radius.min(1e9) as usize;
                fits(2 * radius + 1, size)?;
                let weight = |place: usize| {
                    let distance = place as f64 - radius as f64;
                    (-0.5 * (distance / deviation).powi(2)).exp()
                };
                let weights: Vec<f64> = (0..2 * radius + 1).map(weight).collect();
                let sum: f64 = weights.iter().sum();
                weights.into_iter().map(|weight| weight / sum).collect()
            }
        };
        Ok(weights)
    }

    fn of_channel(&self, x: &[f64], y: &[f64], size: [usize; 2], weights: &[f64]) -> f64 {
        let product =
            |x: &[f64], y: &[f64]| -> Vec<f64> { x.iter().zip(y).map(|(x, y)| x * y).collect() };
        let mean = |numbers: &[f64]| means(numbers, size, weights);
        let (mean_x, mean_y) = (mean(x), mean(y));
        let [xx, yy, xy] = [product(x, x), product(y, y), product(x, y)].map(|all| mean(&all));
        let pixels = (weights.len() * weights.len()) as f64;
        let unbiased = if self.sample_covariance { pixels / (pixels - 1.0) } else { 1.0 };
        let [first, second] = self.constants.map(|constant| (constant * self.data_range).powi(2));
        let each = (0..mean_x.len()).map(|at| {
            let (x, y) = (mean_x[at], mean_y[at]);
            let variances = unbiased * (xx[at] - x * x) + unbiased * (yy[at] - y * y);
            let covariance = unbiased * (xy[at] - x * y);
            let above = (2.0 * x * y + first) * (2.0 * covariance + second);
            above / ((x * x + y * y + first) * (variances + second))
        });
        each.sum::<f64>() / mean_x.len() as f64
    }
}

fn fits(side: usize, [height, width]: [usize; 2]) -> Result<()> {
    if side <= height.min(width) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "ssim: windows of {side} x {side} in a picture of {height} x {width}; take smaller ones"
    )))
}

/// Weighted means over all windows that lie in the picture, line by line.
fn means(numbers: &[f64], [height, width]: [usize; 2], weights: &[f64]) -> Vec<f64> {
    let columns = width - weights.len() + 1;
    let along = |line: &[f64], at: usize| -> f64 {
        weights.iter().zip(&line[at..]).map(|(weight, number)| weight * number).sum()
    };
    let lines = numbers.chunks_exact(width);
    let rows: Vec<f64> =
        lines.flat_map(|line| (0..columns).map(move |at| along(line, at))).collect();
    let mut result = vec![0.0; (height - weights.len() + 1) * columns];
    for (top, line) in result.chunks_exact_mut(columns).enumerate() {
        for (down, weight) in weights.iter().enumerate() {
            let row = &rows[(top + down) * columns..][..columns];
            line.iter_mut().zip(row).for_each(|(sum, number)| *sum += weight * number);
        }
    }
    result
}

/// Structural similarity with uniform windows of 7 x 7, see [`Ssim`].
///
/// # Errors
/// As [`Ssim::of`].
pub fn ssim<S: Copy + Into<f64>>(
    x: &[S],
    y: &[S],
    size: [usize; 2],
    channels: ChannelAxis,
    data_range: f64,
) -> Result<f64> {
    Ssim::new(data_range).of(x, y, size, channels)
}
