//! What the U-Net of a diffusion is built of, under the names that diffusers gives its weights: the embedding of
//! steps, residual blocks that know the step, attention over places, and steps down and up.
//!
//! Letters: N batch, C channels, H and W sizes, E the embedding of a step.

use gradloom_nn::functional::{DotProductOptions, scaled_dot_product_attention};
use gradloom_nn::layers::{Conv2d, Dropout, GroupNorm, Linear};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Tensor};

/// What all blocks of a network share.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockOptions {
    pub(super) groups: usize,
    pub(super) epsilon: f64,
    pub(super) dropout: f64,
    /// E
    pub(super) embedding: usize,
    /// Channels of a head of attention; without it there is one head.
    pub(super) head_size: Option<usize>,
    /// Whether a step down pads only after the picture.
    pub(super) pads_after: bool,
}

impl BlockOptions {
    pub(super) fn norm(self, channels: usize, init: &mut Init) -> GroupNorm {
        GroupNorm::new(self.groups, channels, init).epsilon(self.epsilon)
    }
}

/// A convolution of 3 x 3 that leaves a picture its size.
pub(super) fn same(inputs: usize, outputs: usize, init: &mut Init) -> Conv2d {
    Conv2d::new(inputs, outputs, 3, Conv2dOptions::default().padding(1), init)
}

/// The same, zero at first, so that a block begins as what is beside it.
pub(super) fn zero(inputs: usize, outputs: usize, init: &mut Init) -> Conv2d {
    let mut conv = same(inputs, outputs, init);
    conv.weight = init.zeros(*conv.weight.shape());
    conv.bias = Some(init.zeros(outputs));
    conv
}

/// Sines and cosines of steps `[N]` at `size / 2` speeds: `[N, size]`. Vaswani et al., 2017.
pub(super) fn sinusoids(
    steps: &Tensor,
    size: usize,
    shift: f64,
    cosines_first: bool,
    dtype: DType,
) -> Tensor {
    let half = size / 2;
    let wide = if dtype == DType::F64 { DType::F64 } else { DType::F32 };
    let places = Tensor::arange(half, steps.device()).cast(wide);
    let speeds = (places * (-(1e4f64.ln()) / (half as f64 - shift))).exp();
    let angles = steps.cast(wide).unsqueeze(1) * speeds;
    let parts =
        if cosines_first { [angles.cos(), angles.sin()] } else { [angles.sin(), angles.cos()] };
    let waves = Tensor::concat(&parts, 1).cast(dtype);
    // Of an odd size the last number is zero.
    waves.pad(&[(0, 0), (0, size % 2)])
}

/// `linear_2(silu(linear_1(sinusoids)))`.
#[derive(Module, Clone, Debug)]
pub(super) struct StepEmbedding {
    linear_1: Linear,
    linear_2: Linear,
}

impl StepEmbedding {
    pub(super) fn new(inputs: usize, outputs: usize, init: &mut Init) -> Self {
        StepEmbedding {
            linear_1: Linear::new(inputs, outputs, init),
            linear_2: Linear::new(outputs, outputs, init),
        }
    }

    pub(super) fn dtype(&self) -> DType {
        self.linear_1.weight.dtype()
    }
}

impl Layer for StepEmbedding {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let hidden = self.linear_1.forward(x, ctx).silu();
        self.linear_2.forward(&hidden, ctx)
    }
}

/// `conv2(dropout(silu(norm2(conv1(silu(norm1(x))) + projected step))))`, and x.
#[derive(Module, Clone, Debug)]
pub(super) struct ResidualBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    #[module(skip)]
    dropout: Dropout,
    conv2: Conv2d,
    /// Where channels differ.
    conv_shortcut: Option<Conv2d>,
}

