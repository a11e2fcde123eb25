//! [`T5Model`] and the text generator on top of it.

use crate::attention::{check_tokens, key_mask};
use crate::linear::{normal_embedding, normal_linear};
use crate::t5::layers::{Encoded, Source};
use crate::t5::{T5Config, T5Stack};
use crate::{ModelConfig, Pretrained, Result};
use gradloom_nn::layers::{Embedding, Linear};
use gradloom_nn::{Context, Init, Module, StateDict};
use gradloom_tensor::Tensor;

/// Texts to read `[B, S]` and, as far as they are written, texts to write `[B, T]`. All integers; masks
/// may be bool.
#[derive(Clone, Debug)]
pub struct T5Input {
    /// `[B, S]`
    pub tokens: Tensor,
    /// `[B, T]`, beginning with the decoder's first token.
    pub decoder_tokens: Tensor,
    /// `[B, S]`: true or nonzero for real tokens; all are without it.
    pub mask: Option<Tensor>,
    /// `[B, T]`: the same for the decoder's.
    pub decoder_mask: Option<Tensor>,
}

impl T5Input {
    /// Texts of equal length.
    pub fn new(tokens: &Tensor, decoder_tokens: &Tensor) -> Self {
        T5Input {
            tokens: tokens.clone(),
            decoder_tokens: decoder_tokens.clone(),
            mask: None,
            decoder_mask: None,
        }
    }

    /// Sets which tokens to read are real, where short texts were filled up.
    #[must_use]
    pub fn mask(mut self, mask: &Tensor) -> Self {
        self.mask = Some(mask.clone());
        self
    }

    /// Sets which of the decoder's tokens are real.
    #[must_use]
    pub fn decoder_mask(mut self, mask: &Tensor) -> Self {
        self.decoder_mask = Some(mask.clone());
        self
    }
}

/// T5's encoder and decoder, which share a table of tokens.
///
/// Taps: `encoder.embeddings`; `encoder.block.0.attention` `[B, H, S, S]`, `encoder.block.0.output`, ...;
/// `encoder.output`; the same of `decoder`, and `decoder.block.0.cross_attention` `[B, H, T, S]`, ....
/// PyTorch: `transformers.T5Model`.
#[derive(Module, Clone, Debug)]
pub struct T5Model {
    /// Rows of tokens: `[V, E]`.
    pub shared: Embedding,
    /// Reads.
    pub encoder: T5Stack,
    /// Writes.
    pub decoder: T5Stack,
}

impl T5Model {
    /// Reads tokens `[B, S]` of which the mask keeps the real ones: `[B, S, E]`.
    ///
    /// PyTorch: `transformers.T5EncoderModel`.
    ///
    /// # Panics
    /// If there are no tokens, or the mask has another shape. A token outside the vocabulary fails the
    /// evaluation.
    #[track_caller]
    pub fn encode(&self, tokens: &Tensor, mask: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        check_tokens("t5", tokens, usize::MAX);
        let mask = mask.map(|mask| key_mask("t5", mask, tokens));
        let embedded = self.shared.weight.embedding(tokens);
        ctx.within("encoder", |ctx| self.encoder.forward(&embedded, mask.as_ref(), None, None, ctx))
    }

    /// What the decoder makes of its tokens `[B, T]` after the encoder's output `[B, S, E]`:
    /// `[B, T, E]`.
    ///
    /// # Panics
    /// If there are no tokens, or the masks or the output have other shapes.
    #[track_caller]
    pub fn decode(&self, input: &T5Input, encoded: &Tensor, ctx: &mut Context) -> Tensor {
        let tokens = &input.decoder_tokens;
        check_tokens("t5", tokens, usize::MAX);
        let (found, expected) = (encoded.shape(), input.tokens.shape());
        assert!(
            found.rank() == 3 && found[..2] == expected[..],
            "t5: an encoder's output of shape {found} for tokens of shape {expected}"
        );
        let mask = input.decoder_mask.as_ref().map(|mask| key_mask("t5", mask, tokens));
        let read = input.mask.as_ref().map(|mask| key_mask("t5", mask, &input.tokens));
        let encoded = Encoded { source: Source::Hidden(encoded), mask: read };
        let embedded = self.shared.weight.embedding(tokens);
        ctx.within("decoder", |ctx| {
            self.decoder.forward(&embedded, mask.as_ref(), Some(&encoded), None, ctx)
        })
    }
}

