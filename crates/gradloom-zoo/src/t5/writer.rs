//! [`T5Writer`]: a T5 that has read its texts and writes the answers token by token.

use crate::attention::{check_tokens, key_mask};
use crate::t5::T5ForConditionalGeneration;
use crate::t5::layers::{Encoded, Source};
use crate::{CausalLanguageModel, Result, error};
use gradloom_nn::layers::KeyValueCache;
use gradloom_nn::{Context, Module};
use gradloom_tensor::{Tensor, eval};

/// A T5 with what its encoder made of some texts: feed it to a
/// [`Generator`](crate::generation::Generator), beginning with [`start`](T5ForConditionalGeneration::start).
#[derive(Module, Clone)]
pub struct T5Writer {
    /// The model.
    #[module(flatten)]
    pub model: T5ForConditionalGeneration,
    /// Keys and values of each layer of the decoder for the encoder's output.
    #[module(skip)]
    encoded: Vec<[Tensor; 2]>,
    #[module(skip)]
    mask: Option<Tensor>,
}

impl T5ForConditionalGeneration {
    /// Reads texts `[B, S]` of which the mask keeps the real tokens, once for all that is written.
    ///
    /// # Errors
    /// If the device fails, or a token is outside the vocabulary.
    ///
    /// # Panics
    /// As [`T5Model::encode`](crate::t5::T5Model::encode).
    #[track_caller]
    pub fn writer(&self, tokens: &Tensor, mask: Option<&Tensor>) -> Result<T5Writer> {
        let mut ctx = Context::eval();
        let hidden = self.model.encode(tokens, mask, &mut ctx);
        let encoded = self.model.decoder.keys_and_values(&hidden, &mut ctx);
        let failed = |error: crate::Error| error.context("t5: reading");
        let mask = mask.map(|mask| key_mask("t5", mask, tokens));
        eval(encoded.iter().flatten().chain(&mask)).map_err(failed)?;
        let leaves = |[key, value]: [Tensor; 2]| [key.detach(), value.detach()];
        Ok(T5Writer {
            model: self.clone(),
            encoded: encoded.into_iter().map(leaves).collect(),
            mask: mask.map(|mask| mask.detach()),
        })
    }
}

impl CausalLanguageModel for T5Writer {
    /// T5 has no table of positions, so any number.
    fn positions_max(&self) -> usize {
        usize::MAX
    }

    fn vocabulary(&self) -> usize {
        self.model.model.shared.weight.size(0)
    }

    fn cache(&self, batch: usize, capacity: usize) -> Result<KeyValueCache> {
        let decoder = &self.model.model.decoder;
        let device = self.model.model.shared.weight.device();
        let attention = decoder.first_attention();
        let (heads, size) = attention.map_or((1, 1), |own| (own.heads(), own.q.outputs()));
        KeyValueCache::new(decoder.block.len(), batch, heads, capacity, size / heads, device)
            .map_err(|error| error::weights("t5", error))
    }

    fn embed(&self, tokens: &Tensor) -> Tensor {
        check_tokens("t5", tokens, usize::MAX);
        self.model.model.shared.weight.embedding(tokens)
    }

    fn hidden_embedded(
        &self,
        embedded: &Tensor,
        cache: &mut KeyValueCache,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        let count = embedded.size(1);
        let positions = cache.begin(count).map_err(|error| error::weights("t5", error))?;
        let encoded = Encoded { source: Source::Projected(&self.encoded), mask: self.mask.clone() };
        let decoder = &self.model.model.decoder;
        Ok(decoder.forward(embedded, None, Some(&encoded), Some((cache, &positions)), ctx))
    }

    fn logits(&self, hidden: &Tensor) -> Tensor {
        self.model.logits(hidden)
    }
}
