//! What several families are built of: a convolution with norm and activation, squeeze and excitation,
//! stochastic depth, and the norm of channels.
//!
//! Letters: N batch, C channels, H and W sizes.

use gradloom_nn::layers::{BatchNorm, Conv2d, LayerNorm, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module, Parameter};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::per_axis::{Padding, PerAxis};
use gradloom_tensor::{Tensor, demand};

/// A convolution without a bias, normal first values of deviation `sqrt(2 / fan-out)`.
#[track_caller]
pub(crate) fn conv(
    [inputs, outputs]: [usize; 2],
    kernel: impl PerAxis<2>,
    options: Conv2dOptions,
    init: &mut Init,
) -> Conv2d {
    let mut conv = Conv2d::new(inputs, outputs, kernel, options, init).without_bias();
    let shape = *conv.weight.shape();
    let fan_out = (shape[0] * shape[2] * shape[3]) as f64;
    conv.weight = init.normal(shape, (2.0 / fan_out).sqrt());
    conv
}

/// Options of a stride, with padding that leaves a picture its size at stride one.
pub(crate) fn strided(kernel: usize, stride: usize) -> Conv2dOptions {
    Conv2dOptions::default().stride(stride).padding(kernel.saturating_sub(1) / 2)
}

/// A linear layer of normal weights of this deviation, biases zero.
pub(crate) fn normal_linear(
    inputs: usize,
    outputs: usize,
    deviation: f64,
    init: &mut Init,
) -> Linear {
    let weight = init.normal([outputs, inputs], deviation);
    Linear::from_parts(weight, Some(init.zeros(outputs)))
}

/// The least multiple of `divisor` near `channels` that is not below 90 % of it. torchvision:
/// `_make_divisible`.
pub(crate) fn make_divisible(channels: f64, divisor: usize) -> usize {
    let d = divisor as f64;
    let rounded = (((channels + d / 2.0) / d).floor() as usize * divisor).max(divisor);
    if (rounded as f64) < 0.9 * channels { rounded + divisor } else { rounded }
}

/// `activation(norm(conv(x)))`: `[N, C, H, W] -> [N, O, H', W']`.
///
/// torchvision: `Conv2dNormActivation`.
#[derive(Module, Clone, Debug)]
pub struct ConvNormActivation {
    /// Without a bias.
    #[module(rename = "0")]
    pub conv: Conv2d,
    /// Of its outputs.
    #[module(rename = "1")]
    pub norm: BatchNorm,
    activation: Activation,
    same: bool,
}

/// Epsilon and momentum of a family's batch norms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NormOptions {
    pub(crate) epsilon: f64,
    pub(crate) momentum: f64,
}

impl NormOptions {
    /// PyTorch's.
    pub(crate) const USUAL: NormOptions = NormOptions { epsilon: 1e-5, momentum: 0.1 };
    /// Those of networks that come from TensorFlow.
    pub(crate) const SLOW: NormOptions = NormOptions { epsilon: 1e-3, momentum: 0.01 };

    pub(crate) fn norm(self, channels: usize, init: &mut Init) -> BatchNorm {
        BatchNorm::new(channels, init).epsilon(self.epsilon).momentum(self.momentum)
    }
}

impl ConvNormActivation {
    #[track_caller]
    pub(crate) fn new(
        channels: [usize; 2],
        kernel: usize,
        options: Conv2dOptions,
        norm: NormOptions,
        activation: Activation,
        init: &mut Init,
    ) -> Self {
        let conv = conv(channels, kernel, options, init);
        ConvNormActivation { conv, norm: norm.norm(channels[1], init), activation, same: false }
    }

    /// The same with TensorFlow's padding: as many windows as the stride goes into the size, what is odd after.
    #[must_use]
    pub(crate) fn same(mut self, same: bool) -> Self {
        self.same = same;
        self
    }
}

impl Layer for ConvNormActivation {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = if self.same { same(&self.conv, x, ctx) } else { self.conv.forward(x, ctx) };
        self.activation.apply(&self.norm.forward(&y, ctx))
    }
}

/// A convolution with a bias and TensorFlow's padding.
#[derive(Module, Clone, Debug)]
pub(crate) struct SameConv {
    #[module(flatten)]
    pub(crate) conv: Conv2d,
}

impl SameConv {
    #[track_caller]
    pub(crate) fn new(
        channels: [usize; 2],
        kernel: usize,
        options: Conv2dOptions,
        init: &mut Init,
    ) -> Self {
        let mut conv = conv(channels, kernel, options, init);
        conv.bias = Some(init.zeros(channels[1]));
        SameConv { conv }
    }
}

impl Layer for SameConv {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        same(&self.conv, x, ctx)
    }
}

/// A depthwise convolution with TensorFlow's padding, one of size one, and a bias.
///
/// Keras: `SeparableConv2D(padding="same")`.
#[derive(Module, Clone, Debug)]
pub(crate) struct SeparableConv {
    depthwise: Conv2d,
    pointwise: Conv2d,
    bias: Parameter,
}

