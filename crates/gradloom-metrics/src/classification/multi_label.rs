//! [`MultiLabel`]: samples that have any number of labels.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::averages::{Average, ClassCounts, ClassReport, ZeroDivision};
use super::label_counts::LabelCounts;
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
#[serde(try_from = "State", into = "State")]
pub struct MultiLabel(State);

/// What it knows, and what is saved of it; of a state that was read nothing is known yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct State {
    beta: f64,
    zero: ZeroDivision,
    /// Right, called and true samples of each label.
    counts: LabelCounts,
    samples: u64,
    exact: u64,
    wrong: u64,
    /// Sums over samples of precision, recall and F, and how many of each are numbers.
    sums: [f64; 3],
    numbers: [u64; 3],
}

impl From<MultiLabel> for State {
    fn from(own: MultiLabel) -> Self {
        own.0
    }
}

impl TryFrom<State> for MultiLabel {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        let (labels, beta) = (state.counts.len(), state.beta);
        if labels == 0 || beta.is_nan() || beta < 0.0 {
            return Err(Error::invalid(format!(
                "multi-label: a state of {labels} labels and beta {beta}"
            )));
        }
        Ok(MultiLabel(state))
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
        MultiLabel(State {
            beta,
            zero,
            counts: LabelCounts::new(labels),
            samples: 0,
            exact: 0,
            wrong: 0,
            sums: [0.0; 3],
            numbers: [0; 3],
        })
    }

    /// Adds samples, row by row: 1 where a sample has the label, else 0.
    ///
    /// # Errors
    /// If the lengths differ, are no whole number of samples, or an entry is neither 0 nor 1.
    pub fn update<A: Label, P: Label>(&mut self, actual: &[A], predicted: &[P]) -> Result<()> {
        let (name, labels) = ("multi-label", self.0.counts.len());
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
        let state = &mut self.0;
        let mut own = ClassCounts::default();
        for (label, &(actual, predicted)) in row.iter().enumerate() {
            state.counts.count(label, actual, predicted);
            own.right += actual * predicted;
            own.called += predicted;
            own.support += actual;
        }
        let wrong = own.called + own.support - 2 * own.right;
        state.samples += 1;
        state.exact += u64::from(wrong == 0);
        state.wrong += wrong;
        let report = own.report(state.beta, state.zero);
        let figures = [report.precision, report.recall, report.f];
        for (slot, figure) in figures.into_iter().enumerate() {
            if !figure.is_nan() {
                state.sums[slot] += figure;
                state.numbers[slot] += 1;
            }
        }
    }

    /// Figures of every label.
    pub fn each_label(&self) -> Vec<ClassReport> {
        self.0.counts.each_label(self.0.beta, self.0.zero)
    }

    /// Figures of all labels as one.
    pub fn average(&self, kind: Average) -> ClassReport {
        self.0.counts.average(kind, self.0.beta, self.0.zero)
    }

    /// Means of the figures of each sample over its labels. As
    /// `sklearn.metrics.precision_recall_fscore_support(average="samples")`.
    pub fn average_of_samples(&self) -> ClassReport {
        let mean = |slot: usize| match self.0.numbers[slot] {
            0 => f64::NAN,
            numbers => self.0.sums[slot] / numbers as f64,
        };
        let support = self.0.counts.support();
        ClassReport { precision: mean(0), recall: mean(1), f: mean(2), support }
    }

    /// Share of samples whose labels are all met. As `sklearn.metrics.accuracy_score` of label matrices.
    ///
    /// # Errors
    /// Without samples.
    pub fn subset_accuracy(&self) -> Result<f64> {
        not_empty("multi-label", usize::from(self.0.samples > 0))?;
        Ok(self.0.exact as f64 / self.0.samples as f64)
    }

    /// Share of entries that are wrong. As `sklearn.metrics.hamming_loss`.
    ///
    /// # Errors
    /// Without samples.
    pub fn hamming_loss(&self) -> Result<f64> {
        not_empty("multi-label", usize::from(self.0.samples > 0))?;
        Ok(self.0.wrong as f64 / (self.0.samples * self.0.counts.len() as u64) as f64)
    }
}

impl Accumulator for MultiLabel {
    /// Micro averages.
    type Value = ClassReport;

    fn value(&self) -> Result<ClassReport> {
        not_empty("multi-label", usize::from(self.0.samples > 0))?;
        Ok(self.average(Average::Micro))
    }

    fn reset(&mut self) {
        *self = MultiLabel::new(self.0.counts.len(), self.0.beta, self.0.zero);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        let settings = |own: &Self| (own.0.counts.len(), own.0.beta, own.0.zero);
        if settings(self) != settings(other) {
            return Err(Error::invalid(format!(
                "multi-label: merge of (labels, beta, zero division) {:?} with {:?}",
                settings(self),
                settings(other)
            )));
        }
        let (own, other) = (&mut self.0, &other.0);
        own.counts.merge(&other.counts)?;
        own.samples += other.samples;
        own.exact += other.exact;
        own.wrong += other.wrong;
        for slot in 0..3 {
            own.sums[slot] += other.sums[slot];
            own.numbers[slot] += other.numbers[slot];
        }
        Ok(())
    }
}
