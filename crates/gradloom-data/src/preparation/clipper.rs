//! [`Clipper`]: bounds learnt from the training part, beyond which numbers are cut.

use super::statistics::{moments, percentile, sorted};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the bounds of plausible numbers are found. [`cleaning`](crate::cleaning) finds the rows beyond
/// them instead.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Clipper {
    /// This many standard deviations on both sides of the mean.
    ZScore(f64),
    /// This many distances between the quartiles below the first and above the third (Tukey: 1.5).
    Iqr(f64),
    /// These two percentiles. SciPy: `winsorize`.
    Percentiles(f64, f64),
    /// These two numbers. pandas: `clip(lower, upper)`.
    Bounds(f64, f64),
}

/// The bounds that a [`Clipper`] found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FittedClipper {
    /// What smaller numbers become.
    pub low: f64,
    /// What larger numbers become.
    pub high: f64,
}

impl Clipper {
    /// Finds the bounds; missing values (NaN) are left out.
    ///
    /// # Errors
    /// If there are no values, or the bounds are none: not in order, or not finite.
    pub fn fit(&self, values: &[f64]) -> Result<FittedClipper> {
        let (count, mean, variance) = moments(values);
        if count == 0 && !matches!(self, Clipper::Bounds(..)) {
            return Err(Error::invalid(format!(
                "clipper: no values to learn from among {} rows",
                values.len()
            )));
        }
        let (low, high) = match *self {
            Clipper::ZScore(width) => {
                (mean - width * variance.sqrt(), mean + width * variance.sqrt())
            }
            Clipper::Iqr(factor) => {
                let sorted = sorted(values);
                let (first, third) = (percentile(&sorted, 25.0), percentile(&sorted, 75.0));
                (first - factor * (third - first), third + factor * (third - first))
            }
            Clipper::Percentiles(lower, upper) => {
                let sorted = sorted(values);
                (percentile(&sorted, lower), percentile(&sorted, upper))
            }
            Clipper::Bounds(low, high) => (low, high),
        };
        if !(low <= high && low.is_finite() && high.is_finite()) {
            return Err(Error::invalid(format!(
                "clipper: {self:?} gives the bounds {low} to {high}"
            )));
        }
        Ok(FittedClipper { low, high })
    }
}

impl FittedClipper {
    /// The number, or the bound that it is beyond; NaN stays NaN.
    pub fn transform(&self, value: f64) -> f64 {
        // No `clamp`: it panics where a damaged file gave bounds that are not in order.
        if value < self.low {
            self.low
        } else if value > self.high {
            self.high
        } else {
            value
        }
    }

    /// True if the number is within the bounds or missing.
    pub fn holds(&self, value: f64) -> bool {
        value.is_nan() || (self.low..=self.high).contains(&value)
    }
}
