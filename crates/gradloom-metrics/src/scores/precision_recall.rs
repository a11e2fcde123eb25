//! [`PrecisionRecallCurve`]: how much is right among what is found.

use super::steps::Step;

/// Precision over recall, from the laxest threshold to the strictest, with a last point of recall 0 and
/// precision 1 that has no threshold. As `sklearn.metrics.precision_recall_curve`.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecallCurve {
    /// Of what is called 1, the share that is.
    pub precision: Vec<f64>,
    /// Of what is 1, the share that is called so.
    pub recall: Vec<f64>,
    /// What is called 1 has at least this score; one fewer than points.
    pub thresholds: Vec<f64>,
}

impl PrecisionRecallCurve {
    pub(super) fn of(steps: &[Step]) -> Self {
        let all = steps[steps.len() - 1].yes;
        let up = steps.iter().rev();
        let precision = up.clone().map(|step| step.yes / (step.yes + step.no));
        let recall = up.clone().map(|step| step.yes / all);
        PrecisionRecallCurve {
            precision: precision.chain([1.0]).collect(),
            recall: recall.chain([0.0]).collect(),
            thresholds: up.map(|step| step.threshold).collect(),
        }
    }

    /// Area under the curve, by trapezia: more favourable than
    /// [`average_precision`](PrecisionRecallCurve::average_precision). As `sklearn.metrics.auc`.
    pub fn area(&self) -> f64 {
        let (x, y) = (&self.recall, &self.precision);
        (1..x.len()).map(|at| (x[at - 1] - x[at]) * (y[at] + y[at - 1]) / 2.0).sum()
    }

    /// Sum of the precisions by the recall gained at each threshold.
    pub fn average_precision(&self) -> f64 {
        let points = 1..self.recall.len();
        let sum: f64 =
            points.map(|at| (self.recall[at - 1] - self.recall[at]) * self.precision[at - 1]).sum();
        sum.max(0.0)
    }
}
