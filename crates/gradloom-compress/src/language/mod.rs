//! Compression of language models, and the formats that carry them.
//!
//! Nearly all numbers of a language model are matrices that multiply activations, and decoding waits for their
//! memory. So weights alone are quantized here, in groups along the inputs, and products read the numbers that they
//! stand for. Methods differ in what they look at: nothing but the weight ([`rounding`], [`hqq`]), the squares of the
//! inputs ([`gptq`], importance matrices), their sizes ([`awq`], [`smooth`]).

mod scheme;
mod matrix;
mod quantized;
mod statistics;
mod calibration;
pub mod rounding;
pub mod gptq;
pub mod hqq;
pub mod awq;
pub mod smooth;
pub mod fold;
mod weights;
mod trained;
pub mod compressed_tensors;
mod importance;
mod quality;
mod trade_off;

pub use calibration::Calibration;
pub use importance::{Importance, ImportanceMatrix, quantize_blocks};
pub use matrix::Matrix;
pub use quality::Quality;
pub use quantized::QuantizedMatrix;
pub use scheme::Scheme;
pub use statistics::{InputStatistics, Statistics};
pub use trade_off::{Running, TradeOff, Variant, bytes_held, bytes_with, layer_errors};
pub use weights::{Method, QuantizedWeights, Selection, quantize, quantize_in_order};
