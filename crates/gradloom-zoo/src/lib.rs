//! Published models in Gradloom: BERT, GPT-2, Llama, T5.
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
pub mod llama;
pub mod t5;

pub mod adapters;
pub mod generation;
#[cfg(feature = "text")]
pub mod text;

pub use bert::{
    BertConfig, BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification,
    BertInput, BertModel,
};
pub use causal::{CausalInput, CausalLanguageModel, CausalOutput};
pub use config::ModelConfig;
pub use error::{Error, Result};
pub use gpt2::{Gpt2Config, Gpt2ForCausalLanguageModel, Gpt2Model};
pub use llama::{LlamaConfig, LlamaForCausalLanguageModel, LlamaModel};
pub use pretrained::{Pretrained, config_in};
pub use t5::{T5Config, T5ForConditionalGeneration, T5Input, T5Model};
