//! Weight files for Gradloom: safetensors, PyTorch checkpoints, GGUF, NumPy's arrays and TensorFlow.js.
#![doc = include_str!("../README.md")]

mod checkpoint;
mod options;
mod file;
mod reading;
mod entry;
mod value;
mod error;
mod mapped;
mod source;
mod folder;
pub mod safetensors;
pub mod gguf;
pub mod imatrix;
mod torch;
mod numpy;
mod tfjs;
mod formats;
mod convert;
mod outside;
mod scale;
mod contents;
mod deflated;
mod zip;
mod reader;

pub use checkpoint::Checkpoint;
pub use convert::WideIntegers;
pub use entry::{Entry, Stored};
pub use error::{Error, Result};
pub use file::Format;
pub use options::ReadOptions;
pub use value::{Array, Value};
