//! [`ConfusionMatrix`]: what a classifier gets right and what it takes for what, and the usual figures
//! that follow from it.

/// Counts of samples by true class (row) and predicted class (column).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

/// Figures of one class, each between 0 and 1; 0 where undefined.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassReport {
    /// Of what was called this class, the share that is.
    pub precision: f64,
    /// Of what is this class, the share that was called so.
    pub recall: f64,
    /// Harmonic mean of the two.
    pub f1: f64,
    /// Samples of this class.
    pub support: u64,
}

impl ConfusionMatrix {
    /// Of `classes` classes, without samples.
    pub fn new(classes: usize) -> Self {
        ConfusionMatrix { classes, counts: vec![0; classes * classes] }
    }

    /// Adds samples by their true and predicted classes.
    ///
    /// # Panics
    /// If the lengths differ or a class is out of range.
    #[track_caller]
    pub fn add(&mut self, actual: &[i32], predicted: &[i32]) {
        assert_eq!(actual.len(), predicted.len(), "confusion matrix: labels against predictions");
        for (&actual, &predicted) in actual.iter().zip(predicted) {
            let known = |class: i32| usize::try_from(class).is_ok_and(|class| class < self.classes);
            assert!(
                known(actual) && known(predicted),
                "confusion matrix: classes {actual} and {predicted}, but there are {}",
                self.classes
            );
            self.counts[actual as usize * self.classes + predicted as usize] += 1;
        }
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
        let right: u64 = (0..self.classes).map(|class| self.count(class, class)).sum();
        ratio(right, self.total())
    }

    /// Figures of one class. As `sklearn.metrics.precision_recall_fscore_support`.
    pub fn class(&self, class: usize) -> ClassReport {
        let right = self.count(class, class);
        let called: u64 = (0..self.classes).map(|actual| self.count(actual, class)).sum();
        let support: u64 = (0..self.classes).map(|predicted| self.count(class, predicted)).sum();
        let (precision, recall) = (ratio(right, called), ratio(right, support));
        let sum = precision + recall;
        let f1 = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
        ClassReport { precision, recall, f1, support }
    }

    /// Mean of the classes' F1.
    pub fn macro_f1(&self) -> f64 {
        self.macro_average().f1
    }

    /// Means of the classes' figures, each class counting the same; the support is the sum. As
    /// `sklearn.metrics.precision_recall_fscore_support(average="macro")`.
    pub fn macro_average(&self) -> ClassReport {
        let figures: Vec<ClassReport> = (0..self.classes).map(|class| self.class(class)).collect();
        let mean = |of: fn(&ClassReport) -> f64| {
            figures.iter().map(of).sum::<f64>() / figures.len().max(1) as f64
        };
        ClassReport {
            precision: mean(|class| class.precision),
            recall: mean(|class| class.recall),
            f1: mean(|class| class.f1),
            support: self.total(),
        }
    }

    /// Means of the classes' figures, each sample counting the same. As
    /// `sklearn.metrics.precision_recall_fscore_support(average="weighted")`.
    pub fn weighted_average(&self) -> ClassReport {
        let figures: Vec<ClassReport> = (0..self.classes).map(|class| self.class(class)).collect();
        let mean = |of: fn(&ClassReport) -> f64| {
            let sum: f64 = figures.iter().map(|class| of(class) * class.support as f64).sum();
            sum / self.total().max(1) as f64
        };
        ClassReport {
            precision: mean(|class| class.precision),
            recall: mean(|class| class.recall),
            f1: mean(|class| class.f1),
            support: self.total(),
        }
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
                figures.precision, figures.recall, figures.f1, figures.support
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

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::ConfusionMatrix;

    #[test]
    fn figures_follow_from_the_counts() {
        let mut matrix = ConfusionMatrix::new(3);
        matrix.add(&[0, 0, 0, 1, 1, 2], &[0, 0, 1, 1, 2, 2]);
        assert_eq!(matrix.count(0, 1), 1);
        assert!((matrix.accuracy() - 4.0 / 6.0).abs() < 1e-12);
        let first = matrix.class(0);
        assert!((first.precision - 1.0).abs() < 1e-12 && (first.recall - 2.0 / 3.0).abs() < 1e-12);
        assert!((first.f1 - 0.8).abs() < 1e-12);
        let (all, weighted) = (matrix.macro_average(), matrix.weighted_average());
        assert!((all.precision - (1.0 + 0.5 + 0.5) / 3.0).abs() < 1e-12 && all.support == 6);
        assert!((all.recall - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-12);
        assert!((weighted.recall - matrix.accuracy()).abs() < 1e-12);
        assert!((weighted.precision - (3.0 + 1.0 + 0.5) / 6.0).abs() < 1e-12);
        assert_eq!(ConfusionMatrix::new(2).accuracy(), 0.0);
    }

    #[test]
    #[should_panic(expected = "classes 3 and 0, but there are 3")]
    fn an_unknown_class_is_refused() {
        ConfusionMatrix::new(3).add(&[3], &[0]);
    }
}
