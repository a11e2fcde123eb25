//! [`Calibration`]: whether what is called 80 % sure is right in 80 % of cases.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::inputs::{Label, classes_of, distributions, rows, yes_or_no};

/// Samples by confidence, in bins of equal width. A probability on the edge of two bins belongs to the lower
/// one, as in `sklearn.calibration.calibration_curve`.
///
/// ```
/// use gradloom_metrics::{Accumulator, Calibration};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut calibration = Calibration::new(10);
/// calibration.update(&[1, 1, 0, 1], &[0.75, 0.75, 0.75, 0.75])?;
/// assert_eq!(calibration.value()?, 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct Calibration {
    /// Samples, sum of confidences and sum of what came true, of each bin.
    bins: Vec<[f64; 3]>,
}

/// A saved state, of which nothing is known yet.
#[derive(Deserialize)]
struct State {
    bins: Vec<[f64; 3]>,
}

impl TryFrom<State> for Calibration {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        if state.bins.is_empty() {
            return Err(Error::invalid("calibration: a state without bins"));
        }
        Ok(Calibration { bins: state.bins })
    }
}

/// A bin of a reliability diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationBin {
    /// Samples in it.
    pub samples: u64,
    /// Their mean confidence.
    pub confidence: f64,
    /// The share that came true.
    pub accuracy: f64,
}

impl Calibration {
    /// With `bins` bins.
    ///
    /// # Panics
    /// Without bins.
    #[track_caller]
    pub fn new(bins: usize) -> Self {
        assert!(bins > 0, "calibration: no bins");
        Calibration { bins: vec![[0.0; 3]; bins] }
    }

    /// Adds samples that are yes (1) or no (0) by the probability of yes.
    ///
    /// # Errors
    /// If the lengths differ, a label is neither 0 nor 1, or a number is no probability.
    pub fn update<S: Copy + Into<f64>>(&mut self, actual: &[impl Label], yes: &[S]) -> Result<()> {
        for (p, is) in yes_or_no("calibration", actual, yes)? {
            self.add(p, is);
        }
        Ok(())
    }

    /// Adds samples of several classes by rows of probabilities: how sure of its best class a model is, and
    /// whether that is right.
    ///
    /// # Errors
    /// If there is not one probability for each class of each sample, one is none, a row does not sum to 1,
    /// or a label is none of the classes.
    pub fn update_classes<S: Copy + Into<f64>>(
        &mut self,
        actual: &[impl Label],
        probabilities: &[S],
        classes: usize,
    ) -> Result<()> {
        rows("calibration", probabilities.len(), classes, actual.len())?;
        let actual = classes_of("calibration", actual, classes)?;
        let numbers = distributions("calibration", probabilities, classes)?;
        for (row, label) in numbers.chunks(classes).zip(actual) {
            let best = (1..classes).fold(0, |best, at| if row[at] > row[best] { at } else { best });
            self.add(row[best], best == label);
        }
        Ok(())
    }

    fn add(&mut self, confidence: f64, right: bool) {
        let count = self.bins.len();
        let edge = |bin: usize| bin as f64 * (1.0 / count as f64);
        // Where rounding puts an edge decides, so the division is only a first guess.
        let mut bin = ((confidence * count as f64).ceil() as usize).clamp(1, count) - 1;
        while bin > 0 && confidence <= edge(bin) {
            bin -= 1;
        }
        while bin + 1 < count && confidence > edge(bin + 1) {
            bin += 1;
        }
        let [samples, sum, came_true] = &mut self.bins[bin];
        *samples += 1.0;
        *sum += confidence;
        *came_true += f64::from(u8::from(right));
    }

    /// The reliability diagram; `None` for bins without samples.
    pub fn bins(&self) -> Vec<Option<CalibrationBin>> {
        let each = self.bins.iter().map(|&[samples, sum, came_true]| {
            (samples > 0.0).then(|| CalibrationBin {
                samples: samples as u64,
                confidence: sum / samples,
                accuracy: came_true / samples,
            })
        });
        each.collect()
    }

    /// The largest distance of confidence and accuracy among the bins.
    ///
    /// # Errors
    /// Without samples.
    pub fn maximum(&self) -> Result<f64> {
        self.value()?;
        let gaps = self.bins().into_iter().flatten();
        Ok(gaps.map(|bin| (bin.confidence - bin.accuracy).abs()).fold(0.0, f64::max))
    }
}

impl Accumulator for Calibration {
    /// The expected calibration error (Guo et al., 2017): distances of confidence and accuracy, each bin by
    /// its samples.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        let total: f64 = self.bins.iter().map(|bin| bin[0]).sum();
        if total == 0.0 {
            return Err(Error::invalid("calibration: no samples"));
        }
        let gaps = self.bins.iter().map(|[_, sum, came_true]| (sum - came_true).abs());
        Ok(gaps.sum::<f64>() / total)
    }

    fn reset(&mut self) {
        self.bins.fill([0.0; 3]);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.bins.len() != other.bins.len() {
            let (own, other) = (self.bins.len(), other.bins.len());
            return Err(Error::invalid(format!("calibration: merge of {own} bins with {other}")));
        }
        for (own, other) in self.bins.iter_mut().zip(&other.bins) {
            for (own, other) in own.iter_mut().zip(other) {
                *own += other;
            }
        }
        Ok(())
    }
}

/// The expected calibration error of rows of probabilities, see [`Calibration`].
///
/// # Errors
/// As [`Calibration::update_classes`], and without samples.
///
/// # Panics
/// Without bins.
pub fn expected_calibration_error<S: Copy + Into<f64>>(
    actual: &[impl Label],
    probabilities: &[S],
    classes: usize,
    bins: usize,
) -> Result<f64> {
    let mut state = Calibration::new(bins);
    state.update_classes(actual, probabilities, classes)?;
    state.value()
}
