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
mod inside;
mod embedding;
mod surrogate;
pub mod report;

pub use embedding::{Pca, Tsne, Umap, trustworthiness};
pub use forward::Forward;
pub use gradients::{
    GradCam, GradientShap, GuidedGradCam, InputXGradient, IntegratedGradients, InternalInfluence,
    LayerConductance, NeuronConductance, NoiseTunnel, Quadrature, Saliency, Smoothing,
};
pub use inputs::{Baseline, Inputs};
pub use inside::{
    ActivationMaximization, ConceptVector, LayerView, PatchEffect, Probe, activation_patching,
    attention_maps, attention_rollout, layer_views, logit_lens, tcav, trac_in,
};
pub use method::{Attribution, Method};
pub use perturbations::{
    Distance, Estimate, FeatureAblation, FeaturePermutation, Features, KernelShap, Lime,
    LinearModel, Occlusion, ShapleySampling, ShapleyValues,
};
pub use rules::{Deconvolution, DeepLift, DeepLiftShap, GuidedBackprop, Lrp, LrpLayer, LrpRule};
pub use surrogate::{
    Changed, Counterfactual, DecisionTree, Importance, PartialDependence, Rule, TreeNode,
    TreeOptions, TreeSplit, partial_dependence, permutation_importance, quantile_grid,
};
pub use target::Target;
pub use text::{attribute_each, continuation_log_probabilities, per_token};
pub use trust::{
    CurveOrder, Fgsm, Infidelity, Norm, Perturbed, Pgd, Randomized, RemovalCurve, SensitivityMax,
    randomization_check, removal_curve,
};
