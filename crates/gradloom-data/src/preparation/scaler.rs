//! [`Scaler`]: numbers of any size to numbers of one size, and back.

use super::statistics::{moments, percentile, sorted};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// How numbers are scaled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Scaler {
    /// Mean 0, standard deviation 1. scikit-learn: `StandardScaler()`.
    Standard,
    /// The smallest becomes the first number, the largest the second. scikit-learn: `MinMaxScaler`.
    MinMax(f64, f64),
    /// Median 0, and 1 between the two percentiles, which outliers do not move. scikit-learn:
    /// `RobustScaler(quantile_range=...)`.
    Robust(f64, f64),
}

/// What a [`Scaler`] learnt from the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FittedScaler {
    /// `(x - centre) / divisor`
    Divide {
        /// What becomes 0.
        centre: f64,
        /// The distance from it that becomes 1.
        divisor: f64,
    },
    /// `x * factor + offset`
    Multiply {
        /// What each step becomes.
        factor: f64,
        /// What 0 becomes.
        offset: f64,
    },
}

impl Scaler {
    /// Mean 0, standard deviation 1.
    #[doc(alias = "StandardScaler")]
    pub fn standard() -> Self {
        Scaler::Standard
    }

    /// The smallest value becomes `low`, the largest `high`.
    ///
    /// # Panics
    /// If `low` is not below `high`, or one is not finite.
    #[doc(alias = "MinMaxScaler")]
    #[track_caller]
    pub fn min_max(low: f64, high: f64) -> Self {
        assert!(low < high && (high - low).is_finite(), "min-max scaler: {low} to {high}");
        Scaler::MinMax(low, high)
    }

    /// Median 0, and 1 between the quartiles.
    #[doc(alias = "RobustScaler")]
    pub fn robust() -> Self {
        Scaler::Robust(25.0, 75.0)
    }

    /// Learns from the values of the training part; missing ones (NaN) are left out.
    ///
    /// A constant column is moved and not stretched, as in scikit-learn.
    ///
    /// ```
    /// use gradloom_data::preparation::Scaler;
    ///
    /// let scaler = Scaler::standard().fit(&[1.0, 2.0, 3.0])?;
    /// assert_eq!(scaler.transform(2.0), 0.0);
    /// assert_eq!(scaler.inverse(scaler.transform(3.0)), 3.0);
    /// # Ok::<(), gradloom_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// If there are no values, or they are so large that their spread is no finite number.
    pub fn fit(&self, values: &[f64]) -> Result<FittedScaler> {
        let (count, mean, variance) = moments(values);
        if count == 0 {
            return Err(Error::invalid(format!(
                "scaler: no values to learn from among {} rows",
                values.len()
            )));
        }
        let fitted = match *self {
            Scaler::Standard => {
                // Below this, the variance is what rounding made of a constant (scikit-learn's bound).
                let n = count as f64;
                let noise = n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
                let constant = variance <= noise && variance.is_finite();
                let divisor = if constant { 1.0 } else { variance.sqrt() };
                FittedScaler::Divide { centre: mean, divisor }
            }
            Scaler::MinMax(low, high) => {
                let sorted = sorted(values);
                let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
                let factor = (high - low) / positive(most - least);
                FittedScaler::Multiply { factor, offset: low - least * factor }
            }
            Scaler::Robust(lower, upper) => {
                let sorted = sorted(values);
                let range = percentile(&sorted, upper) - percentile(&sorted, lower);
                let centre = percentile(&sorted, 50.0);
                FittedScaler::Divide { centre, divisor: positive(range) }
            }
        };
        let (a, b) = match fitted {
            FittedScaler::Divide { centre, divisor } => (centre, divisor),
            FittedScaler::Multiply { factor, offset } => (factor, offset),
        };
        // The factor of an infinite range is zero, which no value could be read back from.
        let usable = match fitted {
            FittedScaler::Divide { divisor, .. } => divisor > 0.0,
            FittedScaler::Multiply { factor, .. } => factor > 0.0,
        };
        if !(a.is_finite() && b.is_finite() && usable) {
            return Err(Error::invalid(
                "scaler: infinite values, or so large that their spread is infinite; clip them first",
            ));
        }
        Ok(fitted)
    }
}

/// A range, or 1 for what rounding made of none.
fn positive(range: f64) -> f64 {
    if range < 10.0 * f64::EPSILON { 1.0 } else { range }
}

impl FittedScaler {
    /// A value scaled; NaN stays NaN.
    pub fn transform(&self, value: f64) -> f64 {
        match *self {
            FittedScaler::Divide { centre, divisor } => (value - centre) / divisor,
            FittedScaler::Multiply { factor, offset } => value * factor + offset,
        }
    }

    /// A scaled value as it was.
    pub fn inverse(&self, value: f64) -> f64 {
        match *self {
            FittedScaler::Divide { centre, divisor } => value * divisor + centre,
            FittedScaler::Multiply { factor, offset } => (value - offset) / factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Scaler;

    #[test]
    fn constants_are_moved_and_not_stretched() {
        for scaler in [Scaler::standard(), Scaler::min_max(0.0, 1.0), Scaler::robust()] {
            let fitted = scaler.fit(&[7.3; 11]).unwrap();
            assert!(fitted.transform(7.3).abs() < 1e-15, "{fitted:?}");
            assert_eq!(fitted.inverse(fitted.transform(7.3)), 7.3);
        }
    }

    #[test]
    fn a_large_offset_leaves_the_spread_exact() {
        let values: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i % 5)).collect();
        let fitted = Scaler::standard().fit(&values).unwrap();
        let scaled: Vec<f64> = values.iter().map(|&value| fitted.transform(value)).collect();
        let (_, mean, variance) = super::moments(&scaled);
        assert!(mean.abs() < 1e-15 && (variance - 1.0).abs() < 1e-14, "{mean} {variance}");
    }

    #[test]
    fn nothing_to_learn_from_is_an_error() {
        assert!(Scaler::standard().fit(&[]).is_err());
        assert!(Scaler::robust().fit(&[f64::NAN]).is_err());
        assert!(Scaler::standard().fit(&[f64::MAX, -f64::MAX]).is_err());
        assert!(Scaler::min_max(0.0, 1.0).fit(&[f64::INFINITY, 0.0]).is_err());
    }
}
