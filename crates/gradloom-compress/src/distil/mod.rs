//! Distillation: a small model learns from a large one, and other ways from large models to small ones.
//!
//! A [`Teacher`] is run frozen, on any device; the losses compare its outputs, hidden states and attention with the
//! student's. Beside it: matrices of [low rank](FactorizedLinear), [shared weights](share_weights), [merging] of
//! models, and [inputs made of a model's statistics](invert) where there is no data.

mod losses;
mod teacher;
mod hidden;
mod low_rank;
mod sharing;
mod inversion;
pub mod merging;

pub use hidden::HiddenStates;
pub use inversion::{Inversion, invert};
pub use losses::{
    attention_loss, attention_transfer_loss, cosine_loss, distillation_loss, hidden_loss,
    relational_loss,
};
pub use low_rank::{FactorizedLinear, Rank};
pub use sharing::{SharedWeight, share_weights};
pub use teacher::{Lesson, Teacher};
