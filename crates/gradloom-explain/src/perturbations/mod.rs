//! Attributions from what a model says about inputs that lack some of their features. They need no
//! derivatives, only answers.

mod features;
mod segments;
mod variants;
mod game;
mod ablation;
mod occlusion;
mod permutation;
mod shapley;
mod linear_model;
mod coalitions;
mod lime;
mod kernel_shap;

pub use ablation::FeatureAblation;
pub use features::Features;
pub use kernel_shap::KernelShap;
pub use lime::{Distance, Lime};
pub use linear_model::LinearModel;
pub use occlusion::Occlusion;
pub use permutation::FeaturePermutation;
pub use shapley::{Estimate, ShapleySampling, ShapleyValues};

pub(crate) use variants::Variants;
