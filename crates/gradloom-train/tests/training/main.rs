//! What a trainer computes: the same as a loop by hand, as one large batch, as PyTorch's formulas.

mod callbacks;
mod ends;
mod faults;
mod fashion;
mod figures;
mod numbers;
mod precision;
mod progress;
mod sets;
mod steps;
mod strangers;
#[cfg(feature = "track")]
mod tracking;