/// The name in a model. Files may carry the table of tokens for each stack, and a table of distances
/// that nothing reads.
fn rename(name: &str) -> Option<String> {
    let unused = name.ends_with(".embed_tokens.weight")
        || name.ends_with(".EncDecAttention.relative_attention_bias.weight");
    (!unused).then(|| name.to_owned())
}

impl Pretrained for T5Model {
    type Config = T5Config;

    fn new(config: &T5Config, init: &mut Init) -> Result<Self> {
        config.check()?;
        let deviation = config.initializer_factor;
        Ok(T5Model {
            shared: normal_embedding(config.vocab_size, config.d_model, deviation, init),
            encoder: T5Stack::new(config, false, init),
            decoder: T5Stack::new(config, true, init),
        })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name).filter(|name| name != "lm_head.weight")
    }
}

/// T5 that says which token the decoder writes next.
///
/// PyTorch: `transformers.T5ForConditionalGeneration`.
#[derive(Module, Clone, Debug)]
pub struct T5ForConditionalGeneration {
    /// Encoder and decoder.
    #[module(flatten)]
    pub model: T5Model,
    /// `E -> V`; none if logits are products with the rows of tokens.
    pub lm_head: Option<Linear>,
    /// Factor of the decoder's output.
    scale: f64,
    start: usize,
}

/// What [`T5ForConditionalGeneration`] makes of its input.
#[derive(Clone, Debug)]
pub struct T5Output {
    /// `[B, T, V]`: of the token after each.
    pub logits: Tensor,
    /// `[B, T, E]`: the decoder's.
    pub last_hidden_state: Tensor,
    /// `[B, S, E]`: the encoder's.
    pub encoder_last_hidden_state: Tensor,
}

impl T5ForConditionalGeneration {
    /// Logits of the decoder's next tokens.
    ///
    /// # Panics
    /// As [`T5Model::encode`] and [`T5Model::decode`].
    #[track_caller]
    pub fn forward(&self, input: &T5Input, ctx: &mut Context) -> T5Output {
        let encoded = self.model.encode(&input.tokens, input.mask.as_ref(), ctx);
        let hidden = self.model.decode(input, &encoded, ctx);
        T5Output {
            logits: self.logits(&hidden),
            last_hidden_state: hidden,
            encoder_last_hidden_state: encoded,
        }
    }

    /// The token that the decoder begins with.
    pub fn start(&self) -> u32 {
        self.start as u32
    }

    /// The decoder's hidden states `[.., E]` to logits `[.., V]`.
    #[track_caller]
    pub fn logits(&self, hidden: &Tensor) -> Tensor {
        let head = self.lm_head.as_ref().map_or(&self.model.shared.weight, |head| &head.weight);
        let scaled = if self.scale == 1.0 {
            hidden.clone()
        } else {
            hidden * hidden.constant_like(self.scale)
        };
        scaled.matmul(&head.t())
    }

    /// What the decoder is given to learn to write `labels` `[B, T]`: its first token, then all labels
    /// but the last.
    ///
    /// Labels that the loss ignores must be tokens here. Python: `_shift_right`.
    ///
    /// # Panics
    /// If labels are no integers `[B, T]`, or there are none.
    #[track_caller]
    pub fn decoder_tokens(&self, labels: &Tensor) -> Tensor {
        check_tokens("t5", labels, usize::MAX);
        let (batch, length) = (labels.size(0), labels.size(1));
        let start = Tensor::full([batch, 1], self.start as i64, labels.dtype(), labels.device());
        Tensor::concat(&[start, labels.narrow(1, 0, length - 1)], 1)
    }
}

impl Pretrained for T5ForConditionalGeneration {
    type Config = T5Config;

    fn new(config: &T5Config, init: &mut Init) -> Result<Self> {
        let model = T5Model::new(config, init)?;
        let (size, rows) = (config.d_model, config.vocab_size);
        let head = || normal_linear(size, rows, false, config.initializer_factor, init);
        let scale = if config.scales_output() { 1.0 / (size as f64).sqrt() } else { 1.0 };
        Ok(T5ForConditionalGeneration {
            model,
            lm_head: config.may_be_untied().then(head),
            scale,
            start: config.decoder_start(),
        })
    }

    fn rename(name: &str) -> Option<String> {
        rename(name)
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if weights.get("lm_head.weight").is_none() {
            self.lm_head = None;
        }
        if self.lm_head.is_none() {
            weights.remove("lm_head.weight");
        }
    }
}
