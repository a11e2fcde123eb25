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
pub mod compressed_tensors;

pub use calibration::Calibration;
pub use matrix::Matrix;
pub use quantized::QuantizedMatrix;
pub use scheme::Scheme;
pub use statistics::{InputStatistics, Statistics};
pub use weights::{Method, QuantizedWeights, Selection, quantize, quantize_in_order};
