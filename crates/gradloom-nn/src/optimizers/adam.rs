//! [`Adam`] and [`AdamW`], which differ in how weights decay.

use crate::optimizers::core::{betas_and_epsilon, core_methods, tensors_of_core};
use crate::optimizers::running::{running_mean, running_square};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Steps of about the learning rate in every direction:
///
/// ```text
/// m  = beta1 * m + (1 - beta1) * g
/// v  = beta2 * v + (1 - beta2) * g^2
/// w' = w - learning_rate * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
/// ```
///
/// where `g = gradient + weight_decay * w`; with [`amsgrad`](AdamOf::amsgrad) `v` under the root is the largest
/// so far.
///
/// PyTorch: `torch.optim.Adam`. Kingma, Ba, "Adam", 2014.
pub type Adam = AdamOf<false>;

/// [`Adam`] with decoupled weight decay: `w` is multiplied by `1 - learning_rate * weight_decay` and
/// then moved as by Adam, whose `g` is the gradient alone.
///
/// PyTorch: `torch.optim.AdamW`. Loshchilov, Hutter, "Decoupled weight decay
/// regularization", 2017.
///
/// ```
/// use gradloom_nn::{AdamW, Optimizer};
///
/// let optimizer = AdamW::new(1e-3)
///     .weight_decay(0.1)
///     .decay_only(|_, weight| weight.rank() > 1); // no biases, no norms
/// # let _ = optimizer;
/// ```
pub type AdamW = AdamOf<true>;

/// [`Adam`], or with decoupled weight decay [`AdamW`].
#[derive(Clone, Debug)]
pub struct AdamOf<const DECOUPLED: bool> {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
    amsgrad: bool,
}

impl Adam {
    /// Adam with betas 0.9 and 0.999, epsilon 1e-8, without weight decay.
    pub fn new(learning_rate: f64) -> Self {
        let core = Core::new(learning_rate);
        AdamOf { core, betas: [0.9, 0.999], epsilon: 1e-8, amsgrad: false }
    }
}

impl AdamW {
    /// With betas 0.9 and 0.999, epsilon 1e-8, weight decay 0.01.
    pub fn new(learning_rate: f64) -> Self {
        let Adam { core, betas, epsilon, amsgrad } = Adam::new(learning_rate);
        AdamOf { core, betas, epsilon, amsgrad }.weight_decay(0.01)
    }
}

impl<const DECOUPLED: bool> AdamOf<DECOUPLED> {
    /// Divides by the root of the largest mean square so far (Reddi, Kale, Kumar, "On the convergence of Adam
    /// and beyond", 2018).
    #[must_use]
    pub fn amsgrad(mut self, amsgrad: bool) -> Self {
        self.amsgrad = amsgrad;
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
        let mean = running_mean(gradient, weight, beta1, slots);
        let square = running_square(gradient, weight, beta2, slots);
        let steps = slots.step as f64;
        let size = learning_rate / (1.0 - beta1.powf(steps));
        let correction = (1.0 - beta2.powf(steps)).sqrt();
        let square = if self.amsgrad { largest(square, weight, slots) } else { square };
        let divisor = square.sqrt() * (1.0 / correction) + self.epsilon;
        weight - mean * size / divisor
    }
}

/// The largest mean square so far.
fn largest(square: Tensor, weight: &Tensor, slots: &mut Slots) -> Tensor {
    let largest = slots.get_or_zeros("max_exp_avg_sq", weight).maximum(&square);
    slots.set("max_exp_avg_sq", &largest);
    largest
}

betas_and_epsilon!(AdamOf<DECOUPLED>, "mean square", DECOUPLED);

impl<const DECOUPLED: bool> Optimizer for AdamOf<DECOUPLED> {
    fn kind(&self) -> String {
        if DECOUPLED { "AdamW".to_owned() } else { "Adam".to_owned() }
    }

    core_methods!(betas, epsilon, amsgrad);

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

tensors_of_core!(AdamOf<DECOUPLED>, DECOUPLED);
