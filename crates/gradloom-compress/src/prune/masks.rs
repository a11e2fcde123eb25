//! [`Masks`]: which weights stay, kept with the model and its checkpoints.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::errors::mismatch;
use super::ranks::{Sparsity, kept};
use gradloom_nn::{Module, ModuleExt, Parameter, ProductSite, Products, Role};
use gradloom_tensor::{DType, Key, Result, Tensor, commit, eval};
use rustc_hash::FxHashMap;

/// Which weights stay (true), by the weights' names: states of a model that are saved with it.
#[derive(Module, Clone, Debug, Default)]
pub struct Masks {
    #[module(flatten)]
    masks: BTreeMap<String, Parameter>,
}

/// How many weights of a layer are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerSparsity {
    /// The weight's name.
    pub name: String,
    /// Its number of elements.
    pub count: usize,
    /// How many are zero.
    pub zeros: usize,
}

impl LayerSparsity {
    /// The part that is zero.
    pub fn sparsity(&self) -> f64 {
        self.zeros as f64 / self.count.max(1) as f64
    }
}

/// True for the weights that are usually pruned: trainable matrices and kernels of floats. Biases, norms and
/// states are few and stay.
pub fn is_prunable(_name: &str, parameter: &Parameter) -> bool {
    parameter.role() != Role::State
        && parameter.rank() >= 2
        && parameter.dtype().is_float()
        && !parameter.is_quantized()
}

impl Masks {
    /// Keeps every weight that `choose` is true for, until some go.
    pub fn ones(model: &(impl Module + ?Sized), choose: impl Fn(&str, &Parameter) -> bool) -> Self {
        let mut masks = BTreeMap::new();
        for (name, parameter) in model.parameters() {
            if choose(&name, parameter) {
                let ones = Tensor::full(*parameter.shape(), true, DType::Bool, parameter.device());
                masks.insert(name, Parameter::state(ones));
            }
        }
        Masks { masks }
    }

    /// By the weights' absolute values: the least go.
    ///
    /// # Errors
    /// If nothing is chosen, a chosen weight is quantized or of integers, the sparsity is not within `0..1`, a pattern
    /// does not divide the inputs of a weight, or the device cannot compute the masks.
    pub fn magnitude(
        model: &(impl Module + ?Sized),
        sparsity: Sparsity,
        choose: impl Fn(&str, &Parameter) -> bool,
    ) -> Result<Self> {
        Masks::by(model, sparsity, choose, |_, weight| weight.wide().abs())
    }

    /// By chance: what other choices are compared with.
    ///
    /// # Errors
    /// As [`magnitude`](Masks::magnitude).
    pub fn random(
        model: &(impl Module + ?Sized),
        sparsity: Sparsity,
        key: Key,
        choose: impl Fn(&str, &Parameter) -> bool,
    ) -> Result<Self> {
        Masks::by(model, sparsity, choose, |number, weight| {
            Tensor::uniform(key.fold(number as u32), *weight.shape(), 0.0, 1.0, weight.device())
        })
    }

    fn by(
        model: &(impl Module + ?Sized),
        sparsity: Sparsity,
        choose: impl Fn(&str, &Parameter) -> bool,
        score: impl Fn(usize, &Tensor) -> Tensor,
    ) -> Result<Self> {
        let mut scores = Vec::new();
        for (name, parameter) in model.parameters() {
            if !choose(&name, parameter) {
                continue;
            }
            if !parameter.dtype().is_float() || parameter.is_quantized() {
                return Err(mismatch(format!(
                    "prune: {name} cannot be pruned: it is {}; leave it out, as is_prunable does",
                    if parameter.is_quantized() { "quantized" } else { "no float" }
                )));
            }
            scores.push((name, score(scores.len(), parameter)));
        }
        Masks::of_scores(scores, sparsity)
    }

    /// By scores of the same shapes as the weights: the least go, and of equal ones the first.
    ///
    /// # Errors
    /// If there are none, the sparsity is not within `0..1`, a pattern does not divide the inputs of a weight, or the
    /// device cannot compute the masks.
    pub fn of_scores(
        scores: impl IntoIterator<Item = (String, Tensor)>,
        sparsity: Sparsity,
    ) -> Result<Self> {
        let scores: Vec<(String, Tensor)> = scores.into_iter().collect();
        if scores.is_empty() {
            return Err(mismatch("prune: no weight was chosen"));
        }
        let kept = kept(&scores, sparsity)?;
        eval(kept.iter().map(|(_, mask)| mask)).map_err(|error| error.context("prune: masks"))?;
        Ok(kept.into_iter().collect())
    }

