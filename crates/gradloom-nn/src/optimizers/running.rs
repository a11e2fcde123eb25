//! What the formulas of several optimizers share.

use crate::optimizers::Slots;
use gradloom_tensor::Tensor;

/// A gradient with what pulls the weight to zero.
pub(super) fn with_decay(gradient: &Tensor, weight: &Tensor, weight_decay: f64) -> Tensor {
    if weight_decay == 0.0 { gradient.clone() } else { gradient + weight * weight_decay }
}

/// The mean gradient, remembered.
pub(super) fn running_mean(
    gradient: &Tensor,
    weight: &Tensor,
    beta: f64,
    slots: &mut Slots,
) -> Tensor {
    let mean = slots.get_or_zeros("exp_avg", weight) * beta + gradient * (1.0 - beta);
    slots.set("exp_avg", &mean);
    mean
}

/// The mean square, remembered.
pub(super) fn running_square(
    gradient: &Tensor,
    weight: &Tensor,
    beta: f64,
    slots: &mut Slots,
) -> Tensor {
    let square = slots.get_or_zeros("exp_avg_sq", weight) * beta + gradient.square() * (1.0 - beta);
    slots.set("exp_avg_sq", &square);
    square
}
