//! Pruning: weights or whole channels that a model can do without.

mod errors;
pub mod structured;
