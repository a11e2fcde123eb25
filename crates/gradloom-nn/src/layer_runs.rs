//! [`LayerRun`]: which layers ran, in their order, and what came out: what summaries of models are made of.

use std::collections::BTreeMap;

use crate::{Module, Path, Role};
use gradloom_tensor::{DType, LayerScope, LayerTag, Shape, Tensor};

/// A run of a layer that has weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerRun {
    /// The layer's place in the model: `encoder.layer.0.query`; empty if the model is the layer.
    pub name: String,
    /// What it is, as PyTorch calls it: `Linear`, `Conv2d`.
    pub kind: &'static str,
    /// Full names of its parameters, without running statistics.
    pub parameters: Vec<String>,
    /// Shape of its output.
    pub output: Shape,
    /// Dtype of its output.
    pub dtype: DType,
}

/// A run before anyone knows the names of the model's places.
pub(crate) struct Run {
    kind: &'static str,
    /// Names within the layer, and identities.
    parameters: Vec<(String, u64)>,
    output: Shape,
    dtype: DType,
}

impl Run {
    pub(crate) fn new(kind: &'static str, layer: &(impl Module + ?Sized), output: &Tensor) -> Self {
        let mut parameters = Vec::new();
        layer.visit(&mut Path::root(), &mut |name, parameter| {
            if parameter.role() != Role::State {
                parameters.push((name.to_owned(), parameter.identity()));
            }
        });
        Run { kind, parameters, output: *output.shape(), dtype: output.dtype() }
    }
}

/// The scope of a layer that has parameters, for profiles.
pub(crate) fn scope(kind: &'static str, layer: &(impl Module + ?Sized)) -> Option<LayerScope> {
    let mut first: Option<(String, u64)> = None;
    layer.visit(&mut Path::root(), &mut |name, parameter| {
        if first.is_none() {
            first = Some((name.to_owned(), parameter.identity()));
        }
    });
    first.map(|(own, identity)| LayerTag::enter(kind, identity, &own))
}

/// Tells profiles the names of a model's layers. A trainer does it itself.
pub fn name_layers(model: &(impl Module + ?Sized)) {
    model.visit(&mut Path::root(), &mut |name, parameter| {
        LayerTag::name_parameter(parameter.identity(), name);
    });
}

/// Runs by the names of a model's places; those of other models and of layers without weights are left out.
pub(crate) fn named(runs: &[Run], model: &(impl Module + ?Sized)) -> Vec<LayerRun> {
    let mut names = BTreeMap::new();
    model.visit(&mut Path::root(), &mut |name, parameter| {
        names.insert(parameter.identity(), name.to_owned());
    });
    let named = runs.iter().filter_map(|run| {
        let (own, identity) = run.parameters.first()?;
        let full = names.get(identity)?;
        let place = full.strip_suffix(own.as_str()).unwrap_or(full);
        let known = run.parameters.iter().filter_map(|(_, identity)| names.get(identity).cloned());
        Some(LayerRun {
            name: place.trim_end_matches('.').to_owned(),
            kind: run.kind,
            parameters: known.collect(),
            output: run.output,
            dtype: run.dtype,
        })
    });
    named.collect()
}
