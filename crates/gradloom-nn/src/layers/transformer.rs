//! [`TransformerEncoderLayer`], [`TransformerDecoderLayer`] and stacks of them.
//!
//! Letters: B batch, T and S positions, E features.

use crate::layers::{
    Activation, AttentionMask, Dropout, Layer, LayerNorm, Linear, MultiHeadAttention,
};
use crate::{Context, Init, Module};
use gradloom_tensor::Tensor;

/// Options of the layers of a transformer; the default is PyTorch's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TransformerOptions {
    /// Features between the two products of the feed-forward part: 2048.
    pub feed_forward: usize,
    /// Probability with which elements are left out in training: 0.1.
    pub dropout: f64,
    /// Between the two products: ReLU.
    pub activation: Activation,
    /// Norms stand before attention and products instead of after their sums (Xiong et al., "On layer
    /// normalization in the transformer architecture", 2020).
    pub norm_first: bool,
    /// Of the norms: 1e-5.
    pub epsilon: f64,
    /// Whether products and norms have biases.
    pub bias: bool,
}

impl Default for TransformerOptions {
    fn default() -> Self {
        TransformerOptions {
            feed_forward: 2048,
            dropout: 0.1,
            activation: Activation::Relu,
            norm_first: false,
            epsilon: 1e-5,
            bias: true,
        }
    }
}

impl TransformerOptions {
    fn linear(&self, inputs: usize, outputs: usize, init: &mut Init) -> Linear {
        let linear = Linear::new(inputs, outputs, init);
        if self.bias { linear } else { linear.without_bias() }
    }

    fn norm(&self, features: usize, init: &mut Init) -> LayerNorm {
        let norm = LayerNorm::new(features, init).epsilon(self.epsilon);
        if self.bias { norm } else { norm.without_bias() }
    }

    #[track_caller]
    fn attention(&self, features: usize, heads: usize, init: &mut Init) -> MultiHeadAttention {
        let attention = MultiHeadAttention::new(features, heads, init).dropout(self.dropout);
        if self.bias { attention } else { attention.without_bias() }
    }

    /// `x + f(x)` with the norm where it stands.
    fn residual(
        &self,
        x: &Tensor,
        norm: impl Fn(&Tensor) -> Tensor,
        f: impl FnOnce(&Tensor) -> Tensor,
    ) -> Tensor {
        if self.norm_first { x + f(&norm(x)) } else { norm(&(x + f(x))) }
    }
}

/// Attention of `[B, T, E]` to itself and a feed-forward part, each with a residual sum and a norm.
///
/// PyTorch: `torch.nn.TransformerEncoderLayer(batch_first=True)`. Vaswani et al., "Attention is all you need",
/// 2017.
#[derive(Module, Clone, Debug)]
pub struct TransformerEncoderLayer {
    /// Of the positions to one another.
    pub self_attn: MultiHeadAttention,
    /// `E -> F`
    pub linear1: Linear,
    /// `F -> E`
    pub linear2: Linear,
    /// With the attention.
    pub norm1: LayerNorm,
    /// With the feed-forward part.
    pub norm2: LayerNorm,
    dropout: Dropout,
    #[module(skip)]
    options: TransformerOptions,
}

impl TransformerEncoderLayer {
    /// Of `features`, which the heads divide.
    ///
    /// # Panics
    /// If they do not, or the dropout is no probability.
    #[track_caller]
    pub fn new(
        features: usize,
        heads: usize,
        options: TransformerOptions,
        init: &mut Init,
    ) -> Self {
        TransformerEncoderLayer {
            self_attn: options.attention(features, heads, init),
            linear1: options.linear(features, options.feed_forward, init),
            linear2: options.linear(options.feed_forward, features, init),
            norm1: options.norm(features, init),
            norm2: options.norm(features, init),
            dropout: Dropout::new(options.dropout),
            options,
        }
    }

