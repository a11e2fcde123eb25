//! [`BinaryScores`]: scores of samples that are yes or no, for curves and the areas under them. All scores
//! are kept, so the areas are exact.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::steps::steps;
use super::{PrecisionRecallCurve, RocCurve};
use crate::Accumulator;
use crate::inputs::{Label, class, finite, same_length};

/// Scores and labels of samples that are yes (1) or no (0).
///
/// ```
/// use gradloom_metrics::BinaryScores;
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut scores = BinaryScores::default();
/// scores.update(&[0, 0, 1, 1], &[0.1, 0.4, 0.35, 0.8])?;
/// assert_eq!(scores.roc()?.area(), 0.75);
/// assert!((scores.average_precision()? - 0.8333333333333333).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BinaryScores {
    samples: Vec<(f64, bool)>,
}

impl BinaryScores {
    /// Adds samples by their labels (0 or 1) and scores, of which a higher one speaks for 1.
    ///
    /// # Errors
    /// If the lengths differ, a label is neither 0 nor 1, or a score is not finite.
    pub fn update<S: Copy + Into<f64>>(
        &mut self,
        actual: &[impl Label],
        scores: &[S],
    ) -> Result<()> {
        same_length("scores", ("labels", actual.len()), ("scores", scores.len()))?;
        let scores = finite("scores", "score", scores)?;
        let mut added = Vec::with_capacity(scores.len());
        for (index, (score, &label)) in scores.into_iter().zip(actual).enumerate() {
            // Zero has two signs, which must tie.
            added.push((score + 0.0, class("scores", index, label, 2)? == 1));
        }
        self.samples.append(&mut added);
        Ok(())
    }

    pub(super) fn of(samples: Vec<(f64, bool)>) -> Self {
        BinaryScores { samples }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// True without samples.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The receiver operating characteristic.
    ///
    /// # Errors
    /// If there are not both yes and no among the labels.
    pub fn roc(&self) -> Result<RocCurve> {
        let steps = steps(&self.samples);
        let (yes, no) = steps.last().map_or((0.0, 0.0), |last| (last.yes, last.no));
        if yes == 0.0 || no == 0.0 {
            return Err(Error::invalid(format!(
                "roc: {yes} samples of class 1 and {no} of class 0; there must be some of both"
            )));
        }
        Ok(RocCurve::of(&steps))
    }

    /// Precision over recall.
    ///
    /// # Errors
    /// If no label is 1.
    pub fn precision_recall(&self) -> Result<PrecisionRecallCurve> {
        let steps = steps(&self.samples);
        if steps.last().is_none_or(|last| last.yes == 0.0) {
            return Err(Error::invalid(
                "precision and recall: no sample of class 1, so the recall is undefined",
            ));
        }
        Ok(PrecisionRecallCurve::of(&steps))
    }

    /// Mean of the precisions at each threshold by the recall gained there. As
    /// `sklearn.metrics.average_precision_score`.
    ///
    /// # Errors
    /// If no label is 1.
    pub fn average_precision(&self) -> Result<f64> {
        Ok(self.precision_recall()?.average_precision())
    }
}

impl Accumulator for BinaryScores {
    /// The area under the receiver operating characteristic.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        Ok(self.roc()?.area())
    }

    fn reset(&mut self) {
        self.samples.clear();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.samples.extend_from_slice(&other.samples);
        Ok(())
    }
}

fn filled<S: Copy + Into<f64>>(actual: &[impl Label], scores: &[S]) -> Result<BinaryScores> {
    let mut state = BinaryScores::default();
    state.update(actual, scores)?;
    Ok(state)
}

/// Area under the receiver operating characteristic. As `sklearn.metrics.roc_auc_score`.
///
/// # Errors
/// As [`BinaryScores::update`] and [`BinaryScores::roc`].
pub fn roc_auc<S: Copy + Into<f64>>(actual: &[impl Label], scores: &[S]) -> Result<f64> {
    filled(actual, scores)?.value()
}

/// [`BinaryScores::average_precision`] of labels and scores.
///
/// # Errors
/// As [`BinaryScores::update`] and [`BinaryScores::average_precision`].
pub fn average_precision<S: Copy + Into<f64>>(actual: &[impl Label], scores: &[S]) -> Result<f64> {
    filled(actual, scores)?.average_precision()
}

#[cfg(test)]
mod tests {
    use super::roc_auc;

    #[test]
    fn bad_input_is_named() {
        let one_class = roc_auc(&[1, 1], &[0.1, 0.2]).unwrap_err().to_string();
        assert_eq!(
            one_class,
            "roc: 2 samples of class 1 and 0 of class 0; there must be some of both"
        );
        let nan = roc_auc(&[1, 0], &[0.1, f64::NAN]).unwrap_err().to_string();
        assert_eq!(nan, "scores: score 1 is NaN");
        assert!(roc_auc(&[1, 2], &[0.1, 0.2]).unwrap_err().to_string().contains("label 2"));
        assert!(roc_auc::<f64>(&[0; 0], &[]).is_err());
        assert_eq!(roc_auc(&[1, 0], &[0.0, -0.0]).unwrap(), 0.5);
    }
}
