//! Attributions by other rules than the derivative's: one pass over the graph from the output to the
//! features, in which a method decides what a node hands to its operands.
//!
//! Rules hang on nodes, not on layers of a model. So a layer that runs twice is two places like any other,
//! and activations that a model computes itself are treated as those of layers.

mod graph;
mod sources;
mod deep_lift;
mod deep_lift_rules;
mod guided;
mod lrp;
mod lrp_layers;

pub use deep_lift::{DeepLift, DeepLiftShap};
pub use guided::{Deconvolution, GuidedBackprop};
pub use lrp::Lrp;
pub use lrp_layers::{LrpLayer, LrpRule};
