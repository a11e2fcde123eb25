//! T5: a transformer that reads one text and writes another.
//!
//! Raffel et al., "Exploring the limits of transfer learning with a unified text-to-text transformer",
//! 2019. Also its version 1.1, with gated feed-forward layers and logits of their own (Flan-T5).

mod attention;
mod buckets;
mod config;
mod layers;
mod model;
mod writer;

pub use attention::T5Attention;
pub use buckets::Buckets;
pub use config::T5Config;
pub use layers::{
    T5Block, T5CrossAttention, T5Dense, T5FeedForward, T5Inner, T5SelfAttention, T5Stack,
    T5Sublayer,
};
pub use model::{T5ForConditionalGeneration, T5Input, T5Model, T5Output};
pub use writer::T5Writer;
