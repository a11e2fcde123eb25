//! Precision, recall and F of counts, and their averages; as
//! `sklearn.metrics.precision_recall_fscore_support`.

use serde::{Deserialize, Serialize};

/// What a share of nothing is: the precision of a class that was never predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ZeroDivision {
    /// 0.
    #[default]
    Zero,
    /// 1.
    One,
    /// NaN for the class; averages leave it out, and are NaN if nothing is left.
    Nan,
}

impl ZeroDivision {
    fn value(self) -> f64 {
        match self {
            ZeroDivision::Zero => 0.0,
            ZeroDivision::One => 1.0,
            ZeroDivision::Nan => f64::NAN,
        }
    }

    pub(super) fn share(self, part: f64, whole: f64) -> f64 {
        if whole == 0.0 { self.value() } else { part / whole }
    }
}

/// How the figures of classes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Average {
    /// Each class counts the same.
    Macro,
    /// Counts are summed first, so each decision counts the same.
    Micro,
    /// Each class counts by its true samples.
    Weighted,
}

/// Precision, recall, F and support, of one class or averaged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassReport {
    /// Of what was called this class, the share that is.
    pub precision: f64,
    /// Of what is this class, the share that was called so.
    pub recall: f64,
    /// Weighted harmonic mean of the two.
    pub f: f64,
    /// Samples of this class.
    pub support: u64,
}

/// Right, called and true samples of one class.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassCounts {
    pub(super) right: u64,
    pub(super) called: u64,
    pub(super) support: u64,
}

impl ClassCounts {
    pub(super) fn report(self, beta: f64, zero: ZeroDivision) -> ClassReport {
        let (right, called) = (self.right as f64, self.called as f64);
        let support = self.support as f64;
        let (precision, recall) = (zero.share(right, called), zero.share(right, support));
        let squared = beta * beta;
        let f = if beta == f64::INFINITY {
            recall
        } else if beta == 0.0 {
            precision
        } else {
            zero.share((1.0 + squared) * right, squared * support + called)
        };
        ClassReport { precision, recall, f, support: self.support }
    }
}

pub(super) fn average(
    counts: &[ClassCounts],
    kind: Average,
    beta: f64,
    zero: ZeroDivision,
) -> ClassReport {
    let support = counts.iter().map(|class| class.support).sum();
    if kind == Average::Micro {
        let sum = |of: fn(&ClassCounts) -> u64| counts.iter().map(of).sum();
        let (right, called) = (sum(|class| class.right), sum(|class| class.called));
        return ClassCounts { right, called, support }.report(beta, zero);
    }
    let reports: Vec<ClassReport> = counts.iter().map(|class| class.report(beta, zero)).collect();
    let weight = |class: &ClassReport| match kind {
        Average::Weighted => class.support as f64,
        _ => 1.0,
    };
    let mean = |of: fn(&ClassReport) -> f64| {
        weighted_mean(reports.iter().map(|class| (of(class), weight(class))))
    };
    ClassReport {
        precision: mean(|class| class.precision),
        recall: mean(|class| class.recall),
        f: mean(|class| class.f),
        support,
    }
}

/// Of what is a number; by equal weights where all weights are 0, and NaN where no number is left.
fn weighted_mean(figures: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let numbers = figures.filter(|(figure, _)| !figure.is_nan());
    let total: f64 = numbers.clone().map(|(_, weight)| weight).sum();
    if total > 0.0 {
        return numbers.map(|(figure, weight)| figure * weight).sum::<f64>() / total;
    }
    let count = numbers.clone().count();
    if count == 0 {
        return f64::NAN;
    }
    numbers.map(|(figure, _)| figure).sum::<f64>() / count as f64
}
