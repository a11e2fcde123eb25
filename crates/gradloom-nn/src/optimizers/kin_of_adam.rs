//! [`Adamax`], [`NAdam`] and [`RAdam`]: kin of Adam.

use crate::optimizers::core::{betas_and_epsilon, core_methods, tensors_of_core};
use crate::optimizers::running::{running_mean, running_square, with_decay};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Weight decay as AdamW's, for an optimizer that has it as an option.
macro_rules! decoupled {
    ($type:ty) => {
        impl $type {
            /// Weights decay as AdamW's: they shrink by themselves, not with the gradient.
            #[must_use]
            pub fn decoupled_weight_decay(mut self, decoupled: bool) -> Self {
                self.decoupled = decoupled;
                self
            }
        }
    };
}

/// [`Adam`](super::Adam) divided by the largest recent gradient instead of the mean square:
///
/// ```text
/// g  = gradient + weight_decay * w
/// m  = beta1 * m + (1 - beta1) * g
/// u  = max(beta2 * u, |g| + epsilon)
/// w' = w - learning_rate / (1 - beta1^t) * m / u
/// ```
///
/// PyTorch: `torch.optim.Adamax`. Kingma, Ba, "Adam", 2014.
#[derive(Clone, Debug)]
pub struct Adamax {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
}

impl Adamax {
    /// With betas 0.9 and 0.999, epsilon 1e-8; PyTorch's learning rate is 2e-3.
    pub fn new(learning_rate: f64) -> Self {
        Adamax { core: Core::new(learning_rate), betas: [0.9, 0.999], epsilon: 1e-8 }
    }
}

betas_and_epsilon!(Adamax, "largest gradient");

impl Optimizer for Adamax {
    core_methods!(betas, epsilon);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let gradient = with_decay(gradient, weight, weight_decay);
        let [beta1, beta2] = self.betas;
        let mean = running_mean(&gradient, weight, beta1, slots);
        let largest = slots.get_or_zeros("exp_inf", weight) * beta2;
        let largest = largest.maximum(gradient.abs() + self.epsilon);
        slots.set("exp_inf", &largest);
        let rate = learning_rate / (1.0 - beta1.powf(slots.step as f64));
        weight - mean * rate / largest
    }
}

tensors_of_core!(Adamax);

/// [`Adam`](super::Adam) that looks ahead along its momentum, as Nesterov's, whose weight grows from
/// `beta1 / 2` to `beta1`:
///
/// ```text
/// mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
/// w'   = w - learning_rate / d * (g * (1 - mu_t) / (1 - mu_1 .. mu_t) + m * mu_t+1 / (1 - mu_1 .. mu_t+1))
/// ```
///
/// with `g`, `m` and the divisor `d` of Adam.
///
/// PyTorch: `torch.optim.NAdam`. Dozat, "Incorporating Nesterov momentum into Adam", 2016.
#[derive(Clone, Debug)]
pub struct NAdam {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
    momentum_decay: f64,
    decoupled: bool,
}

impl NAdam {
    /// With betas 0.9 and 0.999, epsilon 1e-8, momentum decay 4e-3; PyTorch's learning rate is 2e-3.
    pub fn new(learning_rate: f64) -> Self {
        NAdam {
            core: Core::new(learning_rate),
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            momentum_decay: 4e-3,
            decoupled: false,
        }
    }

    /// Sets how fast the momentum grows to its full weight.
    #[must_use]
    pub fn momentum_decay(mut self, momentum_decay: f64) -> Self {
        self.momentum_decay = momentum_decay;
        self
    }

    /// The weight of the momentum at a step.
    fn momentum(&self, step: u64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(step as f64 * self.momentum_decay))
    }
}

betas_and_epsilon!(NAdam, "mean square");
decoupled!(NAdam);

impl Optimizer for NAdam {
    core_methods!(betas, epsilon, momentum_decay, decoupled);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let (weight, gradient) =
            decayed(weight, gradient, learning_rate, weight_decay, self.decoupled);
        let [beta1, beta2] = self.betas;
        let mean = running_mean(&gradient, &weight, beta1, slots);
        let square = running_square(&gradient, &weight, beta2, slots);
        let [now, next] = [self.momentum(slots.step), self.momentum(slots.step + 1)];
        let one = || Tensor::scalar(1.0, weight.dtype(), weight.device());
        let product = slots.get("mu_product").cloned().unwrap_or_else(one) * now;
        slots.set("mu_product", &product);
        let correction = 1.0 - beta2.powf(slots.step as f64);
        let divisor = (square * (1.0 / correction)).sqrt() + self.epsilon;
        let own = gradient * (learning_rate * (1.0 - now)) / (1.0 - &product);
        let ahead = mean * (learning_rate * next) / (1.0 - product * next);
        weight - (own + ahead) / divisor
    }
}

tensors_of_core!(NAdam);

/// [`Adam`](super::Adam) that does not divide while the mean square is of too few gradients to trust, and
/// then by a root that is rectified:
///
/// ```text
/// rho_t = rho - 2 t * beta2^t / (1 - beta2^t)        with rho = 2 / (1 - beta2) - 1
/// w'    = w - learning_rate * m / (1 - beta1^t) * r / d     where rho_t > 5, else without r / d
/// r     = sqrt((rho_t - 4) (rho_t - 2) rho / ((rho - 4) (rho - 2) rho_t))
/// ```
///
/// PyTorch: `torch.optim.RAdam`. Liu et al., "On the variance of the adaptive learning rate and beyond",
/// 2019.
#[derive(Clone, Debug)]
pub struct RAdam {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
    decoupled: bool,
}

impl RAdam {
    /// With betas 0.9 and 0.999, epsilon 1e-8.
    pub fn new(learning_rate: f64) -> Self {
        let core = Core::new(learning_rate);
        RAdam { core, betas: [0.9, 0.999], epsilon: 1e-8, decoupled: false }
    }
}

betas_and_epsilon!(RAdam, "mean square");
decoupled!(RAdam);

impl Optimizer for RAdam {
    core_methods!(betas, epsilon, decoupled);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let (weight, gradient) =
            decayed(weight, gradient, learning_rate, weight_decay, self.decoupled);
        let [beta1, beta2] = self.betas;
        let mean = running_mean(&gradient, &weight, beta1, slots);
        let square = running_square(&gradient, &weight, beta2, slots);
        let steps = slots.step as f64;
        let rate = learning_rate / (1.0 - beta1.powf(steps));
        let power = beta2.powf(steps);
        let longest = 2.0 / (1.0 - beta2) - 1.0;
        let length = longest - 2.0 * steps * power / (1.0 - power);
        if length <= 5.0 {
            return weight - mean * rate;
        }
        let rectified = ((length - 4.0) * (length - 2.0) * longest)
            / ((longest - 4.0) * (longest - 2.0) * length);
        let rate = rate * rectified.sqrt() * (1.0 - power).sqrt();
        weight - mean * rate / (square.sqrt() + self.epsilon)
    }
}

tensors_of_core!(RAdam);

/// The weight and the gradient with weight decay in one of them.
fn decayed(
    weight: &Tensor,
    gradient: &Tensor,
    learning_rate: f64,
    weight_decay: f64,
    decoupled: bool,
) -> (Tensor, Tensor) {
    if weight_decay != 0.0 && decoupled {
        return (weight * (1.0 - learning_rate * weight_decay), gradient.clone());
    }
    (weight.clone(), with_decay(gradient, weight, weight_decay))
}
