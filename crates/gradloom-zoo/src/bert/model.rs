//! [`BertModel`]: the encoder, and what makes one vector of a text.

use crate::attention::key_mask;
use crate::bert::{BertConfig, BertEmbeddings, BertEncoder, BertInput, Dense, names};
use crate::linear::normal_linear;
use crate::prompt::{mask_after_prompt, prompt_length};
use crate::{ModelConfig, Pretrained, Result};
use gradloom_nn::{Context, Init, Layer, Module, StateDict};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Tensor};

/// BERT's encoder: tokens `[B, T] -> [B, T, E]`.
///
/// Taps: `embeddings`, and `encoder.layer.0.attention` `[B, H, T, T]`, `encoder.layer.0.output`, ...
/// PyTorch: `transformers.BertModel`, `transformers.RobertaModel`.
#[derive(Module, Clone, Debug)]
pub struct BertModel {
    /// Tokens to vectors.
    pub embeddings: BertEmbeddings,
    /// The layers.
    pub encoder: BertEncoder,
    /// `tanh(W h)` of the first token: what next-sentence prediction trained. Encoders of masked
    /// language models have none.
    pub pooler: Option<Dense>,
}

/// What [`BertModel`] makes of tokens `[B, T]`.
#[derive(Clone, Debug)]
pub struct BertOutput {
    /// `[B, T, E]`
    pub last_hidden_state: Tensor,
    /// `[B, E]`, if the model has a pooler.
    pub pooled: Option<Tensor>,
}

impl BertModel {
    pub(super) fn build(config: &BertConfig, pooler: bool, init: &mut Init) -> Result<Self> {
        config.check()?;
        let size = config.hidden_size;
        let embeddings = BertEmbeddings::new(config, init);
        let encoder = BertEncoder::new(config, init);
        let mut dense = || normal_linear(size, size, true, config.initializer_range, init);
        let pooler = pooler.then(|| Dense { dense: dense() });
        Ok(BertModel { embeddings, encoder, pooler })
    }

    /// Hidden states, and the pooled first token.
    ///
    /// # Panics
    /// If there are no tokens, more than positions, or a mask or types of another shape. A token outside
    /// the vocabulary fails the evaluation.
    #[track_caller]
    pub fn forward(&self, input: &BertInput, ctx: &mut Context) -> BertOutput {
        let embedded = self.embeddings.forward(input, ctx);
        let embedded = ctx.tap("embeddings", &embedded);
        let mask = input.mask.as_ref().map(|mask| key_mask("bert", mask, &input.tokens));
        let mask = mask.map(|mask| mask_after_prompt(input.prompt.as_ref(), mask));
        let options = AttentionOptions { mask, ..AttentionOptions::default() };
        let hidden = ctx.within("encoder", |ctx| self.encoder.forward(&embedded, &options, ctx));
        let pooled = self
            .pooler
            .as_ref()
            .map(|pooler| pooler.dense.forward(&hidden.index(1, 0), ctx).tanh());
        BertOutput { last_hidden_state: hidden, pooled }
    }

    /// One vector of length 1 for each text, `[B, E]`: the mean of the hidden states of real tokens.
    ///
    /// Python: `SentenceTransformer(...).encode`, where its modules are mean pooling and normalisation,
    /// as for MiniLM. Reimers, Gurevych, "Sentence-BERT", 2019.
    ///
    /// # Panics
    /// As [`forward`](BertModel::forward).
    #[track_caller]
    pub fn sentence_embeddings(&self, input: &BertInput, ctx: &mut Context) -> Tensor {
        let hidden = self.forward(input, ctx).last_hidden_state;
        let prompt = prompt_length(input.prompt.as_ref());
        let hidden = hidden.narrow(1, prompt, hidden.size(1) - prompt);
        mean_pooled(&hidden, input.mask.as_ref()).normalize(-1, 1e-12)
    }
}

/// The mean of the hidden states `[B, T, E]` of tokens that the mask `[B, T]` keeps: `[B, E]`. A text
/// without any gives zeros.
///
/// # Panics
/// If the mask has another shape.
#[track_caller]
pub fn mean_pooled(hidden: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let Some(mask) = mask else { return hidden.mean(1) };
    assert!(
        hidden.rank() == 3 && mask.shape()[..] == hidden.shape()[..2],
        "mean_pooled: a mask of shape {} for hidden states of shape {}",
        mask.shape(),
        hidden.shape()
    );
    let kept = mask.cast(DType::Bool).cast(hidden.dtype()).unsqueeze(-1);
    let count = kept.sum(1);
    (hidden * &kept).sum(1) / count.maximum(count.ones_like())
}

impl Pretrained for BertModel {
    type Config = BertConfig;

    fn new(config: &BertConfig, init: &mut Init) -> Result<Self> {
        BertModel::build(config, true, init)
    }

    fn rename(name: &str) -> Option<String> {
        names::encoder(name)
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if weights.get("pooler.dense.weight").is_none() {
            self.pooler = None;
        }
    }
}
