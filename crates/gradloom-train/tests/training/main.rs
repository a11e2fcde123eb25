//! What a trainer computes: the same as a loop by hand, as one large batch, as PyTorch's formulas.

mod callbacks;
mod ends;
mod faults;
mod figures;
mod numbers;
mod progress;
mod sets;
mod steps;
#[cfg(feature = "track")]
mod tracking;
