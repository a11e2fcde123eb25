//! [`Conv2d`]: cross-correlation of pictures.

use crate::layers::{Layer, add_channel_bias};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;

/// `y[n, o] = b[o] + sum over c of W[o, c] * x[n, c]`: `[N, C, H, W] -> [N, O, OH, OW]` with
/// `W [O, C / groups, KH, KW]` and `b [O]`; `*` is cross-correlation.
///
/// PyTorch: `torch.nn.Conv2d`.
#[derive(Module, Clone, Debug)]
pub struct Conv2d {
    /// `[O, C / groups, KH, KW]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    #[module(skip)]
    options: Conv2dOptions,
}

impl Conv2d {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(C / groups * KH * KW)`.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: Conv2dOptions,
        init: &mut Init,
    ) -> Self {
        let shared = grouped("conv2d", inputs, outputs, options.groups);
        let bound = 1.0 / ((shared * kernel[0] * kernel[1]).max(1) as f64).sqrt();
        let weight = init.uniform([outputs, shared, kernel[0], kernel[1]], bound);
        Conv2d { weight, bias: Some(init.uniform(outputs, bound)), options }
    }

    /// The same layer without a bias, as it stands before a norm.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Stride, padding, dilation and groups.
    pub fn options(&self) -> &Conv2dOptions {
        &self.options
    }
}

/// Input channels per group.
#[track_caller]
pub(super) fn grouped(layer: &str, inputs: usize, outputs: usize, groups: usize) -> usize {
    assert!(
        groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups),
        "{layer}: {groups} groups do not divide {inputs} input and {outputs} output channels"
    );
    inputs / groups
}

impl Layer for Conv2d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        add_channel_bias(&x.conv2d(&self.weight, &self.options), self.bias.as_ref())
    }
}
