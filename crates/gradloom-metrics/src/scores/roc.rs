//! [`RocCurve`]: true against false positives.

use super::steps::Step;

/// Rates of true positives over rates of false positives, from the strictest threshold to the laxest. As
/// `sklearn.metrics.roc_curve`.
#[derive(Clone, Debug, PartialEq)]
pub struct RocCurve {
    /// Share of class 0 that is called 1, from 0 to 1.
    pub false_positive: Vec<f64>,
    /// Share of class 1 that is called 1, from 0 to 1.
    pub true_positive: Vec<f64>,
    /// What is called 1 has at least this score; the first is infinite.
    pub thresholds: Vec<f64>,
}

impl RocCurve {
    pub(super) fn of(steps: &[Step]) -> Self {
        let all = &steps[steps.len() - 1];
        let from = |start: f64, of: &dyn Fn(&Step) -> f64| {
            std::iter::once(start).chain(steps.iter().map(of)).collect()
        };
        RocCurve {
            false_positive: from(0.0, &|step| step.no / all.no),
            true_positive: from(0.0, &|step| step.yes / all.yes),
            thresholds: from(f64::INFINITY, &|step| step.threshold),
        }
    }

    /// Area under the curve, by trapezia.
    pub fn area(&self) -> f64 {
        let (x, y) = (&self.false_positive, &self.true_positive);
        (1..x.len()).map(|at| (x[at] - x[at - 1]) * (y[at] + y[at - 1]) / 2.0).sum()
    }

    /// The curve without the points that lie on the line of their neighbours: the same area and picture,
    /// fewer points.
    #[must_use]
    pub fn simplified(&self) -> Self {
        let (x, y) = (&self.false_positive, &self.true_positive);
        let last = x.len() - 1;
        let kept = |&at: &usize| {
            let inner = at > 0 && at < last;
            !inner || {
                let before = (x[at] - x[at - 1], y[at] - y[at - 1]);
                let after = (x[at + 1] - x[at], y[at + 1] - y[at]);
                (before.0 * after.1 - before.1 * after.0).abs() > 1e-15
            }
        };
        let kept: Vec<usize> = (0..x.len()).filter(kept).collect();
        let pick = |of: &[f64]| kept.iter().map(|&at| of[at]).collect();
        RocCurve {
            false_positive: pick(x),
            true_positive: pick(y),
            thresholds: pick(&self.thresholds),
        }
    }
}
