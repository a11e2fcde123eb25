//! Structured pruning: whole channels and heads go, and the model is truly smaller.
//!
//! Which indices of which weights make one channel is read from the graph of one run, through residuals,
//! concatenations, groups, norms, flattening and heads of attention (as DepGraph does in PyTorch by hooks). Sizes
//! are those of the weights, so the smaller model is of the same type and is saved and loaded as before, with
//! [`LoadOptions::resized`](gradloom_nn::LoadOptions::resized). Fang et al., "DepGraph: towards any structural
//! pruning", 2023.

mod atoms;
mod trace;
mod rules;
mod structure;
mod importance;
mod selection;
mod shrink;
mod pruning;

pub use importance::Importance;
pub use pruning::{StructuredPruning, StructuredReport};
pub use selection::{Scope, Selection, Target};
pub use structure::{ChannelGroup, Kept, Removal, Structure};
