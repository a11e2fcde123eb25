//! What GoogLeNet and Inception v3 share: a convolution with its norm and ReLU, branches side by side, and the
//! normalisation of pictures that their published weights expect.

use gradloom_nn::layers::{BatchNorm, Conv2d, Linear};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::per_axis::PerAxis;

/// `relu(norm(conv(x)))`. torchvision: `BasicConv2d`.
#[derive(Module, Clone, Debug)]
pub(crate) struct BasicConv {
    /// Without a bias.
    pub(crate) conv: Conv2d,
    /// Epsilon 1e-3.
    pub(crate) bn: BatchNorm,
}

impl BasicConv {
    /// Normal first values of this deviation.
    #[track_caller]
    pub(crate) fn new(
        [inputs, outputs]: [usize; 2],
        kernel: impl PerAxis<2>,
        options: Conv2dOptions,
        deviation: f64,
        init: &mut Init,
    ) -> Self {
        let mut conv = Conv2d::new(inputs, outputs, kernel, options, init).without_bias();
        conv.weight = init.normal(*conv.weight.shape(), deviation);
        BasicConv { conv, bn: BatchNorm::new(outputs, init).epsilon(1e-3) }
    }
}

impl Layer for BasicConv {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.bn.forward(&self.conv.forward(x, ctx), ctx).relu()
    }
}

/// Pictures normalised by ImageNet's statistics, as Inception's weights expect them: in -1..1.
#[track_caller]
pub(crate) fn transform_input(x: &Tensor) -> Tensor {
    let deviations = [0.229, 0.224, 0.225];
    let means = [0.485, 0.456, 0.406];
    let channels = (0..3).map(|channel| {
        let (scale, shift) = (deviations[channel] / 0.5, (means[channel] - 0.5) / 0.5);
        x.narrow(1, channel, 1) * scale + shift
    });
    Tensor::concat(&channels.collect::<Vec<Tensor>>(), 1)
}

/// A linear layer with normal weights and PyTorch's first biases.
pub(crate) fn linear(inputs: usize, outputs: usize, deviation: f64, init: &mut Init) -> Linear {
    let mut linear = Linear::new(inputs, outputs, init);
    linear.weight = init.normal([outputs, inputs], deviation);
    linear
}
