//! [`Observer`] and [`Statistics`]: how far the numbers of a tensor reach, over many batches.

use gradloom_tensor::{Error, ErrorKind, Result};

use super::histogram::{Histogram, least_error};
use super::scheme::{Range, Scheme};

/// Numbers up to which no histogram is needed.
const EXACT_MAX: usize = 4096;

/// How a range is chosen from what was seen. All but the first three read a histogram of 4096 bins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observer {
    /// From minus to plus the largest magnitude.
    AbsMax,
    /// From the least to the largest. PyTorch: `MinMaxObserver`.
    MinMax,
    /// Least and largest of batches, averaged: each batch moves them by this share of the way. PyTorch:
    /// `MovingAverageMinMaxObserver(averaging_constant)`.
    MovingMinMax(f64),
    /// Without the numbers beyond this percentile on both sides, such as 99.99.
    Percentile(f64),
    /// With the least squared error of the rounded numbers. PyTorch: `HistogramObserver`.
    Mse,
    /// With the least Kullback-Leibler divergence of the rounded magnitudes. TensorRT's calibration; Migacz, "8-bit
    /// inference with TensorRT", 2017.
    Entropy,
}

impl Observer {
    /// The range of these numbers alone.
    ///
    /// # Errors
    /// If there are none, or one is not finite.
    pub fn range_of(self, values: &[f32], scheme: &Scheme) -> Result<Range> {
        if self == Observer::Mse && values.len() <= EXACT_MAX {
            // The numbers themselves are fewer than bins.
            let range = Observer::MinMax.range_of(values, scheme)?;
            let numbers: Vec<(f64, f64)> =
                values.iter().map(|value| (f64::from(*value), 1.0)).collect();
            return Ok(least_error(&numbers, range, scheme));
        }
        let mut statistics = Statistics::new(self);
        statistics.observe(values)?;
        statistics.range(scheme)
    }

    fn reads_histogram(self) -> bool {
        matches!(self, Observer::Percentile(_) | Observer::Mse | Observer::Entropy)
    }
}

/// What an observer remembers of the batches that it saw.
///
/// ```
/// use gradloom_compress::quantize::{Observer, Range, Scheme, Statistics};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let mut statistics = Statistics::new(Observer::MinMax);
/// statistics.observe(&[0.5, -1.0])?;
/// statistics.observe(&[3.0])?;
/// assert_eq!(statistics.range(&Scheme::affine(8))?, Range { low: -1.0, high: 3.0 });
/// assert!(statistics.observe(&[f32::NAN]).is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Statistics {
    observer: Observer,
    range: Option<Range>,
    histogram: Histogram,
    count: u64,
    magnitudes: f64,
}

impl Statistics {
    /// Of nothing yet.
    ///
    /// # Panics
    /// If a percentile is not within `50..=100`, or a share not within `0..=1`.
    #[track_caller]
    pub fn new(observer: Observer) -> Self {
        let fits = match observer {
            Observer::Percentile(percentile) => (50.0..=100.0).contains(&percentile),
            Observer::MovingMinMax(share) => (0.0..=1.0).contains(&share),
            _ => true,
        };
        assert!(fits, "quantize: {observer:?}; percentiles are 50 to 100, shares 0 to 1");
        Statistics {
            observer,
            range: None,
            histogram: Histogram::default(),
            count: 0,
            magnitudes: 0.0,
        }
    }

    /// Takes a batch in.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn observe(&mut self, values: &[f32]) -> Result<()> {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            let message =
                format!("quantize: {value} among the numbers that a range is chosen from");
            return Err(Error::new(ErrorKind::NotFinite, message));
        }
        if values.is_empty() {
            return Ok(());
        }
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        self.range = Some(match (self.range, self.observer) {
            (None, _) => Range { low, high },
            (Some(range), Observer::MovingMinMax(share)) => {
                let moved = |old: f32, new: f32| old + (new - old) * share as f32;
                Range { low: moved(range.low, low), high: moved(range.high, high) }
            }
            (Some(range), _) => Range { low: range.low.min(low), high: range.high.max(high) },
        });
        if self.observer.reads_histogram() {
            self.histogram.add(values, low.abs().max(high.abs()));
        }
        self.count += values.len() as u64;
        self.magnitudes += values.iter().map(|value| f64::from(value.abs())).sum::<f64>();
        Ok(())
    }

    /// How many numbers were seen.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean magnitude, 0 of nothing.
    pub fn mean_magnitude(&self) -> f64 {
        self.magnitudes / self.count.max(1) as f64
    }

    /// The range for integers of a scheme.
    ///
    /// # Errors
    /// If nothing was seen.
    pub fn range(&self, scheme: &Scheme) -> Result<Range> {
        let Some(range) = self.range else {
            return Err(Error::new(
                ErrorKind::Mismatch,
                "quantize: no numbers were seen to choose a range from",
            ));
        };
        Ok(match self.observer {
            Observer::MinMax | Observer::MovingMinMax(_) => range,
            Observer::AbsMax => {
                let bound = range.high.max(-range.low);
                Range { low: -bound, high: bound }
            }
            Observer::Percentile(percentile) => self.histogram.percentile(range, percentile),
            Observer::Mse => self.histogram.least_error(range, scheme),
            Observer::Entropy => self.histogram.least_divergence(range, scheme),
        })
    }
}
