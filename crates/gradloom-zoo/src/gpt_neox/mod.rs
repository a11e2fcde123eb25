//! GPT-NeoX, and Pythia and Dolly, which are built like it: transformers that write a text from left to right.
//!
//! Black et al., "GPT-NeoX-20B", 2022; Biderman et al., "Pythia", 2023. Attention and feed-forward may read
//! the same input, and positions turn a part of each head's features. Scalings of the angles are absent.
//!
//! Letters: B batch, T tokens, E features, H heads, D features per head.

mod config;

pub use config::{GptNeoxConfig, GptNeoxRope};

use crate::attention::{LayerCache, attend_with_cache, check_tokens, key_mask};
use crate::causal::{CausalInput, CausalLanguageModel, CausalOutput};
use crate::config::checked_activation;
use crate::linear::{normal_embedding, normal_linear};
use crate::prompt::{after_prompt, mask_after_prompt, prompt_length};
use crate::{ModelConfig, Pretrained, Result, error};
use gradloom_nn::layers::{
    Dropout, Embedding, KeyValueCache, LayerNorm, Linear, Rotary, RotaryAngles, RotaryScaling,
};
use gradloom_nn::{Activation, Context, Init, Layer, Module, StateDict};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Attention and feed-forward, each after a norm and with a residual: `[B, T, E] -> [B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct GptNeoxLayer {
    /// Before attention.
    pub input_layernorm: LayerNorm,
    /// Before feed-forward.
    pub post_attention_layernorm: LayerNorm,
    /// Tokens look at earlier ones.
    pub attention: GptNeoxAttention,
    /// Feed-forward.
    pub mlp: GptNeoxFeedForward,
    parallel: bool,
    dropout: Dropout,
}

/// Attention of several heads.
#[derive(Module, Clone, Debug)]
pub struct GptNeoxAttention {
    /// `E -> H 3 D`: query, key and value of each head.
    pub query_key_value: Linear,
    /// `E -> E`
    pub dense: Linear,
    heads: usize,
    turning: usize,
    dropout: Dropout,
}

/// Feed-forward.
#[derive(Module, Clone, Debug)]
pub struct GptNeoxFeedForward {
    /// `E -> inner`
    pub dense_h_to_4h: Linear,
    /// `inner -> E`
    pub dense_4h_to_h: Linear,
    activation: Activation,
}

impl GptNeoxLayer {
    fn new(config: &GptNeoxConfig, init: &mut Init) -> Self {
        let (size, inner) = (config.hidden_size, config.intermediate_size);
        let norm = |init: &mut Init| LayerNorm::new(size, init).epsilon(config.layer_norm_eps);
        let linear = |inputs: usize, outputs: usize, bias: bool, init: &mut Init| {
            normal_linear(inputs, outputs, bias, config.initializer_range, init)
        };
        GptNeoxLayer {
            input_layernorm: norm(init),
            post_attention_layernorm: norm(init),
            attention: GptNeoxAttention {
                query_key_value: linear(size, 3 * size, config.attention_bias, init),
                dense: linear(size, size, config.attention_bias, init),
                heads: config.num_attention_heads,
                turning: config.turning(),
                dropout: Dropout::new(config.attention_dropout),
            },
            mlp: GptNeoxFeedForward {
                dense_h_to_4h: linear(size, inner, true, init),
                dense_4h_to_h: linear(inner, size, true, init),
                activation: checked_activation(&config.hidden_act),
            },
            parallel: config.use_parallel_residual,
            dropout: Dropout::new(config.hidden_dropout),
        }
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
        let normal = self.input_layernorm.forward(x, ctx);
        let mixed = self.attention.forward(&normal, angles, options, cache, ctx);
        let after = x + self.dropout.forward(&mixed, ctx);
        let read = if self.parallel { x } else { &after };
        let inner = self.mlp.forward(&self.post_attention_layernorm.forward(read, ctx), ctx);
        let x = &after + self.dropout.forward(&inner, ctx);
        ctx.tap("output", &x)
    }
}

impl GptNeoxAttention {
    #[track_caller]
    fn forward(
        &self,
        x: &Tensor,
        angles: &RotaryAngles,
        options: &AttentionOptions,
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let projected = self.query_key_value.forward(x, ctx);
        let [batch, length] = [x.size(0), x.size(1)];
        let heads = projected.reshape([batch, length, self.heads, x.size(2) / self.heads * 3]);
        let parts = heads.transpose(1, 2).chunk(3, -1);
        let [query, key] = [&parts[0], &parts[1]].map(|part| self.turned(part, angles));
        let inputs = [&query, &key, &parts[2]];
        let mixed = attend_with_cache(inputs, options, cache, self.dropout, ctx);
        self.dense.forward(&mixed, ctx)
    }

    /// The first features of each head turn, the others stay.
    #[track_caller]
    fn turned(&self, x: &Tensor, angles: &RotaryAngles) -> Tensor {
        let turned = angles.rotate(&x.narrow(-1, 0, self.turning));
        match x.size(-1) - self.turning {
            0 => turned,
            rest => Tensor::concat(&[&turned, &x.narrow(-1, self.turning, rest)], -1),
        }
    }
}

impl GptNeoxFeedForward {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let inner = self.activation.apply(&self.dense_h_to_4h.forward(x, ctx));
        self.dense_4h_to_h.forward(&inner, ctx)
    }
}

/// GPT-NeoX's layers: tokens `[B, T] -> [B, T, E]`.
///
/// Taps: `embeddings`; `layers.0.attention` `[B, H, T, T]`, `layers.0.output`, ...; `output` after the
/// last norm. PyTorch: `transformers.GPTNeoXModel`.
#[derive(Module, Clone, Debug)]
pub struct GptNeoxModel {
    /// Rows of tokens: `[V, E]`.
    pub embed_in: Embedding,
    /// From the first to the last.
    pub layers: Vec<GptNeoxLayer>,
    /// After the last.
    pub final_layer_norm: LayerNorm,
    #[module(skip)]
    rotary: Rotary,
    positions_max: usize,
    dropout: Dropout,
}

impl GptNeoxModel {
    /// Hidden states `[B, T, E]`.
    ///
    /// # Panics
    /// If there are no tokens, more than positions, or a mask or positions of another shape. A token
    /// outside the vocabulary fails the evaluation.
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> Tensor {
        let (tokens, prompt) = (&input.tokens, input.prompt.as_ref());
        check_tokens("gpt_neox", tokens, self.positions_max.saturating_sub(prompt_length(prompt)));
        let angles = self.rotary.angles(&input.places("gpt_neox"), input.length());
        let mask = input.mask.as_ref().map(|mask| key_mask("gpt_neox", mask, tokens));
        let mask = mask.map(|mask| mask_after_prompt(prompt, mask));
        let embedded = after_prompt("gpt_neox", prompt, self.embed_in.weight.embedding(tokens));
        self.run(&embedded, &angles, mask, None, ctx)
    }

    #[track_caller]
    fn run(
        &self,
        embedded: &Tensor,
        angles: &RotaryAngles,
        mask: Option<Tensor>,
        mut cache: Option<&mut KeyValueCache>,
        ctx: &mut Context,
    ) -> Tensor {
        let embedded = self.dropout.forward(embedded, ctx);
        let mut x = ctx.tap("embeddings", &embedded);
        let options = AttentionOptions { causal: true, mask, ..AttentionOptions::default() };
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_deref_mut().map(|cache| (cache, index));
            x = ctx.within("layers", |ctx| {
                ctx.within_index(index, |ctx| layer.forward(&x, angles, &options, cache, ctx))
            });
        }
        let output = self.final_layer_norm.forward(&x, ctx);
        ctx.tap("output", &output)
    }
}

/// The name in the layers alone. Old files carry masks and the frequencies of the angles.
fn rename(name: &str) -> Option<String> {
    let name = name.strip_prefix("gpt_neox.").unwrap_or(name);
    let buffers = [".attention.bias", ".attention.masked_bias", "rotary_emb.inv_freq"];
    let name = if name == "lm_head.weight" { "embed_out.weight" } else { name };
    (!buffers.iter().any(|buffer| name.ends_with(buffer))).then(|| name.to_owned())
}

impl Pretrained for GptNeoxModel {
    type Config = GptNeoxConfig;

    fn new(config: &GptNeoxConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let rotary =
            Rotary::new(config.turning(), config.theta(), RotaryScaling::None, init.device());
        let layer = |_| GptNeoxLayer::new(config, init);
        Ok(GptNeoxModel {
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            embed_in: normal_embedding(config.vocab_size, size, deviation, init),
            final_layer_norm: LayerNorm::new(size, init).epsilon(config.layer_norm_eps),
            rotary: rotary.map_err(|error| error::weights("gpt_neox", error))?,
            positions_max: config.max_position_embeddings,
            dropout: Dropout::new(config.hidden_dropout),
        })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name).filter(|name| name != "embed_out.weight")
    }
}

/// GPT-NeoX that says which token comes next.
///
/// PyTorch: `transformers.GPTNeoXForCausalLM`.
#[derive(Module, Clone, Debug)]
pub struct GptNeoxForCausalLanguageModel {
    /// The layers.
    pub gpt_neox: GptNeoxModel,
    /// `E -> V`; none if logits are products with the rows of tokens.
    pub embed_out: Option<Linear>,
}

impl GptNeoxForCausalLanguageModel {
    /// Logits of the token after each.
    ///
    /// # Panics
    /// As [`GptNeoxModel::forward`].
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> CausalOutput {
        let hidden = ctx.within("gpt_neox", |ctx| self.gpt_neox.forward(input, ctx));
        CausalOutput { logits: self.logits(&hidden), last_hidden_state: hidden }
    }
}

impl CausalLanguageModel for GptNeoxForCausalLanguageModel {
    fn positions_max(&self) -> usize {
        self.gpt_neox.positions_max
    }

    fn vocabulary(&self) -> usize {
        self.gpt_neox.embed_in.weight.size(0)
    }

    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache> {
        let (table, layers) = (&self.gpt_neox.embed_in.weight, &self.gpt_neox.layers);
        let heads = layers[0].attention.heads;
        let features = table.size(1) / heads;
        KeyValueCache::new(layers.len(), batch, heads, capacity, features, table.device())
            .map_err(|error| error::weights("gpt_neox", error))
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        check_tokens("gpt_neox", tokens, self.gpt_neox.positions_max);
        self.gpt_neox.embed_in.weight.embedding(tokens)
    }

    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        let count = embedded.size(1);
        let positions = cache.begin(count).map_err(|error| error::weights("gpt_neox", error))?;
        let angles = self.gpt_neox.rotary.angles(&positions, cache.length_after(count));
        Ok(self.gpt_neox.run(embedded, &angles, None, Some(cache), ctx))
    }

    fn logits(&self, hidden: &Tensor) -> Tensor {
        let head =
            self.embed_out.as_ref().map_or(&self.gpt_neox.embed_in.weight, |head| &head.weight);
        hidden.matmul(&head.t())
    }
}

impl Pretrained for GptNeoxForCausalLanguageModel {
    type Config = GptNeoxConfig;

    fn new(config: &GptNeoxConfig, init: &mut Init) -> Result<Self> {
        let gpt_neox = GptNeoxModel::new(config, init)?;
        let (size, rows) = (config.hidden_size, config.vocab_size);
        let head = || normal_linear(size, rows, false, config.initializer_range, init);
        let embed_out = (!config.tie_word_embeddings).then(head);
        Ok(GptNeoxForCausalLanguageModel { gpt_neox, embed_out })
    }

    fn rename(name: &str) -> Option<String> {
        let name = rename(name)?;
        Some(if name == "embed_out.weight" { name } else { format!("gpt_neox.{name}") })
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.embed_out.is_none() {
            weights.remove("embed_out.weight");
        }
    }
}
