//! Generating text with language models: prefill of prompts, decoding, choosing tokens, stopping.

mod chunks;
mod generator;
mod sampler;

pub use generator::{Decoding, Generator, Stop, Timing};
pub use sampler::{Candidate, Sampler};