    /// The masks by the names of their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.masks.iter().map(|(name, mask)| (name.as_str(), mask.tensor()))
    }

    /// The mask of a weight.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.masks.get(name).map(Parameter::tensor)
    }

    /// Number of weights with a mask.
    pub fn len(&self) -> usize {
        self.masks.len()
    }

    /// True without masks.
    pub fn is_empty(&self) -> bool {
        self.masks.is_empty()
    }

    /// An error unless each mask has its weight in the model.
    ///
    /// # Errors
    /// Names the mask that has no weight, or one of another shape.
    pub fn check(&self, model: &(impl Module + ?Sized)) -> Result<()> {
        let weights: BTreeMap<String, &Parameter> = model.parameters().into_iter().collect();
        for (name, mask) in self.iter() {
            match weights.get(name) {
                None => return Err(mismatch(format!("prune: the model has no weight {name}"))),
                Some(weight) if weight.shape() != mask.shape() => {
                    return Err(mismatch(format!(
                        "prune: the mask of {name} is {}, the weight {}",
                        mask.shape(),
                        weight.shape()
                    )));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Sets what does not stay to zero, as graph: [`commit`] computes it with the step of an optimizer, after which it
    /// is called. Neither momentum nor weight decay moves a weight then that does not stay.
    ///
    /// # Panics
    /// If a mask has another shape than its weight.
    #[track_caller]
    pub fn apply(&self, model: &mut (impl Module + ?Sized)) {
        model.for_each_parameter(|name, parameter| {
            if let Some(mask) = self.get(name) {
                let (shape, own) = (parameter.shape(), mask.shape());
                assert!(shape == own, "prune: the mask of {name} is {own}, the weight {shape}");
                let zeroed = masked(parameter, mask);
                parameter.update(zeroed);
            }
        });
    }

    /// Sets what does not stay to zero, for good.
    ///
    /// # Errors
    /// If a mask has no weight or one of another shape, or the device cannot compute the weights.
    pub fn finish<M: Module + gradloom_tensor::Tensors>(&self, model: &mut M) -> Result<()> {
        self.check(model)?;
        self.apply(model);
        commit(model)
    }

    /// Reads products of a model's weights without what does not stay, so that gradients have zeros there. Weights
    /// that layers read in parts are zero anyway once [`apply`](Masks::apply) was called.
    pub fn products(&self, model: &(impl Module + ?Sized)) -> Arc<dyn Products> {
        let mut masks = FxHashMap::default();
        for (name, parameter) in model.parameters() {
            if let Some(mask) = self.get(&name) {
                masks.insert(parameter.identity(), mask.clone());
            }
        }
        Arc::new(Masked(masks))
    }

    /// How many weights of each layer go.
    ///
    /// # Errors
    /// If the device cannot count them.
    pub fn report(&self) -> Result<Vec<LayerSparsity>> {
        let mut report = Vec::new();
        for (name, mask) in self.iter() {
            let kept: Vec<u8> = mask.cast(DType::U8).to_vec()?;
            let zeros = kept.iter().filter(|&&kept| kept == 0).count();
            report.push(LayerSparsity { name: name.to_owned(), count: kept.len(), zeros });
        }
        Ok(report)
    }
}

impl FromIterator<(String, Tensor)> for Masks {
    fn from_iter<I: IntoIterator<Item = (String, Tensor)>>(masks: I) -> Self {
        let masks = masks.into_iter().map(|(name, mask)| (name, Parameter::state(mask)));
        Masks { masks: masks.collect() }
    }
}

/// How many elements of a model's matrices and kernels are zero.
///
/// # Errors
/// If the device cannot count them.
pub fn sparsity_of(model: &(impl Module + ?Sized)) -> Result<Vec<LayerSparsity>> {
    let mut counts = Vec::new();
    for (name, parameter) in model.parameters() {
        if is_prunable(&name, parameter) {
            let zeros = parameter.wide().eq(0.0).cast(DType::I32).sum(..);
            counts.push((name, parameter.count(), zeros));
        }
    }
    eval(counts.iter().map(|(_, _, zeros)| zeros))?;
    let of = |(name, count, zeros): (String, usize, Tensor)| {
        Ok(LayerSparsity { name, count, zeros: zeros.item()? as usize })
    };
    counts.into_iter().map(of).collect()
}

fn masked(weight: &Tensor, mask: &Tensor) -> Tensor {
    mask.select(weight, weight.zeros_like())
}

/// Masks by the identity of their parameters.
struct Masked(FxHashMap<u64, Tensor>);

impl Products for Masked {
    fn operands(&self, site: ProductSite<'_>, [x, weight]: [&Tensor; 2]) -> [Tensor; 2] {
        let mask = self.0.get(&site.parameter.identity());
        let mask = mask.filter(|mask| mask.shape() == weight.shape());
        [x.clone(), mask.map_or_else(|| weight.clone(), |mask| masked(weight, mask))]
    }
}
