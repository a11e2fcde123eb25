//! [`TopK`]: whether the true class is among the `k` best scores.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::inputs::{Label, classes_of, finite, not_empty, rows};

/// Counts of samples whose class is among the `k` highest scores. Of equal scores the later class counts as
/// higher, as in `sklearn.metrics.top_k_accuracy_score`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopK {
    k: usize,
    right: u64,
    total: u64,
}

impl TopK {
    /// Among the `k` highest.
    pub fn new(k: usize) -> Self {
        TopK { k, right: 0, total: 0 }
    }

    /// Adds samples by their classes and their scores, row by row.
    ///
    /// # Errors
    /// If there is not one score for each class of each sample, a score is not finite, or a label is none of
    /// the classes.
    pub fn update<S: Copy + Into<f64>>(
        &mut self,
        actual: &[impl Label],
        scores: &[S],
        classes: usize,
    ) -> Result<()> {
        rows("top k", scores.len(), classes, actual.len())?;
        let actual = classes_of("top k", actual, classes)?;
        let scores = finite("top k", "score", scores)?;
        for (row, &class) in scores.chunks(classes).zip(&actual) {
            let score = row[class];
            let higher = row
                .iter()
                .enumerate()
                .filter(|&(other, &others)| others > score || (others == score && other > class));
            self.right += u64::from(higher.count() < self.k);
        }
        self.total += actual.len() as u64;
        Ok(())
    }
}

impl Accumulator for TopK {
    type Value = f64;

    fn value(&self) -> Result<f64> {
        not_empty("top k", usize::from(self.total > 0))?;
        Ok(self.right as f64 / self.total as f64)
    }

    fn reset(&mut self) {
        *self = TopK::new(self.k);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.k != other.k {
            return Err(Error::invalid(format!("top k: merge of k {} with k {}", self.k, other.k)));
        }
        self.right += other.right;
        self.total += other.total;
        Ok(())
    }
}

/// Share of samples whose class is among the `k` highest scores, see [`TopK`].
///
/// # Errors
/// As [`TopK::update`], and without samples.
///
/// ```
/// let scores = [0.1, 0.7, 0.2, 0.5, 0.3, 0.2];
/// assert_eq!(gradloom_metrics::top_k_accuracy(&[2, 2], &scores, 3, 2).unwrap(), 0.5);
/// ```
pub fn top_k_accuracy<S: Copy + Into<f64>>(
    actual: &[impl Label],
    scores: &[S],
    classes: usize,
    k: usize,
) -> Result<f64> {
    let mut state = TopK::new(k);
    state.update(actual, scores, classes)?;
    state.value()
}
