//! The usual figures of `gradloom-metrics`, ready to be given to a trainer.
//!
//! Letters: N samples, C classes. Classes are integers.

use gradloom_metrics::{
    Accumulator as _, Average, BinaryScores, ConfusionMatrix, GroupRates, Regression,
    RegressionReport, TopK, ZeroDivision,
};
use gradloom_tensor::{DType, Tensor};

use super::Of;
use crate::{Result, error};

/// The share of samples whose class is among the `k` highest logits: outputs `[N, C]`, targets `[N]`.
///
/// scikit-learn: `top_k_accuracy_score`.
pub fn top_k_accuracy(k: usize) -> Of<TopK> {
    Of::new(format!("top_{k}_accuracy"), TopK::new(k), |sum, [scores, classes]| {
        let columns = scores.shape().last().copied().unwrap_or(1);
        sum.update(&integers(classes)?, &floats(scores)?, columns)
    })
}

/// F1 of classes that the largest logits name: outputs `[N, C]`, targets `[N]`. A class without samples and
/// without predictions counts as 0.
///
/// scikit-learn: `f1_score(average=..)`.
pub fn f1(classes: usize, average: Average) -> Of<ConfusionMatrix> {
    of_classes("f1", classes, average, |report| report.f)
}

/// As [`f1`]: of what was called a class, the share that is one.
pub fn precision(classes: usize, average: Average) -> Of<ConfusionMatrix> {
    of_classes("precision", classes, average, |report| report.precision)
}

/// As [`f1`]: of what is a class, the share that was called so.
pub fn recall(classes: usize, average: Average) -> Of<ConfusionMatrix> {
    of_classes("recall", classes, average, |report| report.recall)
}

fn of_classes(
    name: &str,
    classes: usize,
    average: Average,
    read: fn(gradloom_metrics::ClassReport) -> f64,
) -> Of<ConfusionMatrix> {
    let prefix = match average {
        Average::Micro => "micro_",
        Average::Macro => "macro_",
        Average::Weighted => "weighted_",
    };
    Of::reading(
        format!("{prefix}{name}"),
        ConfusionMatrix::new(classes),
        |matrix: &mut ConfusionMatrix, [said, is]| matrix.update(&integers(is)?, &integers(said)?),
        move |matrix| {
            matrix.value()?;
            Ok(read(matrix.average(average, 1.0, ZeroDivision::Zero)))
        },
    )
    .observe(|logits, classes| [logits.argmax(-1), classes.clone()])
}

/// The area under the receiver operating characteristic of a yes or no: outputs `[N]` or `[N, 1]` of any scale,
/// targets of 0 and 1 in any dtype. It keeps every score of an epoch.
///
/// scikit-learn: `roc_auc_score`.
pub fn roc_auc() -> Of<BinaryScores> {
    Of::new("roc_auc", BinaryScores::default(), |scores, [outputs, targets]| {
        scores.update(&integers(targets)?, &floats(outputs)?)
    })
}

/// The mean distance of numbers: outputs and targets of one shape.
///
/// scikit-learn: `mean_absolute_error`.
pub fn mean_absolute_error() -> Of<Regression> {
    of_numbers("mae", |report| report.mae)
}

/// The share of the variance of numbers that is explained: outputs and targets of one shape.
///
/// scikit-learn: `r2_score`.
pub fn r2() -> Of<Regression> {
    of_numbers("r2", |report| report.r2.unwrap_or(f64::NAN))
}

fn of_numbers(name: &str, read: fn(RegressionReport) -> f64) -> Of<Regression> {
    let update = |sum: &mut Regression, [outputs, targets]: &[Tensor; 2]| {
        sum.update(&floats(targets)?, &floats(outputs)?)
    };
    Of::reading(name, Regression::default(), update, move |sum| Ok(read(sum.value()?)))
}

/// By how much the groups of people differ in how often the answer is yes: outputs `[N]` or `[N, 1]`, yes above zero;
/// targets `[N, 2]` of numbers, the true answer (0 or 1) and the number of the group.
///
/// fairlearn: `demographic_parity_difference`. [`demographic_parity`](gradloom_nn::losses::demographic_parity) is its
/// penalty.
pub fn demographic_parity_difference() -> Of<GroupRates> {
    of_groups("demographic_parity_difference", GroupRates::demographic_parity_difference)
}

/// As [`demographic_parity_difference`]: in how often a true yes, or a true no, is answered with yes; the larger of
/// the two. NaN while a group has no true yes or no true no.
///
/// fairlearn: `equalized_odds_difference`. [`equalised_odds`](gradloom_nn::losses::equalised_odds) is its penalty.
pub fn equalised_odds_difference() -> Of<GroupRates> {
    of_groups("equalised_odds_difference", GroupRates::equalised_odds_difference)
}

fn of_groups(name: &'static str, read: fn(&GroupRates) -> Result<f64>) -> Of<GroupRates> {
    let update = move |rates: &mut GroupRates, [said, targets]: &[Tensor; 2]| {
        let (said, rows) = (integers(said)?, integers(targets)?);
        if targets.rank() != 2 || targets.size(1) != 2 || rows.len() != 2 * said.len() {
            return Err(error::invalid(format!(
                "{name}: {} answers with targets {}; needs [N, 2], the true answer and the group",
                said.len(),
                targets.shape()
            )));
        }
        let column = |at: usize| rows.iter().skip(at).step_by(2).copied().collect::<Vec<i32>>();
        let groups: Vec<String> = column(1).iter().map(i32::to_string).collect();
        rates.update(&column(0), &said, &groups)
    };
    Of::reading(name, GroupRates::default(), update, read)
        .observe(|logits, targets| [logits.gt(0.0), targets.clone()])
}

fn floats(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.cast(DType::F32).to_vec()
}

fn integers(tensor: &Tensor) -> Result<Vec<i32>> {
    tensor.cast(DType::I32).to_vec()
}
