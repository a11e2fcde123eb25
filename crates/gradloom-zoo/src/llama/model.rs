//! [`LlamaModel`] and the language model on top of it.

use crate::attention::{check_tokens, key_mask};
use crate::causal::{CausalInput, CausalLanguageModel, CausalOutput};
use crate::linear::{normal_embedding, normal_linear};
use crate::llama::{LlamaAttention, LlamaConfig, LlamaLayer};
use crate::prompt::{after_prompt, mask_after_prompt, prompt_length};
use crate::{ModelConfig, Pretrained, Result, error};
use gradloom_nn::layers::{Embedding, KeyValueCache, Linear, RmsNorm, Rotary, RotaryAngles};
use gradloom_nn::{Context, Init, Layer, Module, StateDict};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// Llama's layers: tokens `[B, T] -> [B, T, E]`.
///
/// Taps: `embeddings`; `layers.0.attention` `[B, H, T, T]`, `layers.0.output`, ...; `output` after the
/// last norm. PyTorch: `transformers.LlamaModel`, `MistralModel`, `Qwen2Model`.
#[derive(Module, Clone, Debug)]
pub struct LlamaModel {
    /// Rows of tokens: `[V, E]`.
    pub embed_tokens: Embedding,
    /// From the first to the last.
    pub layers: Vec<LlamaLayer>,
    /// After the last.
    pub norm: RmsNorm,
    #[module(skip)]
    pub(super) rotary: Rotary,
    positions_max: usize,
}

impl LlamaModel {
    /// Hidden states `[B, T, E]`.
    ///
    /// # Panics
    /// If there are no tokens, more than positions, or a mask or positions of another shape. A token
    /// outside the vocabulary fails the evaluation.
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> Tensor {
        let tokens = &input.tokens;
        let prompt = input.prompt.as_ref();
        check_tokens("llama", tokens, self.positions_max.saturating_sub(prompt_length(prompt)));
        let angles = self.rotary.angles(&input.places("llama"), input.length());
        let mask = input.mask.as_ref().map(|mask| key_mask("llama", mask, tokens));
        let mask = mask.map(|mask| mask_after_prompt(prompt, mask));
        let embedded = after_prompt("llama", prompt, self.embed_tokens.weight.embedding(tokens));
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
        let mut x = ctx.tap("embeddings", embedded);
        let options = AttentionOptions { causal: true, mask, ..AttentionOptions::default() };
        for (index, layer) in self.layers.iter().enumerate() {
            let cache = cache.as_deref_mut().map(|cache| (cache, index));
            x = ctx.within("layers", |ctx| {
                ctx.within_index(index, |ctx| layer.forward(&x, angles, &options, cache, ctx))
            });
        }
        let output = self.norm.forward(&x, ctx);
        ctx.tap("output", &output)
    }
}

/// The name in the layers alone. Files have them with or without `model.` before it; old ones carry the
/// frequencies of the angles.
fn rename(name: &str) -> Option<String> {
    let name = name.strip_prefix("model.").unwrap_or(name);
    (!name.ends_with("rotary_emb.inv_freq")).then(|| name.to_owned())
}

impl Pretrained for LlamaModel {
    type Config = LlamaConfig;

    fn new(config: &LlamaConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let rotary =
            Rotary::new(config.head_size(), config.theta(), config.scaling(), init.device());
        let layer = |index| LlamaLayer::new(config, index, init);
        Ok(LlamaModel {
            layers: (0..config.num_hidden_layers).map(layer).collect(),
            embed_tokens: normal_embedding(config.vocab_size, size, deviation, init),
            norm: RmsNorm::new(size, init).epsilon(config.rms_norm_eps),
            rotary: rotary.map_err(|error| error::weights("llama", error))?,
            positions_max: config.positions_max(),
        })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name).filter(|name| name != "lm_head.weight")
    }
}

/// Llama that says which token comes next.
///
/// PyTorch: `transformers.LlamaForCausalLM`, `MistralForCausalLM`, `Qwen2ForCausalLM`.
#[derive(Module, Clone, Debug)]
pub struct LlamaForCausalLanguageModel {
    /// The layers.
    pub model: LlamaModel,
    /// `E -> V`; none if logits are products with the rows of tokens.
    pub lm_head: Option<Linear>,
}

impl LlamaForCausalLanguageModel {
    /// Logits of the token after each.
    ///
    /// # Panics
    /// As [`LlamaModel::forward`].
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> CausalOutput {
        let hidden = ctx.within("model", |ctx| self.model.forward(input, ctx));
        CausalOutput { logits: self.logits(&hidden), last_hidden_state: hidden }
    }

    /// Hidden states `[.., E]` to logits `[.., V]`.
    #[track_caller]
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        let head =
            self.lm_head.as_ref().map_or(&self.model.embed_tokens.weight, |head| &head.weight);
        hidden.matmul(&head.t())
    }
}

impl CausalLanguageModel for LlamaForCausalLanguageModel {
    fn positions_max(&self) -> usize {
        self.model.positions_max
    }

    fn vocabulary(&self) -> usize {
        self.model.embed_tokens.weight.size(0)
    }

    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache> {
        let attention = || self.model.layers.iter().map(|layer| &layer.self_attn);
        let heads: Vec<usize> = attention().map(LlamaAttention::key_value_heads).collect();
        let features = attention().next().map_or(1, LlamaAttention::head_size);
        let device = self.model.norm.weight.device();
        KeyValueCache::of_layers(&heads, batch, capacity, features, device)
            .map_err(|error| error::weights("llama", error))
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        check_tokens("llama", tokens, self.model.positions_max);
        self.model.embed_tokens.weight.embedding(tokens)
    }

    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        let count = embedded.size(1);
        let positions = cache.begin(count).map_err(|error| error::weights("llama", error))?;
        let angles = self.model.rotary.angles(&positions, cache.length_after(count));
        Ok(self.model.run(embedded, &angles, None, Some(cache), ctx))
    }

    fn logits(&self, hidden: &Tensor) -> Tensor {
        LlamaForCausalLanguageModel::logits(self, hidden)
    }
}

impl Pretrained for LlamaForCausalLanguageModel {
    type Config = LlamaConfig;

    fn new(config: &LlamaConfig, init: &mut Init) -> Result<Self> {
        let model = LlamaModel::new(config, init)?;
        let (size, rows) = (config.hidden_size, config.vocab_size);
        let head = || normal_linear(size, rows, false, config.initializer_range, init);
        let lm_head = (!config.tie_word_embeddings).then(head);
        Ok(LlamaForCausalLanguageModel { model, lm_head })
    }

    fn rename(name: &str) -> Option<String> {
        let name = rename(name)?;
        Some(if name == "lm_head.weight" { name } else { format!("model.{name}") })
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.lm_head.is_none() {
            weights.remove("lm_head.weight");
        }
    }
}
