//! [`Adagrad`] and [`Adadelta`]: steps divided by the size of all gradients, or of recent ones.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::running::with_decay;
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Gradients divided by the root of the sum of their squares:
///
/// ```text
/// g  = gradient + weight_decay * w
/// s  = s + g^2                                                  s at first: initial
/// w' = w - learning_rate / (1 + (t - 1) * rate_decay) * g / (sqrt(s) + epsilon)
/// ```
///
/// PyTorch: `torch.optim.Adagrad`. Duchi, Hazan, Singer, "Adaptive subgradient methods", 2011.
#[derive(Clone, Debug)]
pub struct Adagrad {
    core: Core,
    rate_decay: f64,
    initial: f64,
    epsilon: f64,
}

impl Adagrad {
    /// With epsilon 1e-10, sums that begin at zero, and a learning rate that does not decay.
    pub fn new(learning_rate: f64) -> Self {
        Adagrad { core: Core::new(learning_rate), rate_decay: 0.0, initial: 0.0, epsilon: 1e-10 }
    }

    /// Sets by how much of itself the divisor of the learning rate grows at each step.
    #[must_use]
    pub fn rate_decay(mut self, rate_decay: f64) -> Self {
        self.rate_decay = rate_decay;
        self
    }

    /// Sets what the sums begin at. PyTorch: `initial_accumulator_value`.
    #[must_use]
    pub fn initial(mut self, initial: f64) -> Self {
        self.initial = initial;
        self
    }

    /// Sets what keeps the divisor from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Optimizer for Adagrad {
    core_methods!(rate_decay, initial, epsilon);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let gradient = with_decay(gradient, weight, weight_decay);
        let sum = slots.get("sum").cloned().unwrap_or_else(|| weight.full_like(self.initial));
        let sum = sum + gradient.square();
        slots.set("sum", &sum);
        let rate = learning_rate / (1.0 + (slots.step - 1) as f64 * self.rate_decay);
        weight - gradient * rate / (sum.sqrt() + self.epsilon)
    }
}

tensors_of_core!(Adagrad);

/// Steps as large as the recent steps, against gradients of the size of the recent ones:
///
/// ```text
/// g  = gradient + weight_decay * w
/// v  = rho * v + (1 - rho) * g^2
/// d  = sqrt(u + epsilon) / sqrt(v + epsilon) * g
/// u  = rho * u + (1 - rho) * d^2
/// w' = w - learning_rate * d
/// ```
///
/// PyTorch: `torch.optim.Adadelta`. Zeiler, "ADADELTA", 2012.
#[derive(Clone, Debug)]
pub struct Adadelta {
    core: Core,
    rho: f64,
    epsilon: f64,
}

impl Adadelta {
    /// With rho 0.9 and epsilon 1e-6; the learning rate is usually 1.
    pub fn new(learning_rate: f64) -> Self {
        Adadelta { core: Core::new(learning_rate), rho: 0.9, epsilon: 1e-6 }
    }

    /// Sets how much of the last mean squares is kept.
    #[must_use]
    pub fn rho(mut self, rho: f64) -> Self {
        self.rho = rho;
        self
    }

    /// Sets what keeps the divisor from zero, and the first steps from it.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }
}

impl Optimizer for Adadelta {
    core_methods!(rho, epsilon);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let gradient = with_decay(gradient, weight, weight_decay);
        let mean = |old: Tensor, value: &Tensor| old * self.rho + value.square() * (1.0 - self.rho);
        let square = mean(slots.get_or_zeros("square_avg", weight), &gradient);
        slots.set("square_avg", &square);
        let steps = slots.get_or_zeros("acc_delta", weight);
        let size = (&steps + self.epsilon).sqrt() / (square + self.epsilon).sqrt();
        let step = size * gradient;
        slots.set("acc_delta", &mean(steps, &step));
        weight - step * learning_rate
    }
}

tensors_of_core!(Adadelta);
