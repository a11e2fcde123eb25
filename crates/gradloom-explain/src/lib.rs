//! Models, explained.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod rows;
mod draws;

mod inputs;
mod target;
mod forward;
mod method;

mod gradients;
mod rules;
mod perturbations;
mod text;
mod trust;

pub use forward::Forward;
pub use gradients::{
    GradCam, GradientShap, GuidedGradCam, InputXGradient, IntegratedGradients, InternalInfluence,
    LayerConductance, NoiseTunnel, Quadrature, Saliency, Smoothing,
};
pub use inputs::{Baseline, Inputs};
pub use method::{Attribution, Method};
pub use perturbations::{
    Distance, Estimate, FeatureAblation, FeaturePermutation, Features, KernelShap, Lime,
    LinearModel, Occlusion, ShapleySampling, ShapleyValues,
};
pub use rules::{Deconvolution, DeepLift, DeepLiftShap, GuidedBackprop, Lrp, LrpLayer, LrpRule};
pub use target::Target;
pub use text::{attribute_each, continuation_log_probabilities, per_token};
pub use trust::{
    CurveOrder, Fgsm, Infidelity, Norm, Perturbed, Pgd, RemovalCurve, Randomized, SensitivityMax,
    randomization_check, removal_curve,
};
