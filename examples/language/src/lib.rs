//! The models and texts that several examples of language begin with.
#![forbid(unsafe_code)]

pub mod minilm;
pub mod reviews;
pub mod sentiment;
pub mod shakespeare;
pub mod vocabulary;
