//! Derivatives as functions from graph to graph.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod checkpoint;
mod custom;
mod forward;
mod reverse;
mod dependents;
mod looping;
mod stacked;
mod rules;
mod replay;
mod batching;
mod batch_axes;
mod vmap;
mod jacobian;

pub use batch_axes::{BatchAxes, IntoBatchAxes};
pub use batching::Randomness;
pub use checkpoint::checkpoint;
pub use custom::custom_grad;
pub use forward::{hvp, jvp};
pub use jacobian::{hessian, jacfwd, jacobian, jacrev};
pub use reverse::{grad, partial_vjp, value_and_grad, vjp};
pub use vmap::{Vmap, vmap};
