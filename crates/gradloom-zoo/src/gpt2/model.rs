//! [`Gpt2Model`] and the language model on top of it.

use crate::attention::{check_tokens, key_mask};
use crate::causal::{CausalInput, CausalLanguageModel, CausalOutput};
use crate::gpt2::{Gpt2Attention, Gpt2Config, Gpt2Layer};
use crate::linear::normal_embedding;
use crate::prompt::{after_prompt, mask_after_prompt, prompt_length};
use crate::{ModelConfig, Pretrained, Result, error};
use gradloom_nn::layers::{Dropout, Embedding, KeyValueCache, LayerNorm};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::attention::AttentionOptions;

/// GPT-2's layers: tokens `[B, T] -> [B, T, E]`.
///
/// Taps: `embeddings`; `h.0.attention` `[B, H, T, T]`, `h.0.output`, ...; `output` after the last norm.
/// PyTorch: `transformers.GPT2Model`.
#[derive(Module, Clone, Debug)]
pub struct Gpt2Model {
    /// Rows of tokens: `[V, E]`.
    pub wte: Embedding,
    /// Rows of positions: `[positions, E]`.
    pub wpe: Embedding,
    /// From the first to the last.
    pub h: Vec<Gpt2Layer>,
    /// After the last.
    pub ln_f: LayerNorm,
    dropout: Dropout,
}

impl Gpt2Model {
    /// Hidden states `[B, T, E]`.
    ///
    /// # Panics
    /// If there are no tokens, more than positions, or a mask or positions of another shape. A token
    /// outside the vocabulary fails the evaluation.
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> Tensor {
        let tokens = &input.tokens;
        let prompt = input.prompt.as_ref();
        let positions_max = self.wpe.weight.size(0).saturating_sub(prompt_length(prompt));
        check_tokens("gpt2", tokens, positions_max);
        let places = match &input.positions {
            Some(_) => self.wpe.forward(&input.places("gpt2"), ctx),
            None => self.wpe.weight.narrow(0, 0, input.length()),
        };
        let mask = input.mask.as_ref().map(|mask| key_mask("gpt2", mask, tokens));
        let mask = mask.map(|mask| mask_after_prompt(prompt, mask));
        let embedded = after_prompt("gpt2", prompt, self.wte.forward(tokens, ctx));
        self.run(embedded, places, mask, None, ctx)
    }

    /// Rows of tokens whose rows of positions are `places`.
    #[track_caller]
    fn run(
        &self,
        embedded: Tensor,
        places: Tensor,
        mask: Option<Tensor>,
        mut cache: Option<&mut KeyValueCache>,
        ctx: &mut Context,
    ) -> Tensor {
        let embedded = self.dropout.forward(&(embedded + places), ctx);
        let mut x = ctx.tap("embeddings", &embedded);
        let options = AttentionOptions { causal: true, mask, ..AttentionOptions::default() };
        for (index, layer) in self.h.iter().enumerate() {
            let cache = cache.as_deref_mut().map(|cache| (cache, index));
            x = ctx.within("h", |ctx| {
                ctx.within_index(index, |ctx| layer.forward(&x, &options, cache, ctx))
            });
        }
        let output = self.ln_f.forward(&x, ctx);
        ctx.tap("output", &output)
    }
}

/// The name in the layers alone. Files have them with or without `transformer.` before it, and may
/// carry masks, and the table of tokens once more.
fn rename(name: &str) -> Option<String> {
    let name = name.strip_prefix("transformer.").unwrap_or(name);
    let mask = name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
    (!mask && name != "lm_head.weight").then(|| name.to_owned())
}

impl Pretrained for Gpt2Model {
    type Config = Gpt2Config;

    fn new(config: &Gpt2Config, init: &mut Init) -> Result<Self> {
        config.check()?;
        let (size, deviation) = (config.n_embd, config.initializer_range);
        Ok(Gpt2Model {
            wte: normal_embedding(config.vocab_size, size, deviation, init),
            wpe: normal_embedding(config.n_positions, size, deviation, init),
            h: (0..config.n_layer).map(|index| Gpt2Layer::new(config, index, init)).collect(),
            ln_f: LayerNorm::new(size, init).epsilon(config.layer_norm_epsilon),
            dropout: Dropout::new(config.embd_pdrop),
        })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name)
    }
}

/// GPT-2 that says which token comes next. Logits are products with the rows of tokens.
///
/// PyTorch: `transformers.GPT2LMHeadModel`.
#[derive(Module, Clone, Debug)]
pub struct Gpt2ForCausalLanguageModel {
    /// The layers.
    pub transformer: Gpt2Model,
}

impl Gpt2ForCausalLanguageModel {
    /// Logits of the token after each.
    ///
    /// # Panics
    /// As [`Gpt2Model::forward`].
    #[track_caller]
    pub fn forward(&self, input: &CausalInput, ctx: &mut Context) -> CausalOutput {
        let hidden = ctx.within("transformer", |ctx| self.transformer.forward(input, ctx));
        CausalOutput { logits: self.logits(&hidden), last_hidden_state: hidden }
    }

    /// Hidden states `[.., E]` to logits `[.., V]`.
    #[track_caller]
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        hidden.matmul(&self.transformer.wte.weight.t())
    }
}

impl CausalLanguageModel for Gpt2ForCausalLanguageModel {
    fn positions_max(&self) -> usize {
        self.transformer.wpe.weight.size(0)
    }

    fn vocabulary(&self) -> usize {
        self.transformer.wte.weight.size(0)
    }

    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache> {
        let attention = || self.transformer.h.iter().map(|layer| &layer.attn);
        let heads: Vec<usize> = attention().map(Gpt2Attention::heads).collect();
        let features = attention().next().map_or(1, Gpt2Attention::head_size);
        let device = self.transformer.wte.weight.device();
        KeyValueCache::of_layers(&heads, batch, capacity, features, device)
            .map_err(|error| error::weights("gpt2", error))
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        check_tokens("gpt2", tokens, self.positions_max());
        self.transformer.wte.weight.embedding(tokens)
    }

    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        let positions =
            cache.begin(embedded.size(1)).map_err(|error| error::weights("gpt2", error))?;
        let places = self.transformer.wpe.weight.embedding(&positions);
        Ok(self.transformer.run(embedded.clone(), places, None, Some(cache), ctx))
    }

    fn logits(&self, hidden: &Tensor) -> Tensor {
        Gpt2ForCausalLanguageModel::logits(self, hidden)
    }
}

impl Pretrained for Gpt2ForCausalLanguageModel {
    type Config = Gpt2Config;

    fn new(config: &Gpt2Config, init: &mut Init) -> Result<Self> {
        Ok(Gpt2ForCausalLanguageModel { transformer: Gpt2Model::new(config, init)? })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name).map(|name| format!("transformer.{name}"))
    }
}
