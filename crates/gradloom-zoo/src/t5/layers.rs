//! [`T5Stack`]: the layers of the encoder, or of the decoder.
//!
//! Letters: B batch, T tokens, E features, H heads.

use crate::attention::LayerCache;
use crate::config::checked_activation;
use crate::linear::{normal_linear, project_all};
use crate::t5::attention::{distance_bias, masked_bias};
use crate::t5::{Buckets, T5Attention, T5Config};
use gradloom_nn::layers::{Dropout, KeyValueCache, Linear, RmsNorm};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Blocks one after another, and a norm: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct T5Stack {
    /// From the first to the last.
    pub block: Vec<T5Block>,
    /// After the last.
    pub final_layer_norm: RmsNorm,
    decodes: bool,
    #[module(skip)]
    buckets: Buckets,
    dropout: Dropout,
}

/// What an encoder made, and which of its tokens are real, `[B, 1, 1, S]`.
pub(super) struct Encoded<'a> {
    pub(super) source: Source<'a>,
    pub(super) mask: Option<Tensor>,
}

/// The encoder's output in the form at hand.
pub(super) enum Source<'a> {
    /// `[B, S, E]`
    Hidden(&'a Tensor),
    /// Keys and values of each layer, `[B, H, S, D]`.
    Projected(&'a [[Tensor; 2]]),
}

/// Self-attention, in the decoder cross-attention, and feed-forward.
#[derive(Module, Clone, Debug)]
pub struct T5Block {
    /// In this order.
    pub layer: Vec<T5Sublayer>,
}

/// A part of a block: after a norm, with a residual.
#[derive(Module, Clone, Debug)]
pub enum T5Sublayer {
    /// Tokens look at each other.
    SelfAttention(T5SelfAttention),
    /// Tokens look at the encoder's.
    CrossAttention(T5CrossAttention),
    /// Linear layers.
    FeedForward(T5FeedForward),
}

/// Attention of tokens to each other.
#[derive(Module, Clone, Debug)]
pub struct T5SelfAttention {
    /// The attention.
    #[module(rename = "SelfAttention")]
    pub attention: T5Attention,
    /// Before it.
    pub layer_norm: RmsNorm,
}

/// Attention of the decoder's tokens to the encoder's.
#[derive(Module, Clone, Debug)]
pub struct T5CrossAttention {
    /// The attention.
    #[module(rename = "EncDecAttention")]
    pub attention: T5Attention,
    /// Before it.
    pub layer_norm: RmsNorm,
}

/// Feed-forward layers.
#[derive(Module, Clone, Debug)]
pub struct T5FeedForward {
    /// The layers.
    #[module(rename = "DenseReluDense")]
    pub dense: T5Dense,
    /// Before them.
    pub layer_norm: RmsNorm,
}

/// `wo inner(x)`.
#[derive(Module, Clone, Debug)]
pub struct T5Dense {
    /// `E -> inner`
    #[module(flatten)]
    pub inner: T5Inner,
    /// `inner -> E`
    pub wo: Linear,
    activation: Activation,
    dropout: Dropout,
}

/// The first half of feed-forward layers.
#[derive(Module, Clone, Debug)]
pub enum T5Inner {
    /// `activation(wi x)`
    Plain {
        /// `E -> inner`
        wi: Linear,
    },
    /// `activation(wi_0 x) * wi_1 x`
    Gated {
        /// `E -> inner`
        wi_0: Linear,
        /// `E -> inner`
        wi_1: Linear,
    },
}

fn norm(config: &T5Config, init: &mut Init) -> RmsNorm {
    let mut norm = RmsNorm::new(config.d_model, init).epsilon(config.layer_norm_epsilon);
    norm.weight = init.full(config.d_model, config.initializer_factor);
    norm
}

impl T5Stack {
    pub(super) fn new(config: &T5Config, decodes: bool, init: &mut Init) -> Self {
        let layers = if decodes { config.decoder_layers() } else { config.num_layers };
        T5Stack {
            block: (0..layers).map(|index| T5Block::new(config, index, decodes, init)).collect(),
            final_layer_norm: norm(config, init),
            decodes,
            buckets: Buckets::new(config, !decodes),
            dropout: Dropout::new(config.dropout_rate),
        }
    }

    /// The first block's attention, whose table of distances serves all.
    pub(super) fn first_attention(&self) -> Option<&T5Attention> {
        match self.block.first()?.layer.first()? {
            T5Sublayer::SelfAttention(part) => Some(&part.attention),
            T5Sublayer::CrossAttention(_) | T5Sublayer::FeedForward(_) => None,
        }
    }

    fn bias(&self, positions: &Tensor, keys: usize) -> Option<Tensor> {
        let table = self.first_attention()?.relative_attention_bias.as_ref()?;
        Some(distance_bias(table, &self.buckets, positions, keys))
    }

    /// Keys and values of each layer for an encoder's output `[B, S, E]`.
    #[track_caller]
    pub(super) fn keys_and_values(&self, encoded: &Tensor, ctx: &mut Context) -> Vec<[Tensor; 2]> {
        let layers = self.block.iter().flat_map(|block| &block.layer);
        let crossing = layers.filter_map(|layer| match layer {
            T5Sublayer::CrossAttention(part) => Some(&part.attention),
            T5Sublayer::SelfAttention(_) | T5Sublayer::FeedForward(_) => None,
        });
        crossing.map(|attention| attention.keys_and_values(encoded, ctx)).collect()
    }

    /// `mask` is `[B, 1, 1, T]`; with a cache come the positions `[B, T]` that its pass gave.
    #[track_caller]
    pub(super) fn forward(
        &self,
        embedded: &Tensor,
        mask: Option<&Tensor>,
        encoded: Option<&Encoded>,
        mut cache: Option<(&mut KeyValueCache, &Tensor)>,
        ctx: &mut Context,
    ) -> Tensor {
        let embedded = self.dropout.forward(embedded, ctx);
        let mut x = ctx.tap("embeddings", &embedded);
        let bias = match &cache {
            Some((cache, positions)) => self.bias(positions, cache.capacity()),
            None => {
                let length = x.size(1);
                self.bias(&Tensor::arange(length, x.device()).unsqueeze(0), length)
            }
        };
        let options = AttentionOptions {
            causal: self.decodes,
            mask: bias.map(|bias| masked_bias(&bias, mask)).or_else(|| mask.cloned()),
            scale: Some(1.0),
            ..AttentionOptions::default()
        };
        for (index, block) in self.block.iter().enumerate() {
            let cache = cache.as_mut().map(|(cache, _)| (&mut **cache, index));
            x = ctx.within("block", |ctx| {
                ctx.within_index(index, |ctx| block.forward(&x, &options, encoded, cache, ctx))
            });
        }
        let output = self.final_layer_norm.forward(&x, ctx);
        let output = self.dropout.forward(&output, ctx);
        ctx.tap("output", &output)
    }
}

impl T5Block {
    fn new(config: &T5Config, index: usize, decodes: bool, init: &mut Init) -> Self {
        let mut layer = vec![T5Sublayer::SelfAttention(T5SelfAttention {
            attention: T5Attention::new(config, index == 0, init),
            layer_norm: norm(config, init),
        })];
        if decodes {
            layer.push(T5Sublayer::CrossAttention(T5CrossAttention {
                attention: T5Attention::new(config, false, init),
                layer_norm: norm(config, init),
            }));
        }
        layer.push(T5Sublayer::FeedForward(T5FeedForward {
            dense: T5Dense::new(config, init),
            layer_norm: norm(config, init),
        }));
        T5Block { layer }
    }

    #[track_caller]
    fn forward(
        &self,
        x: &Tensor,
        options: &AttentionOptions,
        encoded: Option<&Encoded>,
        mut cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let index = cache.as_ref().map_or(0, |(_, index)| *index);
        let mut x = x.clone();
        for layer in &self.layer {
            let added = match layer {
                T5Sublayer::SelfAttention(part) => {
                    let normal = part.layer_norm.forward(&x, ctx);
                    let added = part.attention.self_attention(&normal, options, cache.take(), ctx);
                    part.attention.dropout().forward(&added, ctx)
                }
                T5Sublayer::CrossAttention(part) => {
                    let Some(encoded) = encoded else { continue };
                    let normal = part.layer_norm.forward(&x, ctx);
                    let options = AttentionOptions {
                        mask: encoded.mask.clone(),
                        scale: Some(1.0),
                        ..AttentionOptions::default()
                    };
                    let own = &part.attention;
                    let added = match encoded.source {
                        Source::Hidden(hidden) => {
                            let projected = own.keys_and_values(hidden, ctx);
                            own.cross_attention(&normal, &projected, &options, ctx)
                        }
                        Source::Projected(layers) => {
                            own.cross_attention(&normal, &layers[index], &options, ctx)
                        }
                    };
                    part.attention.dropout().forward(&added, ctx)
                }
                T5Sublayer::FeedForward(part) => {
                    let normal = part.layer_norm.forward(&x, ctx);
                    part.dense.forward(&normal, ctx)
                }
            };
            x = x + added;
        }
        ctx.tap("output", &x)
    }
}

impl T5Dense {
    fn new(config: &T5Config, init: &mut Init) -> Self {
        let (size, inner, factor) = (config.d_model, config.d_ff, config.initializer_factor);
        let (gated, activation) = config.feed_forward();
        let first = |init: &mut Init| {
            normal_linear(size, inner, false, factor / (size as f64).sqrt(), init)
        };
        T5Dense {
            inner: if gated {
                T5Inner::Gated { wi_0: first(init), wi_1: first(init) }
            } else {
                T5Inner::Plain { wi: first(init) }
            },
            wo: normal_linear(inner, size, false, factor / (inner as f64).sqrt(), init),
            activation: checked_activation(activation),
            dropout: Dropout::new(config.dropout_rate),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let inner = match &self.inner {
            T5Inner::Plain { wi } => self.activation.apply(&wi.forward(x, ctx)),
            T5Inner::Gated { wi_0, wi_1 } => {
                let projected = project_all(&[wi_0, wi_1], x, ctx);
                self.activation.apply(&projected[0]) * &projected[1]
            }
        };
        let inner = self.dropout.forward(&inner, ctx);
        let output = self.wo.forward(&inner, ctx);
        self.dropout.forward(&output, ctx)
    }
}
