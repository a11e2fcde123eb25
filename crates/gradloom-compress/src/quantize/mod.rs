//! Quantization: weights and activations as integers of 2 to 8 bits.
//!
//! - [`Observer`] chooses the range of numbers that integers stand for, [`Scheme`] says how they do, and a [`Recipe`]
//!   says which layers of a model are quantized so.
//! - [`Calibrator`] runs a model over a few hundred samples and sees how far the inputs of its products reach.
//! - [`Int8Model`] then computes with integers: static from layer to layer, or dynamic without any data.
//! - [`FakeQuantized`] computes with rounded numbers in f32: it shows what a recipe costs, and learns with it.
//! - [`quantize_weights`] and [`store_weights`] are for weights alone, [`sensitivity`] says which layers suffer.
//!
//! | here | PyTorch (`torch.ao.quantization`) |
//! | --- | --- |
//! | [`Recipe`], [`LayerScheme`] | `QConfigMapping`, `QConfig` |
//! | [`Calibrator`] | `prepare`, and runs |
//! | [`Int8Model::convert`] | `convert` after `fuse_modules` |
//! | [`Int8Model::dynamic`] | `quantize_dynamic` |
//! | [`FakeQuantized`] | `prepare_qat` |
//! | [`Observer::MovingMinMax`], [`Observer::Mse`] | `MovingAverageMinMaxObserver`, `HistogramObserver` |
//!
//! Methods for large language models (GPTQ, AWQ, ..) stand in [`language`](crate::language).

mod scheme;
mod histogram;
mod observer;
mod fake;
mod parameters;
mod recipe;
mod bounds;
mod fusion;
mod calibrate;
mod quantizers;
mod weights;
mod aware;
mod sensitivity;
mod activation;
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
pub use sensitivity::{LayerSensitivity, SensitivityReport, sensitivity};
pub use weights::{WeightReport, block_format, quantize_weights, round_weights, store_weights};
