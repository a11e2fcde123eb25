//! What goes on inside a model.

mod attention;
mod logit_lens;
mod maximization;
mod patching;
mod probe;
mod tcav;
mod trac_in;
mod views;

pub use attention::{attention_maps, attention_rollout};
pub use logit_lens::logit_lens;
pub use maximization::ActivationMaximization;
pub use patching::{PatchEffect, activation_patching};
pub use probe::Probe;
pub use tcav::{ConceptVector, tcav};
pub use trac_in::trac_in;
pub use views::{LayerView, layer_views};
