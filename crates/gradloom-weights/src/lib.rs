//! Weight files for Gradloom: safetensors, PyTorch checkpoints and GGUF.
#![doc = include_str!("../README.md")]

mod checkpoint;
mod entry;
mod value;
mod error;
mod source;
mod folder;
pub mod safetensors;
pub mod gguf;
mod torch;
mod convert;
mod contents;
mod deflated;
mod zip;
mod reader;
mod replace;

pub use checkpoint::{Checkpoint, Format};
pub use convert::WideIntegers;
pub use entry::{Entry, Stored};
pub use error::{Error, Result};
pub use value::{Array, Value};
