//! [`removal_curve`]: what the model says while features go or come, the most important first.

use gradloom_tensor::{Error, Result, Tensor};

use crate::perturbations::Variants;
use crate::{Baseline, Features, Forward, Inputs, Target, rows};

/// In which direction features are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurveOrder {
    /// From the whole, the most important feature goes first: a good explanation falls fast.
    Deletion,
    /// From the baseline, the most important feature comes first: a good explanation rises fast.
    Insertion,
}

/// A target while features go or come.
#[derive(Clone, Debug, PartialEq)]
pub struct RemovalCurve {
    /// The share of features that has gone or come at each step, from 0 to 1.
    pub shares: Vec<f64>,
    /// The target at each step, for each sample: `[B][steps + 1]`.
    pub values: Vec<Vec<f64>>,
    /// The area under each curve.
    pub areas: Vec<f64>,
}

/// The curve of deletion or insertion in the order of attributions, in `steps` steps of about equal numbers
/// of features.
///
/// Petsiuk, Das, Saenko, "RISE", 2018.
///
/// # Errors
/// If attributions have other shapes than the features, are not finite, or `steps` is not between 1 and the
/// number of features.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a part of the question, and none has a default"
)]
pub fn removal_curve(
    order: CurveOrder,
    forward: &Forward,
    inputs: &Inputs,
    attributions: &[Tensor],
    target: &Target,
    baseline: &Baseline,
    features: Option<&Features>,
    steps: usize,
) -> Result<RemovalCurve> {
    let op = "removal_curve";
    let baselines = baseline.of(op, inputs)?;
    let features = Features::or_each(features, op, inputs)?;
    super::infidelity::same_shapes(op, "attribution", attributions, &inputs.features)?;
    let (count, batch) = (features.count(), inputs.batch());
    if !(1..=count).contains(&steps) {
        return Err(Error::invalid(format!("{op}: {steps} steps of {count} features")));
    }
    if matches!(target, Target::Classes(classes) if classes.len() != batch) {
        return Err(Error::invalid(format!("{op}: {target:?} for {batch} samples")));
    }
    let ranks = ranks(op, &features, attributions, batch)?;
    let gone = |step: usize| step * count / steps;
    let mut values = vec![Vec::with_capacity(steps + 1); batch];
    // Samples have orders of their own, so each is a question of its own.
    for (sample, values) in values.iter_mut().enumerate() {
        let (own, target) = (inputs.row(sample), target.row(sample));
        let baseline = baselines.iter().map(|x0| x0.narrow(0, sample, 1)).collect();
        let baseline = Baseline::Tensors(baseline);
        let variants = Variants::new(op, forward, &own, &target, &baseline, None)?;
        let found = variants.values(steps + 1, &|step, tensor, kept| {
            let first = |label: usize| ranks[sample][label] < gone(step);
            let labels = features.labels()[tensor].iter();
            kept.extend(labels.map(|&label| first(label) == (order == CurveOrder::Insertion)));
        })?;
        values.extend(found.iter().map(|row| row[0]));
    }
    let shares: Vec<f64> = (0..=steps).map(|step| gone(step) as f64 / count as f64).collect();
    let area = |values: &Vec<f64>| {
        let pieces = shares.windows(2).zip(values.windows(2));
        pieces.map(|(share, value)| (share[1] - share[0]) * (value[0] + value[1]) / 2.0).sum()
    };
    let areas = values.iter().map(area).collect();
    Ok(RemovalCurve { shares, values, areas })
}

/// The place of each feature in the order of each sample, by the sums of attributions, largest first.
fn ranks(
    op: &str,
    features: &Features,
    attributions: &[Tensor],
    batch: usize,
) -> Result<Vec<Vec<usize>>> {
    let mut sums = vec![vec![0.0; features.count()]; batch];
    for (attribution, labels) in attributions.iter().zip(features.labels()) {
        let numbers = rows::numbers(attribution)?;
        for (sums, numbers) in sums.iter_mut().zip(numbers.chunks(labels.len())) {
            labels.iter().zip(numbers).for_each(|(&label, number)| sums[label] += number);
        }
    }
    if sums.iter().flatten().any(|sum| !sum.is_finite()) {
        return Err(Error::invalid(format!(
            "{op}: attributions that are not finite have no order"
        )));
    }
    let ranks = sums.iter().map(|sums| {
        let mut order: Vec<usize> = (0..sums.len()).collect();
        order.sort_by(|&a, &b| sums[b].total_cmp(&sums[a]));
        let mut ranks = vec![0; sums.len()];
        order.into_iter().enumerate().for_each(|(rank, label)| ranks[label] = rank);
        ranks
    });
    Ok(ranks.collect())
}
