//! Models as plain structs, and what trains them.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

// The derive macro writes `::gradloom_nn`, here as elsewhere.
extern crate self as gradloom_nn;

mod error;

pub mod module;
pub mod parameter;
mod path;
pub mod state_dict;
pub mod weights;
mod module_ext;
mod stateless;

mod layer_runs;
mod products;
mod compute;
mod updates;
mod context;
pub mod init;
pub mod layers;
pub mod functional;
pub mod losses;

mod uncommitted;

pub mod gradients;
pub mod lora;
pub mod optimizers;

mod check;
mod plateau;
mod quantize;
mod schedule;

pub use check::check_finite;
pub use compute::Compute;
pub use context::Context;
pub use error::{Error, Result};
pub use gradients::{Gradients, gradients};
pub use gradloom_macros::Module;
pub use init::Init;
pub use layer_runs::{LayerRun, LayerSource, name_layers};
pub use layers::{Activation, Layer, Sequential};
pub use module::Module;
pub use module_ext::ModuleExt;
pub use optimizers::{Adam, AdamW, Optimizer, RmsProp, Sgd};
pub use parameter::{Parameter, Role};
pub use path::Path;
pub use plateau::{Plateau, PlateauState};
pub use products::{ProductSite, Products};
pub use quantize::{dequantize, quantize, quantize_where};
pub use schedule::{CycleFall, Schedule};
pub use state_dict::{LoadOptions, LoadReport, StateDict};
pub use stateless::{stack_parameters, with_parameters};

/// What the code of `#[derive(Module)]` refers to.
#[doc(hidden)]
pub mod derive_support {
    pub use crate::module::for_each_tensor;
    pub use gradloom_tensor::{Tensor, Tensors};
}
