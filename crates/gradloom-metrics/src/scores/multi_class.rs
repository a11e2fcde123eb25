//! [`ClassScores`]: areas under curves of several classes.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::BinaryScores;
use crate::Accumulator;
use crate::inputs::{Label, classes_of, finite, rows};

/// How areas of several classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassAverage {
    /// Each class against the rest; each class counts the same.
    OneVersusRest,
    /// Each class against the rest; each class counts by its samples.
    OneVersusRestWeighted,
    /// All decisions about all classes as one curve.
    Micro,
    /// Each pair of classes, both ways (Hand and Till, 2001); each pair counts the same.
    OneVersusOne,
    /// Each pair of classes; a pair counts by its samples.
    OneVersusOneWeighted,
}

/// Scores of samples of several classes. All are kept, so the areas are exact.
///
/// ```
/// use gradloom_metrics::{ClassAverage, ClassScores};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut scores = ClassScores::new(3);
/// scores.update(&[0, 1, 2], &[0.8, 0.1, 0.1, 0.2, 0.6, 0.2, 0.3, 0.3, 0.4])?;
/// assert_eq!(scores.roc_auc(ClassAverage::OneVersusOne)?, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct ClassScores {
    classes: usize,
    labels: Vec<usize>,
    scores: Vec<f64>,
}

/// A saved state, of which nothing is known yet.
#[derive(Deserialize)]
struct State {
    classes: usize,
    labels: Vec<usize>,
    scores: Vec<f64>,
}

impl TryFrom<State> for ClassScores {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        let mut read = ClassScores::new(state.classes);
        read.update(&state.labels, &state.scores)?;
        Ok(read)
    }
}

impl ClassScores {
    /// Of `classes` classes.
    pub fn new(classes: usize) -> Self {
        ClassScores { classes, labels: Vec::new(), scores: Vec::new() }
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
    ) -> Result<()> {
        rows("class scores", scores.len(), self.classes, actual.len())?;
        let labels = classes_of("class scores", actual, self.classes)?;
        let scores = finite("class scores", "score", scores)?;
        self.labels.extend(labels);
        self.scores.extend(scores.into_iter().map(|score| score + 0.0));
        Ok(())
    }

    /// Class `class` against the rest.
    ///
    /// # Panics
    /// If there is no such class.
    #[track_caller]
    pub fn against_rest(&self, class: usize) -> BinaryScores {
        assert!(class < self.classes, "against_rest: class {class} of {}", self.classes);
        let rows = self.labels.iter().zip(self.scores.chunks(self.classes));
        BinaryScores::of(rows.map(|(&label, row)| (row[class], label == class)).collect())
    }

    fn samples_of(&self, class: usize) -> f64 {
        self.labels.iter().filter(|&&label| label == class).count() as f64
    }

    /// Area under the receiver operating characteristics. As
    /// `sklearn.metrics.roc_auc_score(multi_class=.., labels=range(classes))`.
    ///
    /// # Errors
    /// If a class has no samples, or all, or there are fewer than two classes.
    pub fn roc_auc(&self, average: ClassAverage) -> Result<f64> {
        if average == ClassAverage::Micro {
            return self.pooled().value();
        }
        if self.classes < 2 {
            return Err(Error::invalid("roc: fewer than two classes"));
        }
        if let Some(class) = (0..self.classes).find(|&class| self.samples_of(class) == 0.0) {
            return Err(Error::invalid(format!("roc: class {class} has no samples")));
        }
        let mut areas = Vec::new();
        match average {
            ClassAverage::OneVersusRest | ClassAverage::OneVersusRestWeighted => {
                for class in 0..self.classes {
                    areas.push((self.against_rest(class).value()?, self.samples_of(class)));
                }
            }
            _ => {
                for one in 0..self.classes {
                    for other in one + 1..self.classes {
                        areas.push(self.pair(one, other)?);
                    }
                }
            }
        }
        let weighted = matches!(
            average,
            ClassAverage::OneVersusRestWeighted | ClassAverage::OneVersusOneWeighted
        );
        Ok(mean(&areas, weighted))
    }

    /// Average precision of each class against the rest. As `sklearn.metrics.average_precision_score`, which
    /// knows no pairs of classes.
    ///
    /// # Errors
    /// For pairs of classes, or if a class has no samples.
    pub fn average_precision(&self, average: ClassAverage) -> Result<f64> {
        let weighted = match average {
            ClassAverage::Micro => return self.pooled().average_precision(),
            ClassAverage::OneVersusRest => false,
            ClassAverage::OneVersusRestWeighted => true,
            _ => {
                return Err(Error::invalid(
                    "average precision: defined of each class against the rest, not of pairs",
                ));
            }
        };
        let mut areas = Vec::new();
        for class in 0..self.classes {
            let area = self.against_rest(class).average_precision();
            areas.push((
                area.map_err(|error| error.context(format!("class {class}")))?,
                self.samples_of(class),
            ));
        }
        Ok(mean(&areas, weighted))
    }

    fn pooled(&self) -> BinaryScores {
        let rows = self.labels.iter().zip(self.scores.chunks(self.classes.max(1)));
        let entries = rows.flat_map(|(&label, row)| {
            row.iter().enumerate().map(move |(class, &score)| (score, class == label))
        });
        BinaryScores::of(entries.collect())
    }

    /// The mean area of two classes, each in the scores of its own, and how many samples they have.
    fn pair(&self, one: usize, other: usize) -> Result<(f64, f64)> {
        let mut sum = 0.0;
        for (class, against) in [(one, other), (other, one)] {
            let rows = self.labels.iter().zip(self.scores.chunks(self.classes));
            let both = rows.filter(|&(&label, _)| label == class || label == against);
            let samples = both.map(|(&label, row)| (row[class], label == class)).collect();
            sum += BinaryScores::of(samples).value()?;
        }
        Ok((sum / 2.0, self.samples_of(one) + self.samples_of(other)))
    }
}

fn mean(figures: &[(f64, f64)], weighted: bool) -> f64 {
    let weight = |samples: f64| if weighted { samples } else { 1.0 };
    let total: f64 = figures.iter().map(|&(_, samples)| weight(samples)).sum();
    figures.iter().map(|&(figure, samples)| figure * weight(samples)).sum::<f64>() / total
}

impl Accumulator for ClassScores {
    /// The mean area of each class against the rest.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        self.roc_auc(ClassAverage::OneVersusRest)
    }

    fn reset(&mut self) {
        *self = ClassScores::new(self.classes);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.classes != other.classes {
            let (own, other) = (self.classes, other.classes);
            return Err(Error::invalid(format!(
                "class scores: merge of {own} classes with {other}"
            )));
        }
        self.labels.extend_from_slice(&other.labels);
        self.scores.extend_from_slice(&other.scores);
        Ok(())
    }
}
