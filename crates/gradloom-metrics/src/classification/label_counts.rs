//! [`LabelCounts`]: how often each of several labels is met, called and true.
//!
//! It needs no samples, so it can be fed with sums that were taken where the samples are, on a device.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::averages::{Average, ClassCounts, ClassReport, ZeroDivision, average};
use crate::Accumulator;
use crate::inputs::not_empty;

/// Counts of each label: samples that have it and are said to, that are said to, and that have it.
///
/// ```
/// use gradloom_metrics::{Accumulator, LabelCounts};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut counts = LabelCounts::new(2);
/// counts.update(&[3, 1], &[4, 1], &[3, 2])?;
/// counts.update(&[0, 1], &[0, 2], &[1, 1])?;
/// assert_eq!(counts.value()?.recall, 5.0 / 7.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LabelCounts {
    /// Right, called and true samples of each label.
    counts: Vec<[u64; 3]>,
}

impl LabelCounts {
    /// Of so many labels; of as many as the first update has, if there are none.
    pub fn new(labels: usize) -> Self {
        LabelCounts { counts: vec![[0; 3]; labels] }
    }

    /// Number of labels.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// True without labels.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds the counts of some samples, one of each kind for each label.
    ///
    /// # Errors
    /// If there are more or fewer than labels, or more right than called or true.
    pub fn update(&mut self, right: &[u64], called: &[u64], support: &[u64]) -> Result<()> {
        let labels = if self.is_empty() { right.len() } else { self.len() };
        let lens = [right.len(), called.len(), support.len()];
        if lens != [labels; 3] {
            return Err(Error::invalid(format!(
                "label counts: {lens:?} counts of {labels} labels; there is one of each for each"
            )));
        }
        let possible = |label: usize| right[label] <= called[label].min(support[label]);
        if let Some(label) = (0..labels).find(|&label| !possible(label)) {
            return Err(Error::invalid(format!(
                "label counts: label {label} is right {} times, but called {} and true {} times",
                right[label], called[label], support[label]
            )));
        }
        self.counts.resize(labels, [0; 3]);
        for (label, own) in self.counts.iter_mut().enumerate() {
            for (own, more) in own.iter_mut().zip([right, called, support]) {
                *own += more[label];
            }
        }
        Ok(())
    }

    /// Adds one sample of a label by what it is and what it is said to be, 0 or 1.
    pub(super) fn count(&mut self, label: usize, actual: u64, predicted: u64) {
        for (count, one) in
            self.counts[label].iter_mut().zip([actual * predicted, predicted, actual])
        {
            *count += one;
        }
    }

    /// True entries of all labels.
    pub(super) fn support(&self) -> u64 {
        self.counts.iter().map(|counts| counts[2]).sum()
    }

    fn class_counts(&self) -> Vec<ClassCounts> {
        let each = self.counts.iter();
        each.map(|&[right, called, support]| ClassCounts { right, called, support }).collect()
    }

    /// Figures of every label, with F of `beta`.
    pub fn each_label(&self, beta: f64, zero: ZeroDivision) -> Vec<ClassReport> {
        self.class_counts().into_iter().map(|counts| counts.report(beta, zero)).collect()
    }

    /// Figures of all labels as one, with F of `beta`.
    pub fn average(&self, kind: Average, beta: f64, zero: ZeroDivision) -> ClassReport {
        average(&self.class_counts(), kind, beta, zero)
    }
}

impl Accumulator for LabelCounts {
    /// Micro averages, with F1.
    type Value = ClassReport;

    fn value(&self) -> Result<ClassReport> {
        not_empty("label counts", self.len())?;
        Ok(self.average(Average::Micro, 1.0, ZeroDivision::Zero))
    }

    fn reset(&mut self) {
        self.counts.fill([0; 3]);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if other.is_empty() {
            return Ok(());
        }
        let column =
            |kind: usize| other.counts.iter().map(|counts| counts[kind]).collect::<Vec<u64>>();
        self.update(&column(0), &column(1), &column(2))
    }
}
