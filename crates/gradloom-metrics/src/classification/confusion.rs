//! [`ConfusionMatrix`]: what a classifier gets right and what it takes for what, and the usual figures
//! that follow from it.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::averages::{Average, ClassCounts, ClassReport, ZeroDivision, average};
use crate::Accumulator;
use crate::inputs::{Label, classes_of, not_empty, same_length};

/// Counts of samples by true class (row) and predicted class (column).
///
/// ```
/// use gradloom_metrics::{Accumulator, Average, ConfusionMatrix, ZeroDivision};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut matrix = ConfusionMatrix::new(3);
/// matrix.update(&[0, 0, 0], &[0, 0, 1])?;
/// matrix.update(&[1, 1, 2], &[1, 2, 2])?;
/// assert_eq!(matrix.count(0, 1), 1);
/// assert_eq!(matrix.value()?, 4.0 / 6.0);
/// assert_eq!(matrix.average(Average::Macro, 1.0, ZeroDivision::Zero).recall, 13.0 / 18.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

/// A saved state, of which nothing is known yet.
#[derive(Deserialize)]
struct State {
    classes: usize,
    counts: Vec<u64>,
}

impl TryFrom<State> for ConfusionMatrix {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        let State { classes, counts } = state;
        if classes.checked_mul(classes) != Some(counts.len()) {
            let len = counts.len();
            return Err(Error::invalid(format!(
                "confusion matrix: a state of {len} counts for {classes} classes"
            )));
        }
        Ok(ConfusionMatrix { classes, counts })
    }
}

impl ConfusionMatrix {
    /// Of `classes` classes, without samples.
    pub fn new(classes: usize) -> Self {
        ConfusionMatrix { classes, counts: vec![0; classes * classes] }
    }

    /// Adds samples by their true and predicted classes.
    ///
    /// # Errors
    /// If the lengths differ or a label is none of the classes.
    pub fn update<A: Label, P: Label>(&mut self, actual: &[A], predicted: &[P]) -> Result<()> {
        let name = "confusion matrix";
        same_length(name, ("labels", actual.len()), ("predictions", predicted.len()))?;
        let actual = classes_of(name, actual, self.classes)?;
        let predicted = classes_of(name, predicted, self.classes)?;
        for (actual, predicted) in actual.into_iter().zip(predicted) {
            self.counts[actual * self.classes + predicted] += 1;
        }
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples of class `actual` that were called `predicted`.
    pub fn count(&self, actual: usize, predicted: usize) -> u64 {
        self.counts[actual * self.classes + predicted]
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of samples on the diagonal; 0 without samples.
    pub fn accuracy(&self) -> f64 {
        ZeroDivision::Zero.share(self.right() as f64, self.total() as f64)
    }

    /// Samples on the diagonal.
    pub fn right(&self) -> u64 {
        (0..self.classes).map(|class| self.count(class, class)).sum()
    }

    /// Samples of a class.
    pub fn support(&self, class: usize) -> u64 {
        (0..self.classes).map(|predicted| self.count(class, predicted)).sum()
    }

    /// Samples that were called a class.
    pub fn called(&self, class: usize) -> u64 {
        (0..self.classes).map(|actual| self.count(actual, class)).sum()
    }

    fn class_counts(&self, class: usize) -> ClassCounts {
        let (right, called) = (self.count(class, class), self.called(class));
        ClassCounts { right, called, support: self.support(class) }
    }

    /// Figures of one class: F1, and 0 where undefined.
    pub fn class(&self, class: usize) -> ClassReport {
        self.class_counts(class).report(1.0, ZeroDivision::Zero)
    }

    /// Figures of every class. As `precision_recall_fscore_support(average=None, labels=range(classes))`.
    pub fn each_class(&self, beta: f64, zero: ZeroDivision) -> Vec<ClassReport> {
        (0..self.classes).map(|class| self.class_counts(class).report(beta, zero)).collect()
    }

    /// Figures of all classes as one, with classes without samples counted too. As
    /// `sklearn.metrics.precision_recall_fscore_support(average=.., labels=range(classes))`.
    pub fn average(&self, kind: Average, beta: f64, zero: ZeroDivision) -> ClassReport {
        let counts: Vec<ClassCounts> =
            (0..self.classes).map(|class| self.class_counts(class)).collect();
        average(&counts, kind, beta, zero)
    }

    /// Mean of the classes' F1.
    pub fn macro_f1(&self) -> f64 {
        self.average(Average::Macro, 1.0, ZeroDivision::Zero).f
    }

    /// A table of the classes' figures, one line each.
    pub fn report(&self, names: &[String]) -> String {
        let mut lines = vec![format!(
            "{:>14} {:>9} {:>9} {:>9} {:>8}",
            "class", "precision", "recall", "F1", "samples"
        )];
        for class in 0..self.classes {
            let figures = self.class(class);
            let name = names.get(class).cloned().unwrap_or_else(|| class.to_string());
            lines.push(format!(
                "{name:>14} {:>9.4} {:>9.4} {:>9.4} {:>8}",
                figures.precision, figures.recall, figures.f, figures.support
            ));
        }
        lines.push(format!(
            "{:>14} {:>9} {:>9.4} {:>9.4} {:>8}",
            "all",
            "",
            self.accuracy(),
            self.macro_f1(),
            self.total()
        ));
        lines.join("\n")
    }
}

impl Accumulator for ConfusionMatrix {
    /// The accuracy.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        not_empty("confusion matrix", usize::from(self.total() > 0))?;
        Ok(self.accuracy())
    }

    fn reset(&mut self) {
        self.counts.fill(0);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.classes != other.classes {
            let (own, other) = (self.classes, other.classes);
            return Err(Error::invalid(format!(
                "confusion matrix: merge of {own} classes with {other}"
            )));
        }
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
        Ok(())
    }
}

/// Share of labels that are met.
///
/// # Errors
/// Without samples, or if the lengths differ.
pub fn accuracy<L: PartialEq>(actual: &[L], predicted: &[L]) -> Result<f64> {
    same_length("accuracy", ("labels", actual.len()), ("predictions", predicted.len()))?;
    not_empty("accuracy", actual.len())?;
    let right = actual.iter().zip(predicted).filter(|(actual, predicted)| actual == predicted);
    Ok(right.count() as f64 / actual.len() as f64)
}

/// Precision, recall and F (F1 with `beta` 1) of labels of `classes` classes, as one figure each.
///
/// # Errors
/// Without samples, if the lengths differ, or if a label is none of the classes.
///
/// ```
/// use gradloom_metrics::{Average, ZeroDivision, precision_recall_f};
///
/// let report =
///     precision_recall_f(&[0, 1, 1], &[0, 1, 0], 2, Average::Macro, 1.0, ZeroDivision::Zero).unwrap();
/// assert_eq!((report.precision, report.recall), (0.75, 0.75));
/// ```
pub fn precision_recall_f<A: Label, P: Label>(
    actual: &[A],
    predicted: &[P],
    classes: usize,
    average: Average,
    beta: f64,
    zero: ZeroDivision,
) -> Result<ClassReport> {
    Ok(filled(actual, predicted, classes)?.average(average, beta, zero))
}

/// The matrix of some samples.
pub(super) fn filled<A: Label, P: Label>(
    actual: &[A],
    predicted: &[P],
    classes: usize,
) -> Result<ConfusionMatrix> {
    let mut matrix = ConfusionMatrix::new(classes);
    matrix.update(actual, predicted)?;
    matrix.value()?;
    Ok(matrix)
}

#[cfg(test)]
mod tests {
    use super::{Accumulator, Average, ConfusionMatrix, ZeroDivision};

