//! Generating text with language models: prefill of prompts, decoding, choosing tokens, stopping.

mod chunks;
mod clock;
mod decoding;
mod generator;
mod sampler;
mod stop;

pub use decoding::Decoding;
pub use generator::{Generator, Timing};
pub use sampler::{Candidate, Sampler};
pub use stop::Stop;
