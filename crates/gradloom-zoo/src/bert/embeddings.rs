//! [`BertEmbeddings`]: what a token, its place and its sentence bring, added and normalised.

use crate::attention::check_tokens;
use crate::bert::{BertConfig, BertInput};
use crate::linear::normal_embedding;
use crate::prompt::{after_prompt, prompt_length};
use gradloom_nn::layers::{Dropout, Embedding, LayerNorm};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::{DType, Tensor};

/// Sum of the rows of a token, its position and its sentence, normalised: tokens `[B, T]` ->
/// `[B, T, E]`.
#[derive(Module, Clone, Debug)]
pub struct BertEmbeddings {
    /// `[V, E]`
    pub word_embeddings: Embedding,
    /// `[positions, E]`
    pub position_embeddings: Embedding,
    /// `[sentences, E]`
    pub token_type_embeddings: Embedding,
    /// `[E]`
    #[module(rename = "LayerNorm")]
    pub layer_norm: LayerNorm,
    dropout: Dropout,
    positions_max: usize,
    #[module(skip)]
    padding_row: Option<usize>,
}

impl BertEmbeddings {
    pub(super) fn new(config: &BertConfig, init: &mut Init) -> Self {
        let (size, deviation) = (config.hidden_size, config.initializer_range);
        let mut table = |rows| normal_embedding(rows, size, deviation, init);
        BertEmbeddings {
            word_embeddings: table(config.vocab_size),
            position_embeddings: table(config.max_position_embeddings),
            token_type_embeddings: table(config.type_vocab_size),
            layer_norm: LayerNorm::new(size, init).epsilon(config.layer_norm_eps),
            dropout: Dropout::new(config.hidden_dropout_prob),
            positions_max: config.positions_max(),
            padding_row: config.padding_row(),
        }
    }

    #[track_caller]
    pub(super) fn forward(&self, input: &BertInput, ctx: &mut Context) -> Tensor {
        let tokens = &input.tokens;
        let prompt = input.prompt.as_ref();
        let length = prompt_length(prompt);
        check_tokens("bert", tokens, self.positions_max.saturating_sub(length));
        let words = after_prompt("bert", prompt, self.word_embeddings.forward(tokens, ctx));
        let sentences = match &input.token_types {
            Some(types) => {
                let (found, expected) = (types.shape(), tokens.shape());
                assert!(
                    found == expected,
                    "bert: token types of shape {found} for tokens of shape {expected}"
                );
                let first = Tensor::zeros([tokens.size(0), length], types.dtype(), types.device());
                let types = if length > 0 { &Tensor::concat(&[&first, types], 1) } else { types };
                self.token_type_embeddings.forward(types, ctx)
            }
            None => self.token_type_embeddings.weight.index(0, 0),
        };
        let sum = words + sentences + self.places(tokens, length);
        self.dropout.forward(&self.layer_norm.forward(&sum, ctx), ctx)
    }

    /// The rows of the positions of a prompt's vectors and the tokens: `[P + T, E]`, or `[B, T, E]` where
    /// only real tokens count.
    #[track_caller]
    fn places(&self, tokens: &Tensor, prompt: usize) -> Tensor {
        let table = &self.position_embeddings.weight;
        let length = prompt + tokens.size(1);
        let row = match self.padding_row {
            None => return table.narrow(0, 0, length),
            // What stands there is then not known by its token; all places count.
            Some(row) if prompt > 0 => return table.narrow(0, row + 1, length),
            Some(row) => row,
        };
        let padding = tokens.constant_like(row as i64);
        let real = tokens.ne(&padding).cast(DType::I32);
        let positions = real.cumsum(1) * &real + real.constant_like(row as i64);
        table.embedding(&positions)
    }
}
