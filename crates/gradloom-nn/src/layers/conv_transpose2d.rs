//! [`ConvTranspose2d`]: the transpose of a convolution, which makes pictures larger.

use crate::layers::conv2d::grouped;
use crate::layers::{Layer, add_channel_bias};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::ConvTranspose2dOptions;

/// The transpose of a convolution in its input, and a bias: `[N, C, H, W] -> [N, O, OH, OW]` with
/// `W [C, O / groups, KH, KW]`, `b [O]` and
/// `OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1`.
///
/// PyTorch: `torch.nn.ConvTranspose2d`.
#[derive(Module, Clone, Debug)]
pub struct ConvTranspose2d {
    /// `[C, O / groups, KH, KW]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    #[module(skip)]
    options: ConvTranspose2dOptions,
}

impl ConvTranspose2d {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(O / groups * KH * KW)`.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: [usize; 2],
        options: ConvTranspose2dOptions,
        init: &mut Init,
    ) -> Self {
        let shared = grouped("conv_transpose2d", outputs, inputs, options.groups);
        let bound = 1.0 / ((shared * kernel[0] * kernel[1]).max(1) as f64).sqrt();
        let weight = init.uniform([inputs, shared, kernel[0], kernel[1]], bound);
        ConvTranspose2d { weight, bias: Some(init.uniform(outputs, bound)), options }
    }

    /// The same layer without a bias, as it stands before a norm.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Stride, paddings, dilation and groups.
    pub fn options(&self) -> &ConvTranspose2dOptions {
        &self.options
    }
}

impl Layer for ConvTranspose2d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        add_channel_bias(&x.conv_transpose2d(&self.weight, &self.options), self.bias.as_ref())
    }
}
