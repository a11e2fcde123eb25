//! [`Gpt2Layer`]: attention and feed-forward, each after a norm and with a residual.

use crate::attention::{LayerCache, attend_with_cache, split_heads};
use crate::config::checked_activation;
use crate::gpt2::Gpt2Config;
use gradloom_nn::layers::{Adapter, Dropout, LayerNorm};
use gradloom_nn::{Activation, Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Attention, then feed-forward: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct Gpt2Layer {
    /// Before attention.
    pub ln_1: LayerNorm,
    /// Tokens look at earlier ones.
    pub attn: Gpt2Attention,
    /// Before feed-forward.
    pub ln_2: LayerNorm,
    /// Two linear layers.
    pub mlp: Gpt2FeedForward,
}

/// Attention of several heads.
#[derive(Module, Clone, Debug)]
pub struct Gpt2Attention {
    /// To queries, keys and values beside each other: `E -> 3 E`.
    pub c_attn: Gpt2Projection,
    /// `E -> E`
    pub c_proj: Gpt2Projection,
    head_size: usize,
    scale: f64,
    weights_dropout: Dropout,
    dropout: Dropout,
}

/// `W2 activation(W1 x)`.
#[derive(Module, Clone, Debug)]
pub struct Gpt2FeedForward {
    /// `E -> inner`
    pub c_fc: Gpt2Projection,
    /// `inner -> E`
    pub c_proj: Gpt2Projection,
    activation: Activation,
    dropout: Dropout,
}

/// `x W + b`: a linear layer whose weight has its inputs first, as GPT-2's files do.
///
/// Python: `transformers.pytorch_utils.Conv1D`.
#[derive(Module, Clone, Debug)]
pub struct Gpt2Projection {
    /// `[I, O]`
    pub weight: Parameter,
    /// `[O]`
    pub bias: Parameter,
    /// Beside the weight: empty unless [`lora`](gradloom_nn::lora) put an update there.
    #[module(flatten)]
    pub adapter: Adapter,
}

impl Gpt2Projection {
    fn new(inputs: usize, outputs: usize, deviation: f64, init: &mut Init) -> Self {
        Gpt2Projection {
            weight: init.normal([inputs, outputs], deviation),
            bias: init.zeros(outputs),
            adapter: Adapter::empty_inputs_first(),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let product = |[x, weight]: [&Tensor; 2]| x.matmul(weight);
        let y = ctx.compute().multiply(&self.weight, [x, &self.weight], product);
        self.adapter.add_to(y + self.bias.tensor(), x, ctx)
    }
}

impl Gpt2Layer {
    pub(super) fn new(config: &Gpt2Config, index: usize, init: &mut Init) -> Self {
        let norm = |init: &mut Init| {
            LayerNorm::new(config.n_embd, init).epsilon(config.layer_norm_epsilon)
        };
        Gpt2Layer {
            ln_1: norm(init),
            attn: Gpt2Attention::new(config, index, init),
            ln_2: norm(init),
            mlp: Gpt2FeedForward::new(config, init),
        }
    }

    #[track_caller]
    pub(super) fn forward(
        &self,
        x: &Tensor,
        options: &AttentionOptions,
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let normal = self.ln_1.forward(x, ctx);
        let x = x + self.attn.forward(&normal, options, cache, ctx);
        let normal = self.ln_2.forward(&x, ctx);
        let x = &x + self.mlp.forward(&normal, ctx);
        ctx.tap("output", &x)
    }
}

/// The deviation of first values of the layers that add to the residual, smaller the more of them.
fn residual_deviation(config: &Gpt2Config) -> f64 {
    config.initializer_range / (2.0 * config.n_layer as f64).sqrt()
}

impl Gpt2Attention {
    pub(super) fn head_size(&self) -> usize {
        self.head_size
    }

    pub(super) fn heads(&self) -> usize {
        self.c_proj.weight.size(0) / self.head_size
    }

    fn new(config: &Gpt2Config, index: usize, init: &mut Init) -> Self {
        let size = config.n_embd;
        let mut scale = 1.0;
        if config.scale_attn_weights {
            scale /= ((size / config.n_head) as f64).sqrt();
        }
        if config.scale_attn_by_inverse_layer_idx {
            scale /= (index + 1) as f64;
        }
        Gpt2Attention {
            c_attn: Gpt2Projection::new(size, 3 * size, config.initializer_range, init),
            c_proj: Gpt2Projection::new(size, size, residual_deviation(config), init),
            head_size: size / config.n_head,
            scale,
            weights_dropout: Dropout::new(config.attn_pdrop),
            dropout: Dropout::new(config.resid_pdrop),
        }
    }

    #[track_caller]
    fn forward(
        &self,
        x: &Tensor,
        options: &AttentionOptions,
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let parts = self.c_attn.forward(x, ctx).chunk(3, -1);
        let split = |part| split_heads(part, self.head_size);
        let heads: Vec<Tensor> = parts.iter().map(split).collect();
        let options = options.clone().scale(self.scale);
        let inputs = [&heads[0], &heads[1], &heads[2]];
        let mixed = attend_with_cache(inputs, &options, cache, self.weights_dropout, ctx);
        self.dropout.forward(&self.c_proj.forward(&mixed, ctx), ctx)
    }
}

impl Gpt2FeedForward {
    fn new(config: &Gpt2Config, init: &mut Init) -> Self {
        let (size, inner) = (config.n_embd, config.inner_size());
        Gpt2FeedForward {
            c_fc: Gpt2Projection::new(size, inner, config.initializer_range, init),
            c_proj: Gpt2Projection::new(inner, size, residual_deviation(config), init),
            activation: checked_activation(&config.activation_function),
            dropout: Dropout::new(config.resid_pdrop),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let inner = self.activation.apply(&self.c_fc.forward(x, ctx));
        self.dropout.forward(&self.c_proj.forward(&inner, ctx), ctx)
    }
}