    #[test]
    fn figures_follow_from_the_counts() {
        let mut matrix = ConfusionMatrix::new(3);
        matrix.update(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 2, 2]).unwrap();
        assert_eq!(matrix.count(0, 1), 1);
        assert!((matrix.accuracy() - 4.0 / 6.0).abs() < 1e-12);
        let first = matrix.class(0);
        assert!((first.precision - 1.0).abs() < 1e-12 && (first.recall - 2.0 / 3.0).abs() < 1e-12);
        assert!((first.f - 0.8).abs() < 1e-12);
        let all = matrix.average(Average::Macro, 1.0, ZeroDivision::Zero);
        let weighted = matrix.average(Average::Weighted, 1.0, ZeroDivision::Zero);
        assert!((all.precision - (1.0 + 0.5 + 0.5) / 3.0).abs() < 1e-12 && all.support == 6);
        assert!((all.recall - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        assert!((weighted.recall - matrix.accuracy()).abs() < 1e-12);
        assert!((weighted.precision - (3.0 + 1.0 + 0.5) / 6.0).abs() < 1e-12);
        assert_eq!(ConfusionMatrix::new(2).accuracy(), 0.0);
    }

    #[test]
    fn a_refused_batch_leaves_the_counts_alone() {
        let mut matrix = ConfusionMatrix::new(3);
        let error = matrix.update(&[0, 3], &[0, 0]).unwrap_err();
        let text = "confusion matrix: label 3 of sample 1 is none of the 3 classes";
        assert_eq!(error.to_string(), text);
        assert_eq!(matrix.total(), 0);
        assert!(matrix.update(&[-1], &[0]).is_err());
        assert!(matrix.value().unwrap_err().to_string().contains("no samples"));
        assert!(matrix.merge(&ConfusionMatrix::new(2)).is_err());
    }

    #[test]
    fn a_state_that_makes_no_sense_is_refused() {
        let broken: Result<ConfusionMatrix, _> =
            serde_json::from_str(r#"{"classes": 3, "counts": [1, 2]}"#);
        assert!(broken.unwrap_err().to_string().contains("2 counts for 3 classes"));
    }
}
