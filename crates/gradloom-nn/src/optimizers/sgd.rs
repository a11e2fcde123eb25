//! [`Sgd`]: gradient descent with momentum.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Gradient descent, with momentum `m` if wanted:
///
/// ```text
/// g  = gradient + weight_decay * w
/// b  = g at the first step, then m * b + (1 - dampening) * g
/// w' = w - learning_rate * b              or, with Nesterov:  w - learning_rate * (g + m * b)
/// ```
///
/// PyTorch: `torch.optim.SGD`.
#[derive(Clone, Debug)]
pub struct Sgd {
    core: Core,
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent.
    pub fn new(learning_rate: f64) -> Self {
        let core = Core::new(learning_rate);
        Sgd { core, momentum: 0.0, dampening: 0.0, nesterov: false }
    }

    /// Sets how much of the last direction is kept.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets how much of a gradient does not enter the momentum.
    #[must_use]
    pub fn dampening(mut self, dampening: f64) -> Self {
        self.dampening = dampening;
        self
    }

    /// Looks ahead along the momentum (Sutskever et al., 2013).
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }
}

impl Optimizer for Sgd {
    core_methods!(momentum, dampening, nesterov);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let mut direction = gradient.clone();
        if weight_decay != 0.0 {
            direction = direction + weight * weight_decay;
        }
        if self.momentum != 0.0 {
            let buffer = match slots.get("momentum_buffer") {
                Some(buffer) => buffer * self.momentum + &direction * (1.0 - self.dampening),
                None => direction.clone(),
            };
            slots.set("momentum_buffer", &buffer);
            direction = if self.nesterov { direction + &buffer * self.momentum } else { buffer };
        }
        weight - direction * learning_rate
    }
}

tensors_of_core!(Sgd);
