//! The WGSL compute shaders of Gradloom.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod files;
mod library;
pub mod permutations;
mod samples;
mod preprocess;

pub use files::{FILES, source};
pub use preprocess::{ExpandError, Options, expand};