impl ResidualBlock {
    pub(super) fn new(
        inputs: usize,
        outputs: usize,
        options: BlockOptions,
        init: &mut Init,
    ) -> Self {
        let plain = Conv2dOptions::default();
        ResidualBlock {
            norm1: options.norm(inputs, init),
            conv1: same(inputs, outputs, init),
            time_emb_proj: Linear::new(options.embedding, outputs, init),
            norm2: options.norm(outputs, init),
            dropout: Dropout::new(options.dropout),
            conv2: zero(outputs, outputs, init),
            conv_shortcut: (inputs != outputs)
                .then(|| Conv2d::new(inputs, outputs, 1, plain, init)),
        }
    }

    /// Of pictures and the activated embedding `[N, E]`.
    #[track_caller]
    pub(super) fn forward(&self, x: &Tensor, step: &Tensor, ctx: &mut Context) -> Tensor {
        let hidden = self.conv1.forward(&self.norm1.forward(x, ctx).silu(), ctx);
        let step = self.time_emb_proj.forward(step, ctx).unsqueeze(2).unsqueeze(3);
        let hidden = self.norm2.forward(&(hidden + step), ctx).silu();
        let hidden = self.conv2.forward(&self.dropout.forward(&hidden, ctx), ctx);
        match &self.conv_shortcut {
            Some(shortcut) => shortcut.forward(x, ctx) + hidden,
            None => x + hidden,
        }
    }
}

/// Attention of all places to all, beside a way past it.
#[derive(Module, Clone, Debug)]
pub(super) struct PlaceAttention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Vec<Linear>,
    heads: usize,
}

impl PlaceAttention {
    pub(super) fn new(channels: usize, options: BlockOptions, init: &mut Init) -> Self {
        let group_norm = options.norm(channels, init);
        let mut linear = || Linear::new(channels, channels, init);
        PlaceAttention {
            group_norm,
            to_q: linear(),
            to_k: linear(),
            to_v: linear(),
            to_out: vec![linear()],
            heads: options.head_size.map_or(1, |size| channels / size),
        }
    }
}

impl Layer for PlaceAttention {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let [samples, channels, height, width] = [0, 1, 2, 3].map(|axis| x.size(axis));
        let places = self.group_norm.forward(x, ctx).flatten(2, 3).transpose(1, 2);
        let heads = [samples, height * width, self.heads, channels / self.heads];
        let mut of_heads =
            |layer: &Linear| layer.forward(&places, ctx).reshape(heads).transpose(1, 2);
        let [q, k, v] = [&self.to_q, &self.to_k, &self.to_v].map(&mut of_heads);
        let y = scaled_dot_product_attention(&q, &k, &v, &DotProductOptions::default());
        let y = y.transpose(1, 2).reshape([samples, height * width, channels]);
        let y = self.to_out.iter().fold(y, |y, layer| layer.forward(&y, ctx));
        x + y.transpose(1, 2).reshape([samples, channels, height, width])
    }
}

/// Half the size: a convolution with stride 2.
#[derive(Module, Clone, Debug)]
pub(super) struct Down {
    conv: Conv2d,
    pads_after: bool,
}

impl Down {
    pub(super) fn new(channels: usize, options: BlockOptions, init: &mut Init) -> Self {
        let padding = usize::from(!options.pads_after);
        let conv = Conv2dOptions::default().stride(2).padding(padding);
        let conv = Conv2d::new(channels, channels, 3, conv, init);
        Down { conv, pads_after: options.pads_after }
    }
}

impl Layer for Down {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        match self.pads_after {
            true => self.conv.forward(&x.pad(&[(0, 0), (0, 0), (0, 1), (0, 1)]), ctx),
            false => self.conv.forward(x, ctx),
        }
    }
}

/// Twice the size: each pixel four times, and a convolution.
#[derive(Module, Clone, Debug)]
pub(super) struct Up {
    conv: Conv2d,
}

impl Up {
    pub(super) fn new(channels: usize, init: &mut Init) -> Self {
        Up { conv: same(channels, channels, init) }
    }
}

impl Layer for Up {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.conv.forward(&x.repeat_interleave(2, 2).repeat_interleave(2, 3), ctx)
    }
}
