//! [`BatchNorm`] and [`InstanceNorm`]: mean zero and variance one of each channel, over a batch or of each
//! sample.

use crate::layers::{Layer, RunningStatistics, per_channel};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;

/// `y = (x - mean) / sqrt(variance + epsilon) * weight + bias` of each channel of `[N, C]`,
/// `[N, C, L]` or `[N, C, H, W]`.
///
/// In training, mean and variance are the batch's, and the running statistics move towards them by
/// `momentum` (the running variance towards the unbiased one): the context records them, and
/// [`Context::apply_updates`] stores them. Otherwise the running statistics are used, or without such the
/// batch's.
///
/// Panics where it needs a variance of one value of each channel or none.
///
/// PyTorch: `torch.nn.BatchNorm1d` to `BatchNorm3d`, whose `num_batches_tracked` is kept only where it is used,
/// for a [`cumulative`](BatchNorm::cumulative) mean. Ioffe, Szegedy, "Batch normalization", 2015.
///
/// ```
/// use gradloom_nn::layers::BatchNorm;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut norm = BatchNorm::new(4, init);
/// let mut ctx = Context::train(Key::new(1));
/// norm.forward(&Tensor::ones([8, 4, 6, 6], DType::F32, &device), &mut ctx);
/// ctx.apply_updates(&mut norm); // running statistics; a trainer does it
/// commit(&mut norm)?;
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct BatchNorm {
    /// `[C]`
    pub weight: Option<Parameter>,
    /// `[C]`
    pub bias: Option<Parameter>,
    /// What is used after training.
    #[module(flatten)]
    pub running: Option<RunningStatistics>,
    channels: usize,
    epsilon: f64,
    frozen: bool,
}

impl BatchNorm {
    /// Of `channels`; momentum is 0.1, epsilon 1e-5.
    #[track_caller]
    pub fn new(channels: usize, init: &mut Init) -> Self {
        BatchNorm {
            weight: Some(init.ones(channels)),
            bias: Some(init.zeros(channels)),
            running: Some(RunningStatistics::new(channels, init)),
            channels,
            epsilon: 1e-5,
            frozen: false,
        }
    }

    /// Sets how far the running statistics move towards a batch's.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> Self {
        self.running = self.running.map(|running| running.momentum(momentum));
        self
    }

    /// Running statistics are means over all batches. PyTorch: `momentum=None`.
    #[must_use]
    pub fn cumulative(mut self, init: &mut Init) -> Self {
        self.running = self.running.map(|running| running.cumulative(init));
        self
    }

    /// The same layer without running statistics: it always uses the batch's. PyTorch:
    /// `track_running_stats=False`.
    #[must_use]
    pub fn without_running_statistics(mut self) -> Self {
        self.running = None;
        self
    }

    /// The same layer without weight and bias. PyTorch: `affine=False`.
    #[must_use]
    pub fn without_affine(mut self) -> Self {
        (self.weight, self.bias) = (None, None);
        self
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Learns nothing and uses its running statistics in training too, as detectors do that learn from few pictures
    /// at once. torchvision: `FrozenBatchNorm2d`.
    #[must_use]
    #[track_caller]
    pub fn frozen(mut self) -> Self {
        for parameter in [&mut self.weight, &mut self.bias].into_iter().flatten() {
            parameter.set_trainable(false);
        }
        self.frozen = true;
        self
    }

    /// Number of channels: that of the weights, where there are any.
    pub fn channels(&self) -> usize {
        channels([&self.weight, &self.bias], self.running.as_ref(), self.channels)
    }
}

impl Layer for BatchNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        const OP: &str = "batch_norm";
        let _layer = ctx.enter("BatchNorm", self);
        let channels = self.channels();
        check(OP, x, 2, channels, self.weight.as_ref());
        // Once, so that gradients meet before they are narrow.
        let wide = &x.wide();
        let own = self.running.as_ref().filter(|_| self.frozen || !ctx.is_training());
        let (mean, variance) = match own {
            Some(running) => running_of(running, x.rank()),
            None => {
                let of_each = x.shape().with(1, 1).count();
                check_variance(OP, of_each, x, ctx);
                let axes: Vec<isize> = (0..x.rank() as isize).filter(|&axis| axis != 1).collect();
                let (mean, variance) = statistics(wide, &axes);
                if let Some(running) = &self.running {
                    let [mean, variance] =
                        [&mean, &variance].map(|of_batch| of_batch.reshape([channels]));
                    running.record(&mean, &variance, of_each, ctx);
                }
                (mean, variance)
            }
        };
        let affine = [self.weight.as_ref(), self.bias.as_ref()];
        let y = normalized(wide, mean, variance, self.epsilon, affine).cast(x.dtype());
        ctx.ran("BatchNorm", self, &y);
        y
    }
}

/// `y = (x - mean) / sqrt(variance + epsilon)` of each channel of each sample of `[N, C, L]`, `[N, C, H, W]` or
/// `[N, C, D, H, W]`.
///
/// With [running statistics](InstanceNorm::with_running_statistics) it uses those after training.
///
/// Panics where it needs a variance of one value or none.
///
/// PyTorch: `torch.nn.InstanceNorm1d` to `InstanceNorm3d`. Ulyanov, Vedaldi, Lempitsky, "Instance
/// normalization", 2016.
#[derive(Module, Clone, Debug)]
pub struct InstanceNorm {
    /// `[C]`
    pub weight: Option<Parameter>,
    /// `[C]`
    pub bias: Option<Parameter>,
    /// What is used after training.
    #[module(flatten)]
    pub running: Option<RunningStatistics>,
    channels: usize,
    epsilon: f64,
}

