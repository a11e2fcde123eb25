//! Published models in Gradloom.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;

mod config;
mod pretrained;

mod attention;
mod causal;
mod linear;
mod prompt;

pub mod bert;
pub mod gpt2;
pub mod gpt_neox;
pub mod llama;
pub mod t5;

pub mod adapters;
pub mod generation;
#[cfg(feature = "text")]
pub mod text;

pub use bert::{
    BertConfig, BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification,
    BertInput, BertModel, SentenceEncoder,
};
pub use causal::{CausalInput, CausalLanguageModel, CausalOutput};
pub use config::{Family, ModelConfig};
pub use error::{Error, Result};
pub use gpt2::{Gpt2Config, Gpt2ForCausalLanguageModel, Gpt2Model};
pub use llama::{LlamaConfig, LlamaForCausalLanguageModel, LlamaModel};
pub use pretrained::{Pretrained, config_in};
pub use t5::{T5Config, T5ForConditionalGeneration, T5Input, T5Model};

/// Every family, for programs that do not know which a `config.json` is of.
pub const FAMILIES: &[Family] = &[
    Family::of::<BertConfig>(),
    Family::of::<Gpt2Config>(),
    Family::of::<gpt_neox::GptNeoxConfig>(),
    Family::of::<LlamaConfig>(),
    Family::of::<T5Config>(),
];
