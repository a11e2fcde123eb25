//! [`BatchNorm`]: mean zero and variance one of each channel over a batch.

use crate::layers::{Layer, per_channel};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of each channel of `[N, C]`,
/// `[N, C, L]` or `[N, C, H, W]`.
///
/// In training, mean and variance are the batch's, and the running statistics move towards them by
/// `momentum` (the running variance towards the unbiased one): the context records them, and
/// [`Context::apply_updates`] stores them. Otherwise the running statistics are used. They are f32 for
/// weights of f16 and bf16, whose range a variance leaves early.
///
/// Panics in training on one value of each channel or none, which have no variance.
///
/// PyTorch: `torch.nn.BatchNorm1d` and `BatchNorm2d`, whose `num_batches_tracked` is not kept. Ioffe,
/// Szegedy, "Batch normalization", 2015.
#[derive(Module, Clone, Debug)]
pub struct BatchNorm {
    /// `[C]`
    pub weight: Parameter,
    /// `[C]`
    pub bias: Parameter,
    /// `[C]`
    pub running_mean: Parameter,
    /// `[C]`
    pub running_var: Parameter,
    momentum: f64,
    epsilon: f64,
}

impl BatchNorm {
    /// Of `channels`; momentum is 0.1, epsilon 1e-5.
    #[track_caller]
    pub fn new(channels: usize, init: &mut Init) -> Self {
        BatchNorm {
            weight: init.ones(channels),
            bias: init.zeros(channels),
            running_mean: init.state(channels, 0.0),
            running_var: init.state(channels, 1.0),
            momentum: 0.1,
            epsilon: 1e-5,
        }
    }

    /// Sets how far the running statistics move towards a batch's.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.momentum = momentum;
        self
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Notes running statistics that moved towards the batch's.
    fn record(&self, mean: &Tensor, variance: &Tensor, count: usize, ctx: &mut Context) {
        let unbiased = count as f64 / (count - 1) as f64;
        let channels = [self.weight.count()];
        let pairs = [(&self.running_mean, mean, 1.0), (&self.running_var, variance, unbiased)];
        for (running, batch, factor) in pairs {
            let batch = batch.detach().reshape(channels) * (self.momentum * factor);
            let moved = ctx.recorded(running).wide() * (1.0 - self.momentum) + batch;
            ctx.record(running, moved.cast(running.dtype()));
        }
    }
}

impl Layer for BatchNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let channels = self.weight.count();
        assert!(
            x.rank() >= 2 && x.size(1) == channels,
            "batch_norm: needs [N, {channels}, ..], got shape {}",
            x.shape()
        );
        let dtype = x.dtype();
        assert!(
            dtype == self.weight.dtype(),
            "batch_norm: the input is {dtype}, the weight {}; convert one with cast",
            self.weight.dtype()
        );
        let of_each = x.shape().with(1, 1).count();
        assert!(
            !ctx.is_training() || of_each > 1,
            "batch_norm: training needs more than one value of each channel, got shape {}; leave such a \
             batch out, or make it larger",
            x.shape()
        );
        let x = &x.wide();
        let along = |vector: &Tensor| per_channel(&vector.wide(), x.rank());
        let (mean, variance) = if ctx.is_training() {
            let axes: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
            let mean = x.mean_keepdim(&axes[..]);
            let variance = (x - &mean).square().mean_keepdim(&axes[..]);
            self.record(&mean, &variance, of_each, ctx);
            (mean, variance)
        } else {
            (along(&self.running_mean), along(&self.running_var))
        };
        let epsilon = variance.constant_like(self.epsilon);
        let scale = (variance + epsilon).rsqrt() * along(&self.weight);
        ((x - mean) * scale + along(&self.bias)).cast(dtype)
    }
}