impl InstanceNorm {
    /// Of `channels`, without weights or running statistics; epsilon is 1e-5.
    pub fn new(channels: usize) -> Self {
        InstanceNorm { weight: None, bias: None, running: None, channels, epsilon: 1e-5 }
    }

    /// With a weight and a bias of each channel. PyTorch: `affine=True`.
    #[must_use]
    #[track_caller]
    pub fn with_affine(mut self, init: &mut Init) -> Self {
        self.weight = Some(init.ones(self.channels));
        self.bias = Some(init.zeros(self.channels));
        self
    }

    /// With running statistics, which move by `momentum`, usually 0.1. PyTorch: `track_running_stats=True`.
    #[must_use]
    #[track_caller]
    pub fn with_running_statistics(mut self, momentum: f64, init: &mut Init) -> Self {
        self.running = Some(RunningStatistics::new(self.channels, init).momentum(momentum));
        self
    }

    /// Sets what keeps the root from zero.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Self {
        self.epsilon = epsilon;
        self
    }

    /// Number of channels: that of the weights, where there are any.
    pub fn channels(&self) -> usize {
        channels([&self.weight, &self.bias], self.running.as_ref(), self.channels)
    }
}

impl Layer for InstanceNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        const OP: &str = "instance_norm";
        let _layer = ctx.enter("InstanceNorm", self);
        let channels = self.channels();
        check(OP, x, 3, channels, self.weight.as_ref());
        // Once, so that gradients meet before they are narrow.
        let wide = &x.wide();
        let own = self.running.as_ref().filter(|_| !ctx.is_training());
        let (mean, variance) = match own {
            Some(running) => running_of(running, x.rank()),
            None => {
                let of_each = x.shape()[2..].iter().product();
                check_variance(OP, of_each, x, ctx);
                let axes: Vec<isize> = (2..x.rank() as isize).collect();
                let (mean, variance) = statistics(wide, &axes);
                if let Some(running) = &self.running {
                    let [mean, variance] = [&mean, &variance]
                        .map(|of_sample| of_sample.reshape([x.size(0), channels]).mean(0));
                    running.record(&mean, &variance, of_each, ctx);
                }
                (mean, variance)
            }
        };
        let affine = [self.weight.as_ref(), self.bias.as_ref()];
        let y = normalized(wide, mean, variance, self.epsilon, affine).cast(x.dtype());
        ctx.ran("InstanceNorm", self, &y);
        y
    }
}

/// The size of the first vector there is: weights may have got another size since the layer was made.
fn channels(
    affine: [&Option<Parameter>; 2],
    running: Option<&RunningStatistics>,
    made_with: usize,
) -> usize {
    let of_running = running.map(|running| &running.running_mean);
    let vector = affine.into_iter().flatten().next().or(of_running);
    vector.map_or(made_with, |vector| vector.count())
}

#[track_caller]
fn check(op: &str, x: &Tensor, rank_min: usize, channels: usize, weight: Option<&Parameter>) {
    let (shape, dtype) = (x.shape(), x.dtype());
    let length = if rank_min > 2 { "L, " } else { "" };
    assert!(
        x.rank() >= rank_min && x.size(1) == channels,
        "{op}: needs [N, {channels}, {length}..], got shape {shape}"
    );
    assert!(
        weight.is_none_or(|weight| weight.dtype() == dtype),
        "{op}: the input is {dtype}, the weight {}; convert one with cast",
        weight.map_or(dtype, |weight| weight.dtype())
    );
    assert!(dtype.is_float(), "{op}: needs floats, got {dtype}; convert it with cast");
}

#[track_caller]
fn check_variance(op: &str, of_each: usize, x: &Tensor, ctx: &mut Context) {
    if of_each < 2 {
        ctx.unsuited(format!(
            "{op}: needs more than one value of each channel for a variance, got shape {}; leave such a batch \
             out, or make it larger",
            x.shape()
        ));
    }
}

/// Mean and variance over axes, which stay with size one.
fn statistics(x: &Tensor, axes: &[isize]) -> (Tensor, Tensor) {
    let mean = x.mean_keepdim(axes);
    let variance = (x - &mean).square().mean_keepdim(axes);
    (mean, variance)
}

fn running_of(running: &RunningStatistics, rank: usize) -> (Tensor, Tensor) {
    let along = |vector: &Tensor| per_channel(&vector.wide(), rank);
    (along(&running.running_mean), along(&running.running_var))
}

/// `(x - mean) / sqrt(variance + epsilon) * weight + bias` of a wide input.
fn normalized(
    x: &Tensor,
    mean: Tensor,
    variance: Tensor,
    epsilon: f64,
    [weight, bias]: [Option<&Parameter>; 2],
) -> Tensor {
    let along = |vector: &Parameter| per_channel(&vector.wide(), x.rank());
    let epsilon = variance.constant_like(epsilon);
    let mut scale = (variance + epsilon).rsqrt();
    if let Some(weight) = weight {
        scale = scale * along(weight);
    }
    let y = (x - mean) * scale;
    bias.map_or(y.clone(), |bias| y + along(bias))
}
