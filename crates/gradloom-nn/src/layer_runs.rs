//! [`LayerRun`]: which layers ran, in their order, what each read, and what came out: what summaries and pictures of
//! models are made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Module, Path, Role};
use gradloom_tensor::{DType, LayerScope, LayerTag, Op, Shape, Tensor};

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
    /// What its output is made of, through ops that have no weights.
    pub sources: Vec<LayerSource>,
}

/// What a layer reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerSource {
    /// The output of an earlier run, by its number in the list.
    Run(usize),
    /// A tensor that was there before the model ran and is no weight of it.
    Input {
        /// Inputs are counted in the order in which they are met.
        number: usize,
        /// Its shape.
        shape: Shape,
        /// Its dtype.
        dtype: DType,
    },
}

/// A run before anyone knows the names of the model's places.
struct Run {
    kind: &'static str,
    /// Names within the layer, and identities.
    parameters: Vec<(String, u64)>,
    output: Tensor,
}

/// All runs so far.
pub(crate) struct Runs {
    /// What has a smaller number was there before.
    first_id: u64,
    runs: Vec<Run>,
}

impl Runs {
    pub(crate) fn begin() -> Self {
        Runs { first_id: Tensor::next_id(), runs: Vec::new() }
    }

    pub(crate) fn push(
        &mut self,
        kind: &'static str,
        layer: &(impl Module + ?Sized),
        output: &Tensor,
    ) {
        let mut parameters = Vec::new();
        layer.visit(&mut Path::root(), &mut |name, parameter| {
            if parameter.role() != Role::State {
                parameters.push((name.to_owned(), parameter.identity()));
            }
        });
        self.runs.push(Run { kind, parameters, output: output.clone() });
    }

    /// Runs by the names of a model's places; those of other models and of layers without weights are left out.
    pub(crate) fn named(&self, model: &(impl Module + ?Sized)) -> Vec<LayerRun> {
        let mut names = BTreeMap::new();
        let mut weights = BTreeSet::new();
        model.visit(&mut Path::root(), &mut |name, parameter| {
            names.insert(parameter.identity(), name.to_owned());
            weights.insert(parameter.tensor().id());
        });
        let mut trace = Trace { first_id: self.first_id, weights, ..Trace::default() };
        let mut named = Vec::new();
        for run in &self.runs {
            let Some((own, identity)) = run.parameters.first() else { continue };
            let Some(full) = names.get(identity) else { continue };
            let place = full.strip_suffix(own.as_str()).unwrap_or(full);
            let known =
                run.parameters.iter().filter_map(|(_, identity)| names.get(identity).cloned());
            named.push(LayerRun {
                name: place.trim_end_matches('.').to_owned(),
                kind: run.kind,
                parameters: known.collect(),
                output: *run.output.shape(),
                dtype: run.output.dtype(),
                sources: trace.sources(&run.output),
            });
            trace.outputs.insert(run.output.id(), named.len() - 1);
        }
        named
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

/// The way back from a layer's output to those before it.
#[derive(Default)]
struct Trace {
    first_id: u64,
    weights: BTreeSet<u64>,
    /// The latest run of each output: a layer may hand on what a layer inside it made.
    outputs: BTreeMap<u64, usize>,
    inputs: Vec<u64>,
}

impl Trace {
    fn sources(&mut self, output: &Tensor) -> Vec<LayerSource> {
        if let Some(&run) = self.outputs.get(&output.id()) {
            return vec![LayerSource::Run(run)];
        }
        let (mut seen, mut found) = (BTreeSet::new(), BTreeMap::new());
        let mut stack = operands(output);
        while let Some(tensor) = stack.pop() {
            if !seen.insert(tensor.id()) || self.weights.contains(&tensor.id()) {
                continue;
            }
            let source = match self.outputs.get(&tensor.id()) {
                Some(&run) => LayerSource::Run(run),
                None if tensor.id() < self.first_id => self.input(&tensor),
                None => {
                    stack.extend(operands(&tensor));
                    continue;
                }
            };
            found.insert(tensor.id(), source);
        }
        found.into_values().collect()
    }

    fn input(&mut self, tensor: &Tensor) -> LayerSource {
        let known = self.inputs.iter().position(|&id| id == tensor.id());
        let number = known.unwrap_or_else(|| {
            self.inputs.push(tensor.id());
            self.inputs.len() - 1
        });
        LayerSource::Input { number, shape: *tensor.shape(), dtype: tensor.dtype() }
    }
}

/// What a tensor is made of, also where its history is cut.
fn operands(tensor: &Tensor) -> Vec<Tensor> {
    match tensor.op() {
        Op::Detach(source) => source.source().into_iter().collect(),
        _ => tensor.inputs().to_vec(),
    }
}
