//! [`RmsProp`]: steps divided by the recent size of the gradient.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Gradients divided by the root of their running mean square:
///
/// ```text
/// g  = gradient + weight_decay * w
/// v  = alpha * v + (1 - alpha) * g^2
/// d  = g / (sqrt(v) + epsilon)            centered: of v - a^2, a the running mean of g
/// w' = w - learning_rate * d              with momentum m: b = m * b + d, w - learning_rate * b
/// ```
///
/// PyTorch: `torch.optim.RMSprop`. Hinton, lecture 6e of "Neural networks for machine learning", 2012.
#[derive(Clone, Debug)]
pub struct RmsProp {
    core: Core,
    alpha: f64,
    epsilon: f64,
    momentum: f64,
    centered: bool,
}

impl RmsProp {
    /// With alpha 0.99, epsilon 1e-8, without momentum.
    pub fn new(learning_rate: f64) -> Self {
        let core = Core::new(learning_rate);
        RmsProp { core, alpha: 0.99, epsilon: 1e-8, momentum: 0.0, centered: false }
    }

    /// Sets how much of the last mean square is kept.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets what keeps the divisor from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Sets how much of the last direction is kept.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Divides by the deviation from the running mean instead of by the size.
    #[must_use]
    pub fn centered(mut self, centered: bool) -> Self {
        self.centered = centered;
        self
    }
}

impl Optimizer for RmsProp {
    core_methods!(alpha, epsilon, momentum, centered);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let mut gradient = gradient.clone();
        if weight_decay != 0.0 {
            gradient = gradient + weight * weight_decay;
        }
        let running = |slots: &Slots, name: &str, value: &Tensor| {
            slots.get_or_zeros(name, weight) * self.alpha + value * (1.0 - self.alpha)
        };
        let square = running(slots, "square_avg", &gradient.square());
        slots.set("square_avg", &square);
        let spread = if self.centered {
            let mean = running(slots, "grad_avg", &gradient);
            slots.set("grad_avg", &mean);
            &square - mean.square()
        } else {
            square
        };
        let mut direction = gradient / (spread.sqrt() + self.epsilon);
        if self.momentum != 0.0 {
            let buffer = slots.get_or_zeros("momentum_buffer", weight) * self.momentum;
            direction = buffer + direction;
            slots.set("momentum_buffer", &direction);
        }
        weight - direction * learning_rate
    }
}

tensors_of_core!(RmsProp);
