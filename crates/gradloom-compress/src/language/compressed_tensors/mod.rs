//! Folders of compressed-tensors, which transformers and vLLM load: `config.json` with a `quantization_config`, and
//! safetensors with packed integers.
//!
//! Here are the formats `pack-quantized` (2 to 8 bits, groups or channels) and `int-quantized` (8 bits, channels).
//! Formats of floats, sparse ones, and quantized activations are absent.

mod format;
mod packing;
mod read;
mod schemes;
mod write;

pub use format::Format;
pub use read::Folder;
pub use write::Export;
