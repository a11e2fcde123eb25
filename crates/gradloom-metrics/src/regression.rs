//! [`Regression`]: errors of predicted numbers.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::inputs::{finite, same_length};

/// A mean and the sum of squares around it, so that states merge without losing digits (Chan et al., 1979).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Moments {
    mean: f64,
    squares: f64,
}

impl Moments {
    fn of(numbers: &[f64]) -> Self {
        let mean = numbers.iter().sum::<f64>() / numbers.len().max(1) as f64;
        Moments { mean, squares: numbers.iter().map(|number| (number - mean).powi(2)).sum() }
    }

    fn merged(self, own: f64, other: Moments, others: f64) -> Moments {
        if own + others == 0.0 {
            return self;
        }
        let (delta, share) = (other.mean - self.mean, others / (own + others));
        Moments {
            mean: self.mean + delta * share,
            squares: self.squares + other.squares + delta * delta * own * share,
        }
    }
}

/// Sums over pairs of true and predicted numbers, from which all figures follow.
///
/// ```
/// use gradloom_metrics::{Accumulator, Regression};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut errors = Regression::default();
/// errors.update(&[3.0, -0.5], &[2.5, 0.0])?;
/// errors.update(&[2.0, 7.0], &[2.0, 8.0])?;
/// let report = errors.value()?;
/// assert_eq!(report.mse, 0.375);
/// assert!((report.r2.unwrap() - 0.9486081370449679).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    count: f64,
    squared: f64,
    absolute: f64,
    relative: f64,
    actual: Moments,
    residual: Moments,
}

/// Figures of [`Regression`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegressionReport {
    /// Mean of squared errors. As `sklearn.metrics.mean_squared_error`.
    pub mse: f64,
    /// Root of it.
    pub rmse: f64,
    /// Mean of absolute errors.
    pub mae: f64,
    /// Mean of absolute errors by the absolute true number, which counts as 2.2e-16 where it is 0. As
    /// `sklearn.metrics.mean_absolute_percentage_error`: a share, not a percentage.
    pub mape: f64,
    /// Share of the variance that is explained, with the mean error counted; where the true numbers are
    /// all equal, 1 if all are met and 0 if not. `None` for fewer than two samples. As
    /// `sklearn.metrics.r2_score`.
    pub r2: Option<f64>,
    /// As `r2`, without the mean error.
    pub explained_variance: f64,
}

impl Regression {
    /// Adds pairs of true and predicted numbers. Several outputs of a sample count as several pairs.
    ///
    /// # Errors
    /// If the lengths differ or a number is not finite.
    pub fn update<S: Copy + Into<f64>>(&mut self, actual: &[S], predicted: &[S]) -> Result<()> {
        same_length(
            "regression",
            ("true numbers", actual.len()),
            ("predictions", predicted.len()),
        )?;
        let actual = finite("regression", "true number", actual)?;
        let predicted = finite("regression", "prediction", predicted)?;
        let residuals: Vec<f64> =
            actual.iter().zip(&predicted).map(|(actual, predicted)| actual - predicted).collect();
        let batch = Regression {
            count: actual.len() as f64,
            squared: residuals.iter().map(|residual| residual * residual).sum(),
            absolute: residuals.iter().map(|residual| residual.abs()).sum(),
            relative: residuals
                .iter()
                .zip(&actual)
                .map(|(residual, actual)| residual.abs() / actual.abs().max(f64::EPSILON))
                .sum(),
            actual: Moments::of(&actual),
            residual: Moments::of(&residuals),
        };
        self.merge(&batch)
    }
}

impl Accumulator for Regression {
    type Value = RegressionReport;

    fn value(&self) -> Result<RegressionReport> {
        if self.count == 0.0 {
            return Err(Error::invalid("regression: no samples"));
        }
        let explained = |left: f64| match (left == 0.0, self.actual.squares == 0.0) {
            (true, true) => 1.0,
            (false, true) => 0.0,
            _ => 1.0 - left / self.actual.squares,
        };
        let mse = self.squared / self.count;
        Ok(RegressionReport {
            mse,
            rmse: mse.sqrt(),
            mae: self.absolute / self.count,
            mape: self.relative / self.count,
            r2: (self.count >= 2.0).then(|| explained(self.squared)),
            explained_variance: explained(self.residual.squares),
        })
    }

    fn reset(&mut self) {
        *self = Regression::default();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if other.count == 0.0 {
            return Ok(());
        }
        self.actual = self.actual.merged(self.count, other.actual, other.count);
        self.residual = self.residual.merged(self.count, other.residual, other.count);
        self.count += other.count;
        self.squared += other.squared;
        self.absolute += other.absolute;
        self.relative += other.relative;
        Ok(())
    }
}

fn report<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<RegressionReport> {
    let mut state = Regression::default();
    state.update(actual, predicted)?;
    state.value()
}

/// Mean of squared errors; errors as [`Regression`].
///
/// # Errors
/// Without samples, if the lengths differ, or if a number is not finite.
pub fn mse<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<f64> {
    Ok(report(actual, predicted)?.mse)
}

/// Root of the mean of squared errors.
///
/// # Errors
/// As [`mse`].
pub fn rmse<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<f64> {
    Ok(report(actual, predicted)?.rmse)
}

/// Mean of absolute errors.
///
/// # Errors
/// As [`mse`].
pub fn mae<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<f64> {
    Ok(report(actual, predicted)?.mae)
}

/// Mean of relative errors, as a share; see [`RegressionReport::mape`].
///
/// # Errors
/// As [`mse`].
pub fn mape<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<f64> {
    Ok(report(actual, predicted)?.mape)
}

/// Share of the variance that is explained; see [`RegressionReport::r2`].
///
/// # Errors
/// As [`mse`], and for fewer than two samples.
pub fn r2<S: Copy + Into<f64>>(actual: &[S], predicted: &[S]) -> Result<f64> {
    let r2 = report(actual, predicted)?.r2;
    r2.ok_or_else(|| Error::invalid("r2: one sample has no variance; give two or more"))
}

#[cfg(test)]
mod tests {
    use super::{Accumulator, Regression, r2};

    #[test]
    fn parts_far_from_zero_merge_without_losing_digits() {
        let actual: Vec<f64> = (0..1000).map(|i| 1e8 + f64::from(i % 7)).collect();
        let predicted: Vec<f64> = actual.iter().map(|number| number + 0.5).collect();
        let (mut whole, mut parts) = (Regression::default(), Regression::default());
        whole.update(&actual, &predicted).unwrap();
        for (actual, predicted) in actual.chunks(33).zip(predicted.chunks(33)) {
            parts.update(actual, predicted).unwrap();
        }
        let (whole, parts) = (whole.value().unwrap(), parts.value().unwrap());
        assert!((whole.r2.unwrap() - parts.r2.unwrap()).abs() < 1e-9, "{whole:?} {parts:?}");
        assert!((whole.explained_variance - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bad_input_is_named() {
        assert!(r2(&[1.0], &[1.0]).unwrap_err().to_string().contains("two or more"));
        let nan = r2(&[1.0, f64::NAN], &[1.0, 1.0]).unwrap_err();
        assert_eq!(nan.to_string(), "regression: true number 1 is NaN");
        assert!(nan.is_not_finite());
        assert!(r2::<f64>(&[], &[]).unwrap_err().to_string().contains("no samples"));
    }
}