    /// `[B, T, E] -> [B, T, E]` with a mask of which positions see which.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn run(&self, x: &Tensor, mask: &AttentionMask, ctx: &mut Context) -> Tensor {
        let norm = |norm: &LayerNorm, x: &Tensor| norm.forward(x, &mut Context::eval());
        let x = self.options.residual(
            x,
            |x| norm(&self.norm1, x),
            |x| {
                let y = ctx.within("self_attn", |ctx| self.self_attn.self_attention(x, mask, ctx));
                self.dropout.forward(&y, ctx)
            },
        );
        let parts = [&self.linear1, &self.linear2];
        self.options.residual(
            &x,
            |x| norm(&self.norm2, x),
            |x| feed_forward(x, parts, &self.options, self.dropout, ctx),
        )
    }
}

impl Layer for TransformerEncoderLayer {
    /// Without a mask.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(x, &AttentionMask::none(), ctx)
    }
}

/// Attention of `[B, T, E]` to itself, attention to a memory `[B, S, E]`, and a feed-forward part, each with a
/// residual sum and a norm.
///
/// PyTorch: `torch.nn.TransformerDecoderLayer(batch_first=True)`. Vaswani et al., "Attention is all you need",
/// 2017.
#[derive(Module, Clone, Debug)]
pub struct TransformerDecoderLayer {
    /// Of the positions to one another.
    pub self_attn: MultiHeadAttention,
    /// To the memory.
    pub multihead_attn: MultiHeadAttention,
    /// `E -> F`
    pub linear1: Linear,
    /// `F -> E`
    pub linear2: Linear,
    /// With the attention to itself.
    pub norm1: LayerNorm,
    /// With the attention to the memory.
    pub norm2: LayerNorm,
    /// With the feed-forward part.
    pub norm3: LayerNorm,
    dropout: Dropout,
    #[module(skip)]
    options: TransformerOptions,
}

impl TransformerDecoderLayer {
    /// Of `features`, which the heads divide.
    ///
    /// # Panics
    /// If they do not, or the dropout is no probability.
    #[track_caller]
    pub fn new(
        features: usize,
        heads: usize,
        options: TransformerOptions,
        init: &mut Init,
    ) -> Self {
        TransformerDecoderLayer {
            self_attn: options.attention(features, heads, init),
            multihead_attn: options.attention(features, heads, init),
            linear1: options.linear(features, options.feed_forward, init),
            linear2: options.linear(options.feed_forward, features, init),
            norm1: options.norm(features, init),
            norm2: options.norm(features, init),
            norm3: options.norm(features, init),
            dropout: Dropout::new(options.dropout),
            options,
        }
    }

    /// `[B, T, E]` and the memory `[B, S, E]` -> `[B, T, E]`, with masks of which positions see which, and
    /// which of the memory.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn run(
        &self,
        x: &Tensor,
        memory: &Tensor,
        [own, of_memory]: [&AttentionMask; 2],
        ctx: &mut Context,
    ) -> Tensor {
        let norm = |norm: &LayerNorm, x: &Tensor| norm.forward(x, &mut Context::eval());
        let x = self.options.residual(
            x,
            |x| norm(&self.norm1, x),
            |x| {
                let y = ctx.within("self_attn", |ctx| self.self_attn.self_attention(x, own, ctx));
                self.dropout.forward(&y, ctx)
            },
        );
        let x = self.options.residual(
            &x,
            |x| norm(&self.norm2, x),
            |x| {
                let y = ctx.within("multihead_attn", |ctx| {
                    self.multihead_attn.cross_attention(x, memory, memory, of_memory, ctx)
                });
                self.dropout.forward(&y, ctx)
            },
        );
        let parts = [&self.linear1, &self.linear2];
        self.options.residual(
            &x,
            |x| norm(&self.norm3, x),
            |x| feed_forward(x, parts, &self.options, self.dropout, ctx),
        )
    }
}

