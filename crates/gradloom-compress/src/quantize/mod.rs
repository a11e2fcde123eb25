//! Quantization: observers, post-training and aware training.

mod scheme;
mod histogram;
mod observer;
mod fake;
mod parameters;
mod recipe;
mod fusion;
mod calibrate;
mod quantizers;
mod weights;
mod aware;
mod integer_ops;
mod integer_layer;
mod integer;
mod lowering;

pub use aware::{FakeQuantized, Scales};
pub use calibrate::{Calibration, Calibrator};
pub use fake::{fake_quantize, initial_step, learned_step_quantize};
pub use integer::Int8Model;
pub use observer::{Observer, Statistics};
pub use parameters::QuantizationParameters;
pub use quantizers::Quantizers;
pub use recipe::{LayerScheme, Recipe};
pub use scheme::{Granularity, Range, Scheme};
pub use weights::{WeightReport, block_format, quantize_weights, round_weights, store_weights};
