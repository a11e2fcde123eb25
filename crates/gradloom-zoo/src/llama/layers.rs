//! [`LlamaLayer`]: attention and feed-forward, each after a norm and with a residual.
//!
//! Letters: B batch, T tokens, E features, H heads of queries, HK heads of keys, D features per head.

use crate::attention::{LayerCache, attend_with_cache, split_heads};
use crate::config::checked_activation;
use crate::linear::{normal_linear, project_all};
use crate::llama::LlamaConfig;
use gradloom_nn::layers::{Dropout, Linear, RmsNorm, RotaryAngles};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Attention, then feed-forward: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct LlamaLayer {
    /// Tokens look at earlier ones.
    pub self_attn: LlamaAttention,
    /// A gated feed-forward layer.
    pub mlp: LlamaFeedForward,
    /// Before attention.
    pub input_layernorm: RmsNorm,
    /// Before feed-forward.
    pub post_attention_layernorm: RmsNorm,
}

/// Attention of several heads, which share keys and values in groups.
#[derive(Module, Clone, Debug)]
pub struct LlamaAttention {
    /// `E -> H D`
    pub q_proj: Linear,
    /// `E -> HK D`
    pub k_proj: Linear,
    /// `E -> HK D`
    pub v_proj: Linear,
    /// `H D -> E`
    pub o_proj: Linear,
    head_size: usize,
    #[module(skip)]
    window: Option<usize>,
    dropout: Dropout,
}

/// `down(activation(gate x) * up x)`. Shazeer, "GLU variants improve transformer", 2020.
#[derive(Module, Clone, Debug)]
pub struct LlamaFeedForward {
    /// `E -> inner`
    pub gate_proj: Linear,
    /// `E -> inner`
    pub up_proj: Linear,
    /// `inner -> E`
    pub down_proj: Linear,
    activation: Activation,
}

impl LlamaLayer {
    pub(super) fn new(config: &LlamaConfig, index: usize, init: &mut Init) -> Self {
        let norm =
            |init: &mut Init| RmsNorm::new(config.hidden_size, init).epsilon(config.rms_norm_eps);
        LlamaLayer {
            self_attn: LlamaAttention::new(config, index, init),
            mlp: LlamaFeedForward::new(config, init),
            input_layernorm: norm(init),
            post_attention_layernorm: norm(init),
        }
    }

    #[track_caller]
    pub(super) fn forward(
        &self,
        x: &Tensor,
        angles: &RotaryAngles,
        options: &AttentionOptions,
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let normal = self.input_layernorm.forward(x, ctx);
        let x = x + self.self_attn.forward(&normal, angles, options, cache, ctx);
        let normal = self.post_attention_layernorm.forward(&x, ctx);
        let x = &x + self.mlp.forward(&normal, ctx);
        ctx.tap("output", &x)
    }
}

impl LlamaAttention {
    fn new(config: &LlamaConfig, index: usize, init: &mut Init) -> Self {
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let (heads, shared) = (config.num_attention_heads, config.key_value_heads());
        let (queries, keys) = (heads * config.head_size(), shared * config.head_size());
        let bias = config.query_key_value_bias();
        LlamaAttention {
            q_proj: normal_linear(size, queries, bias, deviation, init),
            k_proj: normal_linear(size, keys, bias, deviation, init),
            v_proj: normal_linear(size, keys, bias, deviation, init),
            o_proj: normal_linear(queries, size, config.attention_bias, deviation, init),
            head_size: config.head_size(),
            window: config.window(index),
            dropout: Dropout::new(config.attention_dropout),
        }
    }

    pub(super) fn head_size(&self) -> usize {
        self.head_size
    }

    pub(super) fn key_value_heads(&self) -> usize {
        self.k_proj.outputs() / self.head_size
    }

    #[track_caller]
    fn forward(
        &self,
        x: &Tensor,
        angles: &RotaryAngles,
        options: &AttentionOptions,
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let projected = project_all(&[&self.q_proj, &self.k_proj, &self.v_proj], x, ctx);
        let query = angles.rotate(&split_heads(&projected[0], self.head_size));
        let key = angles.rotate(&split_heads(&projected[1], self.head_size));
        let value = split_heads(&projected[2], self.head_size);
        let options = AttentionOptions { window: self.window, ..options.clone() };
        let parts = [&query, &key, &value];
        let mixed = attend_with_cache(parts, &options, cache, self.dropout, ctx);
        self.o_proj.forward(&mixed, ctx)
    }
}

impl LlamaFeedForward {
    fn new(config: &LlamaConfig, init: &mut Init) -> Self {
        let (size, inner) = (config.hidden_size, config.intermediate_size);
        let (bias, deviation) = (config.mlp_bias, config.initializer_range);
        LlamaFeedForward {
            gate_proj: normal_linear(size, inner, bias, deviation, init),
            up_proj: normal_linear(size, inner, bias, deviation, init),
            down_proj: normal_linear(inner, size, bias, deviation, init),
            activation: checked_activation(&config.hidden_act),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let projected = project_all(&[&self.gate_proj, &self.up_proj], x, ctx);
        let inner = self.activation.apply(&projected[0]) * &projected[1];
        self.down_proj.forward(&inner, ctx)
    }
}
