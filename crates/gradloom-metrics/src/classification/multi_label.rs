//! [`MultiLabel`]: samples that have any number of labels.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::averages::{Average, ClassCounts, ClassReport, ZeroDivision, average};
use crate::Accumulator;
use crate::inputs::{Label, class, not_empty, same_length};

/// Counts of yes-or-no decisions about each of several labels.
///
/// ```
/// use gradloom_metrics::{Average, MultiLabel, ZeroDivision};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut labels = MultiLabel::new(3, 1.0, ZeroDivision::Zero);
/// labels.update(&[1, 0, 1, 0, 1, 0], &[1, 0, 0, 0, 1, 1])?;
/// assert_eq!(labels.average(Average::Micro).precision, 2.0 / 3.0);
/// assert_eq!(labels.subset_accuracy()?, 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct MultiLabel {
    beta: f64,
    zero: ZeroDivision,
    /// Right, called and true samples of each label.
    counts: Vec<[u64; 3]>,
    samples: u64,
    exact: u64,
    wrong: u64,
    /// Sums over samples of precision, recall and F, and how many of each are numbers.
    sums: [f64; 3],
    numbers: [u64; 3],
}

/// A saved state, of which nothing is known yet.
#[derive(Deserialize)]
struct State {
    beta: f64,
    zero: ZeroDivision,
    counts: Vec<[u64; 3]>,
    samples: u64,
    exact: u64,
    wrong: u64,
    sums: [f64; 3],
    numbers: [u64; 3],
}

impl TryFrom<State> for MultiLabel {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        let State { beta, zero, counts, samples, exact, wrong, sums, numbers } = state;
        if counts.is_empty() || beta.is_nan() || beta < 0.0 {
            let labels = counts.len();
            return Err(Error::invalid(format!(
                "multi-label: a state of {labels} labels and beta {beta}"
            )));
        }
        Ok(MultiLabel { beta, zero, counts, samples, exact, wrong, sums, numbers })
    }
}

impl MultiLabel {
    /// Of `labels` labels, with F of `beta` (1 is F1).
    ///
    /// # Panics
    /// Without labels, or if `beta` is negative or NaN.
    #[track_caller]
    pub fn new(labels: usize, beta: f64, zero: ZeroDivision) -> Self {
        assert!(labels > 0 && beta >= 0.0, "multi-label: {labels} labels and beta {beta}");
        MultiLabel {
            beta,
            zero,
            counts: vec![[0; 3]; labels],
            samples: 0,
            exact: 0,
            wrong: 0,
            sums: [0.0; 3],
            numbers: [0; 3],
        }
    }

    /// Adds samples, row by row: 1 where a sample has the label, else 0.
    ///
    /// # Errors
    /// If the lengths differ, are no whole number of samples, or an entry is neither 0 nor 1.
    pub fn update<A: Label, P: Label>(&mut self, actual: &[A], predicted: &[P]) -> Result<()> {
        let (name, labels) = ("multi-label", self.counts.len());
        same_length(name, ("true entries", actual.len()), ("predicted", predicted.len()))?;
        if !actual.len().is_multiple_of(labels) {
            let len = actual.len();
            return Err(Error::invalid(format!(
                "{name}: {len} entries are no whole number of samples of {labels} labels"
            )));
        }
        let entries = |index: usize| -> Result<(u64, u64)> {
            let actual = class(name, index / labels, actual[index], 2)?;
            Ok((actual as u64, class(name, index / labels, predicted[index], 2)? as u64))
        };
        let pairs = (0..actual.len()).map(entries).collect::<Result<Vec<(u64, u64)>>>()?;
        for row in pairs.chunks(labels) {
            self.add(row);
        }
        Ok(())
    }

    fn add(&mut self, row: &[(u64, u64)]) {
        let mut own = ClassCounts::default();
        for (counts, &(actual, predicted)) in self.counts.iter_mut().zip(row) {
            for (count, one) in counts.iter_mut().zip([actual * predicted, predicted, actual]) {
                *count += one;
            }
            own.right += actual * predicted;
            own.called += predicted;
            own.support += actual;
        }
        let wrong = own.called + own.support - 2 * own.right;
        self.samples += 1;
        self.exact += u64::from(wrong == 0);
        self.wrong += wrong;
        let report = own.report(self.beta, self.zero);
        let figures = [report.precision, report.recall, report.f];
        for (slot, figure) in figures.into_iter().enumerate() {
            if !figure.is_nan() {
                self.sums[slot] += figure;
                self.numbers[slot] += 1;
            }
        }
    }

    fn class_counts(&self) -> Vec<ClassCounts> {
        let each = self.counts.iter();
        each.map(|&[right, called, support]| ClassCounts { right, called, support }).collect()
    }

    /// Figures of every label.
    pub fn each_label(&self) -> Vec<ClassReport> {
        let each = self.class_counts().into_iter();
        each.map(|counts| counts.report(self.beta, self.zero)).collect()
    }

    /// Figures of all labels as one.
    pub fn average(&self, kind: Average) -> ClassReport {
        average(&self.class_counts(), kind, self.beta, self.zero)
    }

    /// Means of the figures of each sample over its labels. As
    /// `sklearn.metrics.precision_recall_fscore_support(average="samples")`.
    pub fn average_of_samples(&self) -> ClassReport {
        let mean = |slot: usize| match self.numbers[slot] {
            0 => f64::NAN,
            numbers => self.sums[slot] / numbers as f64,
        };
        let support = self.counts.iter().map(|counts| counts[2]).sum();
        ClassReport { precision: mean(0), recall: mean(1), f: mean(2), support }
    }

    /// Share of samples whose labels are all met. As `sklearn.metrics.accuracy_score` of label matrices.
    ///
    /// # Errors
    /// Without samples.
    pub fn subset_accuracy(&self) -> Result<f64> {
        not_empty("multi-label", usize::from(self.samples > 0))?;
        Ok(self.exact as f64 / self.samples as f64)
    }

    /// Share of entries that are wrong. As `sklearn.metrics.hamming_loss`.
    ///
    /// # Errors
    /// Without samples.
    pub fn hamming_loss(&self) -> Result<f64> {
        not_empty("multi-label", usize::from(self.samples > 0))?;
        Ok(self.wrong as f64 / (self.samples * self.counts.len() as u64) as f64)
    }
}

impl Accumulator for MultiLabel {
    /// Micro averages.
    type Value = ClassReport;

    fn value(&self) -> Result<ClassReport> {
        not_empty("multi-label", usize::from(self.samples > 0))?;
        Ok(self.average(Average::Micro))
    }

    fn reset(&mut self) {
        *self = MultiLabel::new(self.counts.len(), self.beta, self.zero);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let settings = |state: &Self| (state.counts.len(), state.beta, state.zero);
        if settings(self) != settings(other) {
            return Err(Error::invalid(format!(
                "multi-label: merge of (labels, beta, zero division) {:?} with {:?}",
                settings(self),
                settings(other)
            )));
        }
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            for (own, other) in own.iter_mut().zip(other) {
                *own += other;
            }
        }
        self.samples += other.samples;
        self.exact += other.exact;
        self.wrong += other.wrong;
        for slot in 0..3 {
            self.sums[slot] += other.sums[slot];
            self.numbers[slot] += other.numbers[slot];
        }
        Ok(())
    }
}
