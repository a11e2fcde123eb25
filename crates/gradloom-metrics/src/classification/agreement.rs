//! How far predictions agree with the truth beyond chance: balanced accuracy, Matthews' correlation,
//! Cohen's kappa.

use gradloom_error::{Error, Result};

use super::ConfusionMatrix;
use super::confusion::filled;
use crate::inputs::Label;

/// How much a confusion of two classes counts in [`ConfusionMatrix::cohen_kappa`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KappaWeights {
    /// Every confusion the same.
    #[default]
    Unweighted,
    /// By the distance of the classes.
    Linear,
    /// By its square.
    Quadratic,
}

impl ConfusionMatrix {
    /// Mean recall of the classes that have samples; `adjusted` puts chance at 0. As
    /// `sklearn.metrics.balanced_accuracy_score`.
    ///
    /// # Errors
    /// Without samples; adjusted, also if only one class has samples.
    pub fn balanced_accuracy(&self, adjusted: bool) -> Result<f64> {
        let mut recalls = Vec::new();
        for class in 0..self.classes() {
            let support = self.support(class);
            if support > 0 {
                recalls.push(self.count(class, class) as f64 / support as f64);
            }
        }
        let classes = recalls.len() as f64;
        if recalls.is_empty() || (adjusted && recalls.len() == 1) {
            return Err(Error::invalid(format!(
                "balanced accuracy: {classes} classes have samples; at least {} must",
                if adjusted { 2 } else { 1 }
            )));
        }
        let mean = recalls.iter().sum::<f64>() / classes;
        let chance = 1.0 / classes;
        Ok(if adjusted { (mean - chance) / (1.0 - chance) } else { mean })
    }

    /// Matthews' correlation of truth and prediction, between -1 and 1; 0 if either is always the same class.
    /// As `sklearn.metrics.matthews_corrcoef`.
    pub fn matthews(&self) -> f64 {
        let total = self.total() as f64;
        let (mut cross, mut of_called, mut of_actual) = (0.0, 0.0, 0.0);
        for class in 0..self.classes() {
            let (called, actual) = (self.called(class) as f64, self.support(class) as f64);
            cross += called * actual;
            of_called += called * called;
            of_actual += actual * actual;
        }
        let product = (total * total - of_called) * (total * total - of_actual);
        if product == 0.0 {
            return 0.0;
        }
        (self.right() as f64 * total - cross) / product.sqrt()
    }

    /// Cohen's kappa: agreement beyond what the two distributions would give by chance. As
    /// `sklearn.metrics.cohen_kappa_score(labels=range(classes))`.
    ///
    /// # Errors
    /// If it is undefined: without samples, or if truth and prediction are one and the same class.
    pub fn cohen_kappa(&self, weights: KappaWeights) -> Result<f64> {
        let total = self.total() as f64;
        let (mut seen, mut expected) = (0.0, 0.0);
        for actual in 0..self.classes() {
            for predicted in 0..self.classes() {
                let distance = actual.abs_diff(predicted) as f64;
                let weight = match weights {
                    KappaWeights::Unweighted => distance.min(1.0),
                    KappaWeights::Linear => distance,
                    KappaWeights::Quadratic => distance * distance,
                };
                let chance = self.support(actual) as f64 * self.called(predicted) as f64;
                seen += weight * self.count(actual, predicted) as f64;
                expected += weight * chance;
            }
        }
        if expected == 0.0 {
            return Err(Error::invalid(
                "cohen kappa: undefined, as truth and prediction know one class only",
            ));
        }
        Ok(1.0 - seen / (expected / total))
    }
}

/// [`ConfusionMatrix::balanced_accuracy`] of labels.
///
/// # Errors
/// Without samples, if the lengths differ, or if a label is none of the classes.
pub fn balanced_accuracy<A: Label, P: Label>(
    actual: &[A],
    predicted: &[P],
    classes: usize,
) -> Result<f64> {
    filled(actual, predicted, classes)?.balanced_accuracy(false)
}

/// [`ConfusionMatrix::matthews`] of labels.
///
/// # Errors
/// As [`balanced_accuracy`].
pub fn matthews<A: Label, P: Label>(actual: &[A], predicted: &[P], classes: usize) -> Result<f64> {
    Ok(filled(actual, predicted, classes)?.matthews())
}

/// [`ConfusionMatrix::cohen_kappa`] of labels.
///
/// # Errors
/// As [`balanced_accuracy`], and where it is undefined.
pub fn cohen_kappa<A: Label, P: Label>(
    actual: &[A],
    predicted: &[P],
    classes: usize,
    weights: KappaWeights,
) -> Result<f64> {
    filled(actual, predicted, classes)?.cohen_kappa(weights)
}
