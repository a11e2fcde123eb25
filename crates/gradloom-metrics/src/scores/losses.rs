//! Proper scores of probabilities: log loss and Brier score.

use gradloom_error::Result;
use serde::{Deserialize, Serialize};

use crate::inputs::{Label, classes_of, distributions, rows, yes_or_no};
use crate::{Accumulator, Mean};

/// Mean of `-log p` of the true class, with probabilities kept 2.2e-16 from 0 and 1. As
/// `sklearn.metrics.log_loss`.
///
/// ```
/// use gradloom_metrics::{Accumulator, LogLoss};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut loss = LogLoss::default();
/// loss.update(&[0, 1], &[0.5, 0.5, 0.25, 0.75], 2)?;
/// assert!((loss.value()? - (2.0_f64.ln() - 0.75_f64.ln()) / 2.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogLoss {
    nats: Mean,
}

impl LogLoss {
    /// Adds samples by their classes and probabilities, row by row.
    ///
    /// # Errors
    /// If there is not one probability for each class of each sample, one is none, a row does not sum to 1,
    /// or a label is none of the classes.
    pub fn update<S: Copy + Into<f64>>(
        &mut self,
        actual: &[impl Label],
        probabilities: &[S],
        classes: usize,
    ) -> Result<()> {
        rows("log loss", probabilities.len(), classes, actual.len())?;
        let actual = classes_of("log loss", actual, classes)?;
        let numbers = distributions("log loss", probabilities, classes)?;
        for (row, class) in numbers.chunks(classes).zip(actual) {
            let p = row[class].clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            self.nats.update(-p.ln(), 1.0)?;
        }
        Ok(())
    }
}

impl Accumulator for LogLoss {
    type Value = f64;

    fn value(&self) -> Result<f64> {
        self.nats.value().map_err(|error| error.context("log loss"))
    }

    fn reset(&mut self) {
        self.nats.reset();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.nats.merge(&other.nats)
    }
}

/// [`LogLoss`] of labels and rows of probabilities.
///
/// # Errors
/// As [`LogLoss::update`], and without samples.
pub fn log_loss<S: Copy + Into<f64>>(
    actual: &[impl Label],
    probabilities: &[S],
    classes: usize,
) -> Result<f64> {
    let mut state = LogLoss::default();
    state.update(actual, probabilities, classes)?;
    state.value()
}

/// Mean squared distance of probabilities from what happened. As `sklearn.metrics.brier_score_loss`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Brier {
    squares: Mean,
}

impl Brier {
    /// Adds samples that are yes (1) or no (0) by the probability of yes.
    ///
    /// # Errors
    /// If the lengths differ, a label is neither 0 nor 1, or a number is no probability.
    pub fn update<S: Copy + Into<f64>>(&mut self, actual: &[impl Label], yes: &[S]) -> Result<()> {
        for (p, is) in yes_or_no("brier", actual, yes)? {
            self.squares.update((p - f64::from(u8::from(is))).powi(2), 1.0)?;
        }
        Ok(())
    }

    /// Adds samples of several classes by rows of probabilities. The squares of all classes are summed, so
    /// two classes give twice what [`update`](Brier::update) gives.
    ///
    /// # Errors
    /// As [`LogLoss::update`].
    pub fn update_classes<S: Copy + Into<f64>>(
        &mut self,
        actual: &[impl Label],
        probabilities: &[S],
        classes: usize,
    ) -> Result<()> {
        rows("brier", probabilities.len(), classes, actual.len())?;
        let actual = classes_of("brier", actual, classes)?;
        let numbers = distributions("brier", probabilities, classes)?;
        for (row, class) in numbers.chunks(classes).zip(actual) {
            let each = row.iter().enumerate();
            let squares = each.map(|(other, p)| (p - f64::from(u8::from(other == class))).powi(2));
            self.squares.update(squares.sum(), 1.0)?;
        }
        Ok(())
    }
}

impl Accumulator for Brier {
    type Value = f64;

    fn value(&self) -> Result<f64> {
        self.squares.value().map_err(|error| error.context("brier"))
    }

    fn reset(&mut self) {
        self.squares.reset();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.squares.merge(&other.squares)
    }
}

/// [`Brier`] of labels that are 0 or 1 and the probabilities of 1.
///
/// # Errors
/// As [`Brier::update`], and without samples.
pub fn brier<S: Copy + Into<f64>>(actual: &[impl Label], yes: &[S]) -> Result<f64> {
    let mut state = Brier::default();
    state.update(actual, yes)?;
    state.value()
}

/// [`Brier`] of labels and rows of probabilities.
///
/// # Errors
/// As [`Brier::update_classes`], and without samples.
pub fn brier_of_classes<S: Copy + Into<f64>>(
    actual: &[impl Label],
    probabilities: &[S],
    classes: usize,
) -> Result<f64> {
    let mut state = Brier::default();
    state.update_classes(actual, probabilities, classes)?;
    state.value()
}
