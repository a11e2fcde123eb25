//! [`Adam`] and [`AdamW`], which differ in how weights decay.

use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::{Tensor, Tensors};

/// Steps of about the learning rate in every direction:
///
/// ```text
/// m  = beta1 * m + (1 - beta1) * g
/// v  = beta2 * v + (1 - beta2) * g^2
/// w' = w - learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
///
/// where `g = gradient + weight_decay * w`.
///
/// PyTorch: `torch.optim.Adam`, without `amsgrad`. Kingma, Ba, "Adam", 2014.
pub type Adam = AdamOf<false>;

/// [`Adam`] with decoupled weight decay: `w` is multiplied by `1 - learning_rate * weight_decay` and
/// then moved as by Adam, whose `g` is the gradient alone.
///
/// PyTorch: `torch.optim.AdamW`, without `amsgrad`. Loshchilov, Hutter, "Decoupled weight decay
/// regularization", 2017.
pub type AdamW = AdamOf<true>;

/// [`Adam`], or with decoupled weight decay [`AdamW`].
#[derive(Clone, Debug)]
pub struct AdamOf<const DECOUPLED: bool> {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
}

impl Adam {
    /// Adam with betas 0.9 and 0.999, epsilon 1e-8, without weight decay.
    pub fn new(learning_rate: f64) -> Self {
        AdamOf { core: Core::new(learning_rate), betas: [0.9, 0.999], epsilon: 1e-8 }
    }
}

impl AdamW {
    /// With betas 0.9 and 0.999, epsilon 1e-8, weight decay 0.01.
    pub fn new(learning_rate: f64) -> Self {
        let Adam { core, betas, epsilon } = Adam::new(learning_rate);
        AdamOf { core, betas, epsilon }.weight_decay(0.01)
    }
}

impl<const DECOUPLED: bool> AdamOf<DECOUPLED> {
    /// Sets how much of the last mean gradient and mean square is kept.
    #[must_use]
    pub fn betas(mut self, betas: [f64; 2]) -> Self {
        self.betas = betas;
        self
    }

    /// Sets what keeps the divisor from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    fn moved(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let [beta1, beta2] = self.betas;
        let mean = slots.get_or_zeros("exp_avg", weight) * beta1 + gradient * (1.0 - beta1);
        let square =
            slots.get_or_zeros("exp_avg_sq", weight) * beta2 + gradient.square() * (1.0 - beta2);
        slots.set("exp_avg", &mean);
        slots.set("exp_avg_sq", &square);
        let steps = slots.step as f64;
        let size = learning_rate / (1.0 - beta1.powf(steps));
        let correction = (1.0 - beta2.powf(steps)).sqrt();
        let divisor = square.sqrt() * (1.0 / correction) + self.epsilon;
        weight - mean * size / divisor
    }
}

impl<const DECOUPLED: bool> Optimizer for AdamOf<DECOUPLED> {
    fn kind(&self) -> &'static str {
        if DECOUPLED { "AdamW" } else { "Adam" }
    }

    fn core(&self) -> &Core {
        &self.core
    }

    fn core_mut(&mut self) -> &mut Core {
        &mut self.core
    }

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        if weight_decay == 0.0 {
            return self.moved(weight, gradient, learning_rate, slots);
        }
        if DECOUPLED {
            let decayed = weight * (1.0 - learning_rate * weight_decay);
            return self.moved(&decayed, gradient, learning_rate, slots);
        }
        self.moved(weight, &(gradient + weight * weight_decay), learning_rate, slots)
    }
}

impl<const DECOUPLED: bool> Tensors for AdamOf<DECOUPLED> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.core.for_each_tensor(visit);
    }
}