impl SeparableConv {
    #[track_caller]
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        init: &mut Init,
    ) -> Self {
        let options = Conv2dOptions::default().stride(stride).groups(inputs);
        SeparableConv {
            depthwise: conv([inputs, inputs], kernel, options, init),
            pointwise: conv([inputs, outputs], 1, Conv2dOptions::default(), init),
            bias: init.zeros(outputs),
        }
    }
}

impl Layer for SeparableConv {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = same(&self.depthwise, x, ctx);
        let y = self.pointwise.forward(&y, ctx);
        y + self.bias.reshape([1, self.bias.size(0), 1, 1])
    }
}

#[track_caller]
fn same(conv: &Conv2d, x: &Tensor, ctx: &mut Context) -> Tensor {
    let y = x.conv2d(&conv.weight, &same_padding(conv, x));
    let y = match &conv.bias {
        Some(bias) => y + bias.reshape([1, bias.size(0), 1, 1]),
        None => y,
    };
    ctx.ran("Conv2d", conv, &y);
    y
}

fn same_padding(conv: &Conv2d, x: &Tensor) -> Conv2dOptions {
    let options = conv.options();
    let sides = [0, 1].map(|axis| {
        let (size, stride) = (x.size(2 + axis as isize), options.stride[axis]);
        let reach = options.dilation[axis] * (conv.weight.size(2 + axis as isize) - 1) + 1;
        let windows = size.div_ceil(stride).max(1);
        let total = ((windows - 1) * stride + reach).saturating_sub(size) as isize;
        [total / 2, total - total / 2]
    });
    options.padding(Padding(sides))
}

/// `x * s(fc2(f(fc1(mean of x over H and W))))`: each channel by how much it matters here.
///
/// torchvision: `SqueezeExcitation`. Hu et al., "Squeeze-and-excitation networks", 2018.
#[derive(Module, Clone, Debug)]
pub struct SqueezeExcitation {
    /// `C -> squeezed`, a convolution of size one.
    pub fc1: Conv2d,
    /// `squeezed -> C`
    pub fc2: Conv2d,
    activation: Activation,
    scale: Activation,
}

impl SqueezeExcitation {
    /// Of `channels`, squeezed to so many, with ReLU and a sigmoid.
    pub fn new(channels: usize, squeezed: usize, init: &mut Init) -> Self {
        let mut one = |inputs, outputs| {
            let mut conv = conv([inputs, outputs], 1, Conv2dOptions::default(), init);
            conv.bias = Some(init.zeros(outputs));
            conv
        };
        let (fc1, fc2) = (one(channels, squeezed), one(squeezed, channels));
        SqueezeExcitation { fc1, fc2, activation: Activation::Relu, scale: Activation::Sigmoid }
    }

    /// Sets the function between the layers and the one of the factors.
    #[must_use]
    pub fn activations(mut self, activation: Activation, scale: Activation) -> Self {
        (self.activation, self.scale) = (activation, scale);
        self
    }
}

impl Layer for SqueezeExcitation {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let squeezed = self.fc1.forward(&x.mean_keepdim([2, 3]), ctx);
        let scale = self.fc2.forward(&self.activation.apply(&squeezed), ctx);
        x * self.scale.apply(&scale)
    }
}

/// In training, whole samples of a residual branch are zero with probability `p`, else divided by `1 - p`.
///
/// torchvision: `StochasticDepth(p, "row")`. Huang et al., "Deep networks with stochastic depth", 2016.
#[derive(Module, Clone, Copy, Debug)]
pub struct StochasticDepth {
    p: f64,
}

impl StochasticDepth {
    /// With this probability.
    ///
    /// # Panics
    /// If it is not within `0..1`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        demand!((0.0..1.0).contains(&p), "stochastic_depth: {p} is not in 0..1");
        StochasticDepth { p }
    }
}

impl Layer for StochasticDepth {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        if !ctx.is_training() || self.p == 0.0 {
            return x.clone();
        }
        let mut shape = vec![1; x.rank()];
        shape[0] = x.size(0);
        let kept = Tensor::bernoulli(ctx.key(), &shape[..], 1.0 - self.p, x.device());
        x * (kept.cast(x.dtype()) * (1.0 / (1.0 - self.p)))
    }
}

/// Layer norm over the channels of `[N, C, H, W]`, at each place. torchvision: `LayerNorm2d`.
#[derive(Module, Clone, Debug)]
pub struct ChannelNorm {
    /// Over the last axis.
    #[module(flatten)]
    pub norm: LayerNorm,
}

impl ChannelNorm {
    /// Of `channels`; epsilon is 1e-6.
    pub fn new(channels: usize, init: &mut Init) -> Self {
        ChannelNorm { norm: LayerNorm::new(channels, init).epsilon(1e-6) }
    }
}

impl Layer for ChannelNorm {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.norm.forward(&x.permute(&[0, 2, 3, 1]), ctx).permute(&[0, 3, 1, 2])
    }
}
