//! Published models in Gradloom: BERT, GPT-2, Llama, T5.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;

mod config;
mod pretrained;

mod attention;
mod linear;

pub mod bert;

pub use bert::{
    BertConfig, BertForMaskedLanguageModel, BertForPreTraining, BertForSequenceClassification,
    BertInput, BertModel,
};
pub use config::ModelConfig;
pub use error::{Error, Result};
pub use pretrained::{Pretrained, config_in};
