//! Attributions from derivatives: what the graph already knows how to build.

mod grad;
mod quadrature;
mod saliency;
mod integrated_gradients;
mod gradient_shap;
mod noise_tunnel;
mod grad_cam;
mod conductance;

pub use conductance::{InternalInfluence, LayerConductance, NeuronConductance};
pub(crate) use grad::{difference, gradients, total};
pub use grad_cam::{GradCam, GuidedGradCam};
pub use gradient_shap::GradientShap;
pub(crate) use gradient_shap::distribution_size;
pub use integrated_gradients::IntegratedGradients;
pub use noise_tunnel::{NoiseTunnel, Smoothing};
pub use quadrature::Quadrature;
pub use saliency::{InputXGradient, Saliency};
