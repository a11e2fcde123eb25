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

pub use checkpoint::checkpoint;
pub use custom::custom_grad;
pub use forward::{hvp, jvp};
pub use reverse::{grad, value_and_grad, vjp};
