//! [`BertConfig`]: sizes and switches of BERT and RoBERTa.

use std::collections::BTreeMap;

use crate::config::Checker;
use crate::{ModelConfig, Result};
use serde::Deserialize;

/// Sizes and switches under the original's keys; what is left out is BERT base.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct BertConfig {
    /// `bert`, or a family with RoBERTa's positions: `roberta`, `xlm-roberta`, `camembert`.
    pub model_type: String,
    /// V: number of tokens.
    pub vocab_size: usize,
    /// E: features of a token.
    pub hidden_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H: heads of each layer.
    pub num_attention_heads: usize,
    /// Features inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
    /// Dropout of layers in training.
    pub hidden_dropout_prob: f64,
    /// Dropout of attention weights in training.
    pub attention_probs_dropout_prob: f64,
    /// Dropout before a classifier in training; `hidden_dropout_prob` if none.
    pub classifier_dropout: Option<f64>,
    /// Rows of the table of positions. RoBERTa leaves the first `pad_token_id + 1` unused.
    pub max_position_embeddings: usize,
    /// Kinds of sentences; RoBERTa has one.
    pub type_vocab_size: usize,
    /// Deviation of first values.
    pub initializer_range: f64,
    /// What keeps the root of layer norms from zero.
    pub layer_norm_eps: f64,
    /// The token that fills up short texts.
    pub pad_token_id: Option<usize>,
    /// Must be `absolute`.
    pub position_embedding_type: Option<String>,
    /// Must be false: only encoders are here.
    pub is_decoder: bool,
    /// Must be true: the predictions of masked tokens use the table of tokens.
    pub tie_word_embeddings: bool,
    /// Number of classes, where no names are given.
    pub num_labels: Option<usize>,
    /// Names of the classes.
    pub id2label: Option<BTreeMap<String, String>>,
}

impl Default for BertConfig {
    fn default() -> Self {
        BertConfig {
            model_type: "bert".to_owned(),
            vocab_size: 30522,
            hidden_size: 768,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            intermediate_size: 3072,
            hidden_act: "gelu".to_owned(),
            hidden_dropout_prob: 0.1,
            attention_probs_dropout_prob: 0.1,
            classifier_dropout: None,
            max_position_embeddings: 512,
            type_vocab_size: 2,
            initializer_range: 0.02,
            layer_norm_eps: 1e-12,
            pad_token_id: Some(0),
            position_embedding_type: None,
            is_decoder: false,
            tie_word_embeddings: true,
            num_labels: None,
            id2label: None,
        }
    }
}

impl BertConfig {
    /// Number of classes of a classifier.
    pub fn labels(&self) -> usize {
        let named = self.id2label.as_ref().map(BTreeMap::len);
        named.or(self.num_labels).unwrap_or(2)
    }

    /// The row of the table of positions that stands before the first token's, where positions count
    /// real tokens from the one after it: RoBERTa's padding token.
    pub(super) fn padding_row(&self) -> Option<usize> {
        let counts = matches!(self.model_type.as_str(), "roberta" | "xlm-roberta" | "camembert");
        counts.then(|| self.pad_token_id.unwrap_or(1))
    }

    /// Number of tokens that a text may have.
    pub fn positions_max(&self) -> usize {
        let unused = self.padding_row().map_or(0, |row| row.saturating_add(1));
        self.max_position_embeddings.saturating_sub(unused)
    }

    pub(super) fn classifier_dropout(&self) -> f64 {
        self.classifier_dropout.unwrap_or(self.hidden_dropout_prob)
    }
}

impl ModelConfig for BertConfig {
    const MODEL: &'static str = "bert";

    fn check(&self) -> Result<()> {
        const TYPES: [&str; 4] = ["bert", "roberta", "xlm-roberta", "camembert"];
        let positions = self.position_embedding_type.as_deref().unwrap_or("absolute");
        Checker::new::<Self>()
            .require(TYPES.contains(&self.model_type.as_str()), || {
                format!("model_type is {:?}; known are {}", self.model_type, TYPES.join(", "))
            })
            .size("vocab_size", self.vocab_size)
            .divides(
                "num_attention_heads",
                self.num_attention_heads,
                "hidden_size",
                self.hidden_size,
            )
            .layers("num_hidden_layers", self.num_hidden_layers)
            .size("intermediate_size", self.intermediate_size)
            .size("max_position_embeddings", self.max_position_embeddings)
            .size("type_vocab_size", self.type_vocab_size)
            .size("number of labels", self.labels())
            .require(self.padding_row().is_none_or(|row| row < self.vocab_size), || {
                format!("pad_token_id is no token of {}", self.vocab_size)
            })
            .require(self.positions_max() > 0, || {
                let rows = self.max_position_embeddings;
                format!("max_position_embeddings is {rows}, which leaves no position for a token")
            })
            .activation("hidden_act", &self.hidden_act)
            .probability("hidden_dropout_prob", self.hidden_dropout_prob)
            .probability("attention_probs_dropout_prob", self.attention_probs_dropout_prob)
            .probability("classifier_dropout", self.classifier_dropout())
            .deviation("initializer_range", self.initializer_range)
            .positive("layer_norm_eps", self.layer_norm_eps)
            .require(positions == "absolute", || {
                format!("position_embedding_type is {positions:?}; only absolute is supported")
            })
            .require(!self.is_decoder, || "is_decoder is true; only encoders are supported".into())
            .require(self.tie_word_embeddings, || {
                "tie_word_embeddings is false; only tied embeddings are supported".into()
            })
            .finish()
    }
}
