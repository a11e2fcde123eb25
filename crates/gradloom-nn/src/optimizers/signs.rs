//! [`Rprop`] and [`Lion`]: steps that take only the sign of a gradient or of a mean.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::running::with_decay;
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Each element steps against the sign of its gradient; its step grows while the sign stays and shrinks
/// where it turns, and there it stays for once. For whole batches, not for samples of them.
///
/// The learning rate is the first step, and weights do not decay. PyTorch: `torch.optim.Rprop`. Riedmiller,
/// Braun, "A direct adaptive method for faster backpropagation learning", 1993.
#[derive(Clone, Debug)]
pub struct Rprop {
    core: Core,
    factors: [f64; 2],
    steps: [f64; 2],
}

impl Rprop {
    /// Steps shrink by 0.5 and grow by 1.2 within 1e-6 and 50.
    pub fn new(learning_rate: f64) -> Self {
        Rprop { core: Core::new(learning_rate), factors: [0.5, 1.2], steps: [1e-6, 50.0] }
    }

    /// Sets the factors by which steps shrink and grow. PyTorch: `etas`.
    #[must_use]
    pub fn factors(mut self, factors: [f64; 2]) -> Self {
        self.factors = factors;
        self
    }

    /// Sets the smallest and the largest step. PyTorch: `step_sizes`.
    #[must_use]
    pub fn steps(mut self, steps: [f64; 2]) -> Self {
        self.steps = steps;
        self
    }
}

impl Optimizer for Rprop {
    core_methods!(factors, steps);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let gradient = with_decay(gradient, weight, weight_decay);
        let turn = slots.get_or_zeros("prev", weight) * &gradient;
        let size = slots.get("step_size").cloned();
        let size = size.unwrap_or_else(|| weight.full_like(learning_rate));
        let ([shrink, grow], [least, most]) = (self.factors, self.steps);
        let [shrunk, grown] = [&size * shrink, &size * grow];
        let kept = turn.gt(0.0).select(grown, &size);
        let size = turn.lt(0.0).select(shrunk, kept).clamp(least, most);
        let gradient = turn.lt(0.0).select(gradient.zeros_like(), &gradient);
        slots.set("step_size", &size);
        slots.set("prev", &gradient);
        weight - gradient.sign() * size
    }
}

tensors_of_core!(Rprop);

/// Steps of just the learning rate, along the sign of a mean of gradients:
///
/// ```text
/// w' = w * (1 - learning_rate * weight_decay) - learning_rate * sign(beta1 * m + (1 - beta1) * gradient)
/// m  = beta2 * m + (1 - beta2) * gradient
/// ```
///
/// Its learning rate is usually three to ten times smaller than AdamW's, its weight decay larger by as much.
///
/// Chen et al., "Symbolic discovery of optimization algorithms", 2023.
#[derive(Clone, Debug)]
pub struct Lion {
    core: Core,
    betas: [f64; 2],
}

impl Lion {
    /// With betas 0.9 and 0.99.
    pub fn new(learning_rate: f64) -> Self {
        Lion { core: Core::new(learning_rate), betas: [0.9, 0.99] }
    }

    /// Sets how much of the mean the direction has, and how much of it is kept.
    #[must_use]
    pub fn betas(mut self, betas: [f64; 2]) -> Self {
        self.betas = betas;
        self
    }
}

impl Optimizer for Lion {
    core_methods!(betas);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let mean = slots.get_or_zeros("exp_avg", weight);
        let [of_direction, kept] = self.betas;
        let direction = &mean * of_direction + gradient * (1.0 - of_direction);
        slots.set("exp_avg", &(mean * kept + gradient * (1.0 - kept)));
        weight * (1.0 - learning_rate * weight_decay) - direction.sign() * learning_rate
    }
}

tensors_of_core!(Lion);
