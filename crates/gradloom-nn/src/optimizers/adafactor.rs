//! [`Adafactor`] and [`Lamb`]: steps that are relative to the size of the weight.

use crate::optimizers::core::{betas_and_epsilon, core_methods, tensors_of_core};
use crate::optimizers::running::{running_mean, running_square};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Remembers of a matrix `[.., R, C]` only the mean squares of its rows and columns, whose product stands for
/// those of its elements: `R + C` numbers instead of Adam's `2 R C`.
///
/// ```text
/// k  = t^beta2_decay
/// r  = r + k * (mean over columns of g^2 - r)            likewise c over rows; other shapes: v of each element
/// v  = r c / mean of r
/// u  = g / sqrt(v)
/// w' = w * (1 - learning_rate * weight_decay) - a / max(1, rms(u) / clip) * u
/// a  = max(least, rms(w)) * min(learning_rate, 1 / sqrt(t))
/// ```
///
/// PyTorch: `torch.optim.Adafactor`. Shazeer, Stern, "Adafactor: adaptive learning rates with sublinear
/// memory cost", 2018.
#[derive(Clone, Debug)]
pub struct Adafactor {
    core: Core,
    beta2_decay: f64,
    epsilon: Option<f64>,
    least: f64,
    clip: f64,
}

impl Adafactor {
    /// With a beta2 decay of -0.8, steps relative to at least 1e-3, and updates of size 1 at most; PyTorch's
    /// learning rate is 1e-2.
    pub fn new(learning_rate: f64) -> Self {
        let core = Core::new(learning_rate);
        Adafactor { core, beta2_decay: -0.8, epsilon: None, least: 1e-3, clip: 1.0 }
    }

    /// Sets the power of the step with which new squares count less.
    #[must_use]
    pub fn beta2_decay(mut self, beta2_decay: f64) -> Self {
        self.beta2_decay = beta2_decay;
        self
    }

    /// Sets what keeps divisors from zero; the dtype's epsilon unless set.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = Some(epsilon);
        self
    }

    /// Sets the size that a weight has at least, as steps are concerned. PyTorch: the second of `eps`.
    #[must_use]
    pub fn least(mut self, least: f64) -> Self {
        self.least = least;
        self
    }

    /// Sets the root mean square that an update has at most. PyTorch: `d`.
    #[must_use]
    pub fn clip(mut self, clip: f64) -> Self {
        self.clip = clip;
        self
    }

    /// The estimated mean squares of the elements of a gradient.
    fn squares(&self, gradient: &Tensor, share: f64, epsilon: f64, slots: &mut Slots) -> Tensor {
        let mut running = |name: &str, value: Tensor| {
            let old = slots.get_or_zeros(name, &value);
            let new = &old + (value - &old) * share;
            slots.set(name, &new);
            new
        };
        let square = gradient.square();
        if gradient.rank() < 2 {
            return running("variance", square);
        }
        let rows = running("row_var", square.mean_keepdim(-1));
        let columns = running("col_var", square.mean_keepdim(-2));
        let mean = rows.mean_keepdim(-2).maximum(epsilon);
        rows * columns / mean
    }
}

impl Optimizer for Adafactor {
    core_methods!(beta2_decay, epsilon, least, clip);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let steps = slots.step as f64;
        let epsilon = self.epsilon.unwrap_or(match weight.dtype().size() {
            8 => f64::EPSILON,
            _ => f64::from(f32::EPSILON),
        });
        let rate = learning_rate.min(1.0 / steps.sqrt());
        let size = root_mean_square(weight).maximum(self.least) * rate;
        let squares = self.squares(gradient, steps.powf(self.beta2_decay), epsilon, slots);
        let update = gradient * squares.maximum(epsilon * epsilon).rsqrt();
        let over = (root_mean_square(&update) * (1.0 / self.clip)).maximum(1.0);
        weight * (1.0 - learning_rate * weight_decay) - update * (size / over)
    }
}

tensors_of_core!(Adafactor);

fn root_mean_square(x: &Tensor) -> Tensor {
    x.square().mean(..).sqrt()
}

/// [`AdamW`](super::AdamW) whose step has, for each weight, the weight's own size: for large batches.
///
/// ```text
/// u  = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay * w
/// w' = w - learning_rate * |w| / |u| * u                    with 1 in place of |w| / |u| where one is zero
/// ```
///
/// You et al., "Large batch optimization for deep learning: training BERT in 76 minutes", 2019.
#[derive(Clone, Debug)]
pub struct Lamb {
    core: Core,
    betas: [f64; 2],
    epsilon: f64,
}

impl Lamb {
    /// With betas 0.9 and 0.999, epsilon 1e-6, weight decay 0.01.
    pub fn new(learning_rate: f64) -> Self {
        Lamb { core: Core::new(learning_rate), betas: [0.9, 0.999], epsilon: 1e-6 }
            .weight_decay(0.01)
    }
}

betas_and_epsilon!(Lamb, "mean square");

impl Optimizer for Lamb {
    core_methods!(betas, epsilon);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        let [beta1, beta2] = self.betas;
        let mean = running_mean(gradient, weight, beta1, slots);
        let square = running_square(gradient, weight, beta2, slots);
        let steps = slots.step as f64;
        let [mean_size, square_size] = [beta1, beta2].map(|beta| 1.0 / (1.0 - beta.powf(steps)));
        let direction = mean * mean_size / ((square * square_size).sqrt() + self.epsilon);
        let direction = direction + weight * weight_decay;
        let [own, step] = [weight, &direction].map(|x| x.square().sum(..).sqrt());
        let one = own.ones_like();
        let ratio = own.gt(0.0).logical_and(step.gt(0.0)).select(&own / &step, one);
        weight - direction * ratio * learning_rate
    }
}

tensors_of_core!(Lamb);
