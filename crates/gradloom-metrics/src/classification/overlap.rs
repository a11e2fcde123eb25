//! Overlap of regions, pixel by pixel: intersection over union and Dice, per class and as a mean.

use gradloom_error::{Error, Result};

use super::ConfusionMatrix;
use super::confusion::filled;
use crate::inputs::Label;

impl ConfusionMatrix {
    /// Intersection over union of each class; `None` for a class that neither occurs nor was predicted. As
    /// `sklearn.metrics.jaccard_score(average=None)`.
    pub fn iou(&self) -> Vec<Option<f64>> {
        self.overlaps(|right, both| right / (both - right))
    }

    /// Dice coefficient of each class, which is its F1; `None` as for [`iou`](ConfusionMatrix::iou).
    pub fn dice(&self) -> Vec<Option<f64>> {
        self.overlaps(|right, both| 2.0 * right / both)
    }

    /// Mean of [`iou`](ConfusionMatrix::iou) over the classes that have one.
    ///
    /// # Errors
    /// Without samples.
    pub fn mean_iou(&self) -> Result<f64> {
        mean("iou", &self.iou())
    }

    /// Mean of [`dice`](ConfusionMatrix::dice) over the classes that have one.
    ///
    /// # Errors
    /// Without samples.
    pub fn mean_dice(&self) -> Result<f64> {
        mean("dice", &self.dice())
    }

    fn overlaps(&self, figure: impl Fn(f64, f64) -> f64) -> Vec<Option<f64>> {
        let each = (0..self.classes()).map(|class| {
            let both = self.support(class) + self.called(class);
            (both > 0).then(|| figure(self.count(class, class) as f64, both as f64))
        });
        each.collect()
    }
}

fn mean(metric: &str, figures: &[Option<f64>]) -> Result<f64> {
    let figures: Vec<f64> = figures.iter().flatten().copied().collect();
    if figures.is_empty() {
        return Err(Error::invalid(format!("{metric}: no samples")));
    }
    Ok(figures.iter().sum::<f64>() / figures.len() as f64)
}

/// Mean intersection over union of the classes that occur or were predicted.
///
/// # Errors
/// Without samples, if the lengths differ, or if a label is none of the classes.
pub fn iou<A: Label, P: Label>(actual: &[A], predicted: &[P], classes: usize) -> Result<f64> {
    filled(actual, predicted, classes)?.mean_iou()
}

/// Mean Dice coefficient of the classes that occur or were predicted.
///
/// # Errors
/// As [`iou`].
pub fn dice<A: Label, P: Label>(actual: &[A], predicted: &[P], classes: usize) -> Result<f64> {
    filled(actual, predicted, classes)?.mean_dice()
}
