//! [`Asgd`]: gradient descent whose result is the mean of the weights on the way.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::running::with_decay;
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Gradient descent with a falling rate, and the mean of the weights from a step on:
///
/// ```text
/// g  = gradient + weight_decay * w
/// r  = learning_rate / (1 + lambda * learning_rate * (t - 1))^alpha
/// w' = w * (1 - lambda * r) - r * g
/// a  = a + (w' - a) / max(1, t - 1 - start)
/// ```
///
/// The mean `a` of a weight is remembered as `ax` in the [`state_dict`](Optimizer::state_dict). A learning
/// rate that is set takes effect at once; PyTorch's does a step later.
///
/// PyTorch: `torch.optim.ASGD`. Polyak, Juditsky, "Acceleration of stochastic approximation by averaging",
/// 1992.
#[derive(Clone, Debug)]
pub struct Asgd {
    core: Core,
    lambda: f64,
    alpha: f64,
    start: f64,
}

impl Asgd {
    /// With lambda 1e-4, alpha 0.75, and means from step 1e6 on.
    pub fn new(learning_rate: f64) -> Self {
        Asgd { core: Core::new(learning_rate), lambda: 1e-4, alpha: 0.75, start: 1e6 }
    }

    /// Sets how much weights shrink, and how soon the rate falls.
    #[must_use]
    pub fn lambda(mut self, lambda: f64) -> Self {
        self.lambda = lambda;
        self
    }

    /// Sets the power with which the rate falls.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the step from which on the mean is taken. PyTorch: `t0`.
    #[must_use]
    pub fn start(mut self, start: f64) -> Self {
        self.start = start;
        self
    }
}

impl Optimizer for Asgd {
    core_methods!(lambda, alpha, start);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let gradient = with_decay(gradient, weight, weight_decay);
        let before = (slots.step - 1) as f64;
        let rate = learning_rate / (1.0 + self.lambda * learning_rate * before).powf(self.alpha);
        let next = weight * (1.0 - self.lambda * rate) - gradient * rate;
        let mean = slots.get_or_zeros("ax", weight);
        let share = 1.0 / (before - self.start).max(1.0);
        slots.set("ax", &(&mean + (&next - &mean) * share));
        next
    }
}

tensors_of_core!(Asgd);
