//! [`Conv1d`]: cross-correlation of sequences.

use crate::layers::conv2d::grouped;
use crate::layers::{Layer, add_channel_bias};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv1dOptions;

/// `y[n, o] = b[o] + sum over c of W[o, c] * x[n, c]`: `[N, C, L] -> [N, O, OL]` with
/// `W [O, C / groups, K]` and `b [O]`; `*` is cross-correlation.
///
/// PyTorch: `torch.nn.Conv1d`.
#[derive(Module, Clone, Debug)]
pub struct Conv1d {
    /// `[O, C / groups, K]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    #[module(skip)]
    options: Conv1dOptions,
}

impl Conv1d {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(C / groups * K)`.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: usize,
        options: Conv1dOptions,
        init: &mut Init,
    ) -> Self {
        let shared = grouped("conv1d", inputs, outputs, options.groups);
        let bound = 1.0 / ((shared * kernel).max(1) as f64).sqrt();
        let weight = init.uniform([outputs, shared, kernel], bound);
        Conv1d { weight, bias: Some(init.uniform(outputs, bound)), options }
    }

    /// The same layer without a bias, as it stands before a norm.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Stride, padding, dilation and groups.
    pub fn options(&self) -> &Conv1dOptions {
        &self.options
    }
}

impl Layer for Conv1d {
    #[track_caller]
    fn forward(&self, x: &Tensor, _ctx: &mut Context) -> Tensor {
        add_channel_bias(&x.conv1d(&self.weight, &self.options), self.bias.as_ref())
    }
}
