//! BERT: a transformer that reads a text in both directions. Also MiniLM, which is a small BERT, and
//! RoBERTa, which counts positions another way.
//!
//! Devlin et al., "BERT: Pre-training of deep bidirectional transformers", 2018; Liu et al., "RoBERTa",
//! 2019; Wang et al., "MiniLM", 2020. Heads for masked tokens, next sentences, classes of texts and sentence
//! vectors. Relative positions and use as a decoder are absent.

mod config;
mod encoder;
mod embeddings;
mod heads;
mod input;
mod model;
mod names;
mod sentences;

pub use config::BertConfig;
pub use embeddings::BertEmbeddings;
pub use encoder::{BertAttention, BertEncoder, BertLayer, BertProjections, BertResidual, Dense};
pub use heads::{
    BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification,
    BertPredictionHead, BertTransform, MaskedLanguageOutput, MaskedLanguagePredictions,
    PreTrainingHeads, PreTrainingOutput,
};
pub use input::BertInput;
pub use model::{BertModel, BertOutput, mean_pooled};
pub use sentences::SentenceEncoder;
