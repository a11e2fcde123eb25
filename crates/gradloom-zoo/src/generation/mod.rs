//! Writing texts with language models: reading prompts, choosing tokens, stopping.

mod generator;
mod sampler;

pub use generator::{Generator, Stop, Timing, Writing};
pub use sampler::{Candidate, Sampler};
