//! Llama and the models of its build: SmolLM2, Mistral, Qwen2.
//!
//! Touvron et al., "LLaMA", 2023; Jiang et al., "Mistral 7B", 2023; Yang et al., "Qwen2 technical
//! report", 2024. What these share: rotary positions, RMS norms, gated feed-forward layers, and keys and
//! values that several heads share. Mixtures of experts are absent.

mod config;
mod gguf;
mod gguf_writer;
mod layers;
mod model;
mod rope;

pub use config::LlamaConfig;
pub use layers::{LlamaAttention, LlamaFeedForward, LlamaLayer};
pub use model::{LlamaForCausalLanguageModel, LlamaModel};
pub use rope::RopeParameters;
