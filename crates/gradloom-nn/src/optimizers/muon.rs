//! [`Muon`]: matrices step along the nearest orthogonal matrix to their momentum.

use crate::optimizers::core::{core_methods, tensors_of_core};
use crate::optimizers::{Core, Optimizer, Slots};
use gradloom_tensor::Tensor;

/// Coefficients of the quintic iteration that brings singular values near to one.
const QUINTIC: [f64; 3] = [3.4445, -4.775, 2.0315];
const EPSILON: f64 = 1e-7;

/// How a step of [`Muon`] depends on a matrix's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MuonScale {
    /// `sqrt(max(1, rows / columns))`, for learning rates near 0.02 (Jordan). PyTorch: `original`.
    Original,
    /// `0.2 sqrt(max(rows, columns))`: steps of the size of AdamW's, whose learning rate and weight decay then
    /// suit (Liu et al., "Muon is scalable for LLM training", 2025). PyTorch: `match_rms_adamw`.
    MatchAdamW,
}

/// For the matrices of hidden layers: the momentum with all its singular values brought near to one.
///
/// ```text
/// b  = momentum * b + (1 - momentum) * gradient
/// u  = gradient + momentum * (b - gradient)                     b itself without Nesterov
/// w' = w * (1 - learning_rate * weight_decay) - learning_rate * scale * orthogonal(u)
/// ```
///
/// `orthogonal` is five steps of a Newton-Schulz iteration, in the weight's dtype (PyTorch's are in bf16).
/// Other weights, embeddings and the last layer want another optimizer: see [`Grouped`](super::Grouped).
///
/// Panics at a step on weights that are no matrices.
///
/// PyTorch: `torch.optim.Muon`. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
#[derive(Clone, Debug)]
pub struct Muon {
    core: Core,
    momentum: f64,
    nesterov: bool,
    scale: MuonScale,
    iterations: usize,
}

impl Muon {
    /// With a Nesterov momentum of 0.95, weight decay 0.1, five iterations, and the original scale.
    pub fn new(learning_rate: f64) -> Self {
        Muon {
            core: Core::new(learning_rate),
            momentum: 0.95,
            nesterov: true,
            scale: MuonScale::Original,
            iterations: 5,
        }
        .weight_decay(0.1)
    }

    /// Sets how much of the last mean gradient is kept.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets whether it looks ahead along the momentum.
    #[must_use]
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.nesterov = nesterov;
        self
    }

    /// Sets how steps depend on the shape.
    #[must_use]
    pub fn scale(mut self, scale: MuonScale) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the steps of the iteration.
    #[must_use]
    pub fn iterations(mut self, iterations: usize) -> Self {
        self.iterations = iterations;
        self
    }

    /// `x [M, N]` with singular values near one.
    fn orthogonal(&self, x: &Tensor) -> Tensor {
        let tall = x.size(0) > x.size(1);
        let mut x = if tall { x.t() } else { x.clone() };
        x = &x / x.square().sum(..).sqrt().maximum(EPSILON);
        let [first, third, fifth] = QUINTIC;
        for _ in 0..self.iterations {
            let gram = x.matmul(&x.t());
            let odd = &gram * third + gram.matmul(&gram) * fifth;
            x = &x * first + odd.matmul(&x);
        }
        if tall { x.t() } else { x }
    }
}

impl Optimizer for Muon {
    core_methods!(momentum, nesterov, scale, iterations);

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        assert!(
            weight.rank() == 2,
            "muon: a weight of shape {} is no matrix; give it another optimizer with Grouped",
            weight.shape()
        );
        let momentum = slots.get_or_zeros("momentum_buffer", weight) * self.momentum
            + gradient * (1.0 - self.momentum);
        slots.set("momentum_buffer", &momentum);
        let direction =
            if self.nesterov { gradient.lerp(&momentum, self.momentum) } else { momentum };
        let [rows, columns] = [weight.size(0) as f64, weight.size(1) as f64];
        let scale = match self.scale {
            MuonScale::Original => (rows / columns).max(1.0).sqrt(),
            MuonScale::MatchAdamW => 0.2 * rows.max(columns).sqrt(),
        };
        let step = self.orthogonal(&direction) * (learning_rate * scale);
        weight * (1.0 - learning_rate * weight_decay) - step
    }
}

tensors_of_core!(Muon);
