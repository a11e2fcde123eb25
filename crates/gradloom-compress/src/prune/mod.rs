//! Pruning: weights or whole channels that a model can do without.
//!
//! Single weights are left out by [`Masks`]: chosen by [magnitude](Masks::magnitude), by [`Pruner`] while a model
//! learns, or by what layers read. Whole channels are taken out by [`structured`]
//! pruning.

mod errors;
mod ranks;
mod masks;
mod schedule;
mod pruned;
mod pruner;
mod calibration;
mod wanda;
mod sparse_gpt;
pub mod structured;

pub use calibration::InputStatistics;
pub use masks::{LayerSparsity, Masks, is_prunable, sparsity_of};
pub use pruned::Pruned;
pub use pruner::Pruner;
pub use ranks::Sparsity;
pub use schedule::SparsitySchedule;
pub use sparse_gpt::{SparseGpt, sparse_gpt};
pub use wanda::wanda;

/// Runs the code of the page about pruning as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../../docs/pruning.md")]
struct PageAboutPruning;
