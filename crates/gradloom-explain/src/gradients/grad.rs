//! Gradients of a target with respect to features, for many variants of each sample at once.

use gradloom_autodiff::vjp;
use gradloom_tensor::{Result, Tensor};

use crate::{Forward, Inputs, Target, rows};

/// The target of each row, `[copies * B]`, and its gradient in each of the features, which hold `copies`
/// variants of the samples of `inputs`.
pub(crate) fn gradients(
    forward: &Forward,
    features: &[Tensor],
    inputs: &Inputs,
    target: &Target,
) -> Result<(Tensor, Vec<Tensor>)> {
    let batch = inputs.batch();
    // Leaves of their own: what lies behind the features, or a given tensor that is the same, is no matter.
    let leaves: Vec<Tensor> = features.iter().map(Tensor::detach).collect();
    let copies = leaves[0].shape()[0] / batch;
    let mut all = leaves.clone();
    all.extend(inputs.given_tiled(copies));
    let selected = target.select(&forward.run(&all)?, batch)?;
    let asked: Vec<&Tensor> = leaves.iter().collect();
    // Rows do not see each other, so the gradient of the sum is that of each row.
    let gradients = vjp(&selected, &selected.ones_like(), &asked);
    Ok((selected, gradients))
}

/// `F(features) - F(baselines)` of each sample, `[B]`.
pub(crate) fn difference(
    forward: &Forward,
    inputs: &Inputs,
    baselines: &[Tensor],
    target: &Target,
) -> Result<Tensor> {
    let at = |features: &[Tensor]| {
        let all = inputs.with_features(features.to_vec()).all();
        target.select(&forward.run(&all)?, inputs.batch())
    };
    Ok(at(&inputs.features)?.sub(at(baselines)?))
}

/// The sum of all attributions of each sample, `[B]`.
pub(crate) fn total(features: &[Tensor]) -> Tensor {
    let mut sums = features.iter().map(rows::sums);
    let first = sums.next().expect("there is a feature");
    sums.fold(first, |total, sum| total.add(sum))
}
