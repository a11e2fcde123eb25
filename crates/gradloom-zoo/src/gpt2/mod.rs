//! GPT-2: a transformer that writes a text from left to right.
//!
//! Radford et al., "Language models are unsupervised multitask learners", 2019. Attention to another
//! model's output is absent.

mod config;
mod layers;
mod model;

pub use config::Gpt2Config;
pub use layers::{Gpt2Attention, Gpt2FeedForward, Gpt2Layer, Gpt2Projection};
pub use model::{Gpt2ForCausalLanguageModel, Gpt2Model};
