//! [`BertEncoder`]: layers of attention and feed-forward, each with a residual and a norm after it.

use crate::attention::{attend, split_heads};
use crate::bert::BertConfig;
use crate::config::checked_activation;
use crate::linear::{normal_linear, project_all};
use gradloom_nn::layers::{Dropout, LayerNorm, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Layers one after another: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct BertEncoder {
    /// From the first to the last.
    pub layer: Vec<BertLayer>,
}

/// Attention, then feed-forward: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct BertLayer {
    /// Tokens look at each other.
    pub attention: BertAttention,
    /// `E -> intermediate`, then the activation.
    pub intermediate: Dense,
    /// `intermediate -> E`, with the residual.
    pub output: BertResidual,
    activation: Activation,
}

/// Attention of several heads, and what mixes their results.
#[derive(Module, Clone, Debug)]
pub struct BertAttention {
    /// To queries, keys and values.
    #[module(rename = "self")]
    pub projections: BertProjections,
    /// `E -> E`, with the residual.
    pub output: BertResidual,
    head_size: usize,
    dropout: Dropout,
}

/// The projections of attention, `E -> E` each.
#[derive(Module, Clone, Debug)]
pub struct BertProjections {
    /// What a token looks for.
    pub query: Linear,
    /// What it is found by.
    pub key: Linear,
    /// What it gives.
    pub value: Linear,
}

/// One linear layer under the name `dense`.
#[derive(Module, Clone, Debug)]
pub struct Dense {
    /// The layer.
    pub dense: Linear,
}

/// `norm(dense(x) + residual)`.
#[derive(Module, Clone, Debug)]
pub struct BertResidual {
    /// To `E` features.
    pub dense: Linear,
    /// `[E]`
    #[module(rename = "LayerNorm")]
    pub layer_norm: LayerNorm,
    dropout: Dropout,
}

impl BertEncoder {
    pub(super) fn new(config: &BertConfig, init: &mut Init) -> Self {
        BertEncoder {
            layer: (0..config.num_hidden_layers).map(|_| BertLayer::new(config, init)).collect(),
        }
    }

    #[track_caller]
    pub(super) fn forward(
        &self,
        x: &Tensor,
        options: &AttentionOptions,
        ctx: &mut Context,
    ) -> Tensor {
        let mut x = x.clone();
        for (index, layer) in self.layer.iter().enumerate() {
            x = ctx.within("layer", |ctx| {
                ctx.within_index(index, |ctx| layer.forward(&x, options, ctx))
            });
        }
        x
    }
}

impl BertLayer {
    fn new(config: &BertConfig, init: &mut Init) -> Self {
        let (size, inner) = (config.hidden_size, config.intermediate_size);
        let attention = BertAttention::new(config, init);
        let dense = normal_linear(size, inner, true, config.initializer_range, init);
        let output = BertResidual::new(inner, config, init);
        let activation = checked_activation(&config.hidden_act);
        BertLayer { attention, intermediate: Dense { dense }, output, activation }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, options: &AttentionOptions, ctx: &mut Context) -> Tensor {
        let attended = self.attention.forward(x, options, ctx);
        let inner = self.activation.apply(&self.intermediate.dense.forward(&attended, ctx));
        let output = self.output.forward(&inner, &attended, ctx);
        ctx.tap("output", &output)
    }
}

impl BertAttention {
    fn new(config: &BertConfig, init: &mut Init) -> Self {
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let mut linear = || normal_linear(size, size, true, deviation, init);
        let projections = BertProjections { query: linear(), key: linear(), value: linear() };
        BertAttention {
            projections,
            output: BertResidual::new(size, config, init),
            head_size: size / config.num_attention_heads,
            dropout: Dropout::new(config.attention_probs_dropout_prob),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, options: &AttentionOptions, ctx: &mut Context) -> Tensor {
        let BertProjections { query, key, value } = &self.projections;
        let projected = project_all(&[query, key, value], x, ctx);
        let heads: Vec<Tensor> = projected.iter().map(|x| split_heads(x, self.head_size)).collect();
        let inputs = [&heads[0], &heads[1], &heads[2]];
        let mixed = attend(inputs, options, self.dropout, "attention", ctx);
        self.output.forward(&mixed, x, ctx)
    }
}

impl BertResidual {
    fn new(inputs: usize, config: &BertConfig, init: &mut Init) -> Self {
        let size = config.hidden_size;
        BertResidual {
            dense: normal_linear(inputs, size, true, config.initializer_range, init),
            layer_norm: LayerNorm::new(size, init).epsilon(config.layer_norm_eps),
            dropout: Dropout::new(config.hidden_dropout_prob),
        }
    }

    #[track_caller]
    fn forward(&self, x: &Tensor, residual: &Tensor, ctx: &mut Context) -> Tensor {
        let x = self.dense.forward(x, ctx);
        let x = self.dropout.forward(&x, ctx);
        self.layer_norm.forward(&(x + residual), ctx)
    }
}