#[track_caller]
fn feed_forward(
    x: &Tensor,
    [first, second]: [&Linear; 2],
    options: &TransformerOptions,
    dropout: Dropout,
    ctx: &mut Context,
) -> Tensor {
    let inner = options.activation.apply(&first.forward(x, ctx));
    let inner = dropout.forward(&inner, ctx);
    dropout.forward(&second.forward(&inner, ctx), ctx)
}

/// Encoder layers one after another, and a norm after the last if the layers' norms come first.
///
/// PyTorch: `torch.nn.TransformerEncoder`, and the `encoder` of `torch.nn.Transformer`.
#[derive(Module, Clone, Debug)]
pub struct TransformerEncoder {
    /// The layers.
    pub layers: Vec<TransformerEncoderLayer>,
    /// After the last.
    pub norm: Option<LayerNorm>,
}

impl TransformerEncoder {
    /// So many layers of `features`, with a norm after the last.
    ///
    /// # Panics
    /// If the heads do not divide the features.
    #[track_caller]
    pub fn new(
        layers: usize,
        features: usize,
        heads: usize,
        options: TransformerOptions,
        init: &mut Init,
    ) -> Self {
        let layer = |_| TransformerEncoderLayer::new(features, heads, options, init);
        let layers = (0..layers).map(layer).collect();
        TransformerEncoder { layers, norm: Some(options.norm(features, init)) }
    }

    /// The same without a norm after the last layer. PyTorch: `norm=None`.
    #[must_use]
    pub fn without_norm(mut self) -> Self {
        self.norm = None;
        self
    }

    /// `[B, T, E] -> [B, T, E]` with a mask of which positions see which.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn run(&self, x: &Tensor, mask: &AttentionMask, ctx: &mut Context) -> Tensor {
        let x = self.layers.iter().enumerate().fold(x.clone(), |x, (index, layer)| {
            ctx.within("layers", |ctx| ctx.within_index(index, |ctx| layer.run(&x, mask, ctx)))
        });
        self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(&x, ctx))
    }
}

impl Layer for TransformerEncoder {
    /// Without a mask.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(x, &AttentionMask::none(), ctx)
    }
}

/// Decoder layers one after another, and a norm after the last.
///
/// PyTorch: `torch.nn.TransformerDecoder`, and the `decoder` of `torch.nn.Transformer`.
#[derive(Module, Clone, Debug)]
pub struct TransformerDecoder {
    /// The layers.
    pub layers: Vec<TransformerDecoderLayer>,
    /// After the last.
    pub norm: Option<LayerNorm>,
}

impl TransformerDecoder {
    /// So many layers of `features`, with a norm after the last.
    ///
    /// # Panics
    /// If the heads do not divide the features.
    #[track_caller]
    pub fn new(
        layers: usize,
        features: usize,
        heads: usize,
        options: TransformerOptions,
        init: &mut Init,
    ) -> Self {
        let layer = |_| TransformerDecoderLayer::new(features, heads, options, init);
        let layers = (0..layers).map(layer).collect();
        TransformerDecoder { layers, norm: Some(options.norm(features, init)) }
    }

    /// The same without a norm after the last layer. PyTorch: `norm=None`.
    #[must_use]
    pub fn without_norm(mut self) -> Self {
        self.norm = None;
        self
    }

    /// `[B, T, E]` and the memory `[B, S, E]` -> `[B, T, E]`, with masks of which positions see which, and
    /// which of the memory.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn run(
        &self,
        x: &Tensor,
        memory: &Tensor,
        masks: [&AttentionMask; 2],
        ctx: &mut Context,
    ) -> Tensor {
        let x = self.layers.iter().enumerate().fold(x.clone(), |x, (index, layer)| {
            ctx.within("layers", |ctx| {
                ctx.within_index(index, |ctx| layer.run(&x, memory, masks, ctx))
            })
        });
        self.norm.as_ref().map_or(x.clone(), |norm| norm.forward(&x, ctx))
    }
}
