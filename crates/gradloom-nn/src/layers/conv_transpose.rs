//! [`ConvTranspose1d`], [`ConvTranspose2d`] and [`ConvTranspose3d`]: the transpose of a convolution, which
//! makes sequences, pictures and volumes larger.

use crate::layers::conv::{grouped, weight};
use crate::layers::names::names;
use crate::layers::{Layer, add_channel_bias};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::ConvTransposeOptions;
use gradloom_tensor::ops::per_axis::PerAxis;

/// The transpose of a convolution in its input, and a bias, over `N` axes: `[N, C, ..] -> [N, O, ..]` with
/// `W [C, O / groups, K..]`, `b [O]` and the sizes
/// `(size - 1) stride - 2 padding + dilation (K - 1) + output_padding + 1`.
///
/// PyTorch: `torch.nn.ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d`.
#[derive(Module, Clone, Debug)]
pub struct ConvTranspose<const N: usize> {
    /// `[C, O / groups, K..]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Option<Parameter>,
    #[module(skip)]
    options: ConvTransposeOptions<N>,
}

names!(ConvTranspose: ConvTranspose1d, ConvTranspose2d, ConvTranspose3d);

impl<const N: usize> ConvTranspose<N> {
    /// First values as PyTorch's: uniform in `+-1 / sqrt(O / groups * elements of the kernel)`.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(
        inputs: usize,
        outputs: usize,
        kernel: impl PerAxis<N>,
        options: ConvTransposeOptions<N>,
        init: &mut Init,
    ) -> Self {
        let shared = grouped(&format!("conv_transpose{N}d"), outputs, inputs, options.groups);
        let (shape, bound) = weight([inputs, shared], kernel.per_axis());
        let weight = init.uniform(&shape[..], bound);
        ConvTranspose { weight, bias: Some(init.uniform(outputs, bound)), options }
    }

    /// The same layer without a bias, as it stands before a norm.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.bias = None;
        self
    }

    /// Stride, paddings, dilation and groups.
    pub fn options(&self) -> &ConvTransposeOptions<N> {
        &self.options
    }
}

macro_rules! layer {
    ($axes:literal, $method:ident, $kind:literal) => {
        impl Layer for ConvTranspose<$axes> {
            #[track_caller]
            fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
                let _layer = ctx.enter($kind, self);
                let weight = &self.weight;
                let y = ctx
                    .compute()
                    .multiply(weight, [x, weight], |[x, weight]| x.$method(weight, &self.options));
                let y = add_channel_bias(&y, self.bias.as_ref());
                ctx.ran($kind, self, &y);
                y
            }
        }
    };
}

layer!(1, conv_transpose1d, "ConvTranspose1d");
layer!(2, conv_transpose2d, "ConvTranspose2d");
layer!(3, conv_transpose3d, "ConvTranspose3d");
