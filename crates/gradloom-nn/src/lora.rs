//! [`Lora`]: learning small updates beside frozen weights.
//!
//! An update of low rank is learnt for each chosen layer, a hundredth of the weights or less; everything
//! else is frozen, and may stay quantized. Files of updates, in the format of Python's `peft`, are read
//! and written by `gradloom-zoo`. Updates of tables and of convolutions are absent.

use std::collections::BTreeMap;

use crate::layers::{Dropout, LowRank};
use crate::{Init, Module, ModuleExt, Parameter, Path, Result, Role, error};
use gradloom_tensor::{Tensor, eval};

/// Which layers get an update, and of what kind.
///
/// Python: `peft.LoraConfig`. Hu et al., "LoRA: Low-rank adaptation of large language models", 2021.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::lora::{self, Lora};
/// use gradloom_nn::{Activation, Init, Module, ModuleExt};
/// use gradloom_tensor::Key;
///
/// #[derive(Module, Clone)]
/// struct Model {
///     q_proj: Linear,
///     classifier: Linear,
/// }
///
/// # fn main() -> gradloom_nn::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut model =
///     Model { q_proj: Linear::new(64, 64, init), classifier: Linear::new(64, 2, init) };
/// let lora = Lora::new(4).alpha(8.0).targets(["q_proj"]).train_also(["classifier"]);
/// assert_eq!(lora.attach(&mut model, init)?, 1);
/// let names: Vec<String> = model.trainable().into_iter().map(|(name, _)| name).collect();
/// assert_eq!(
///     names,
///     ["q_proj.lora_A.weight", "q_proj.lora_B.weight", "classifier.weight", "classifier.bias"]
/// );
/// lora::merge(&mut model)?;
/// lora::detach(&mut model);
/// assert_eq!(model.parameters().len(), 4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lora {
    rank: usize,
    alpha: f64,
    dropout: f64,
    rank_stabilized: bool,
    ranks: BTreeMap<String, usize>,
    alphas: BTreeMap<String, f64>,
    targets: Vec<String>,
    train_also: Vec<String>,
}

impl Lora {
    /// Updates of this rank, multiplied by `alpha / rank`, where alpha is the rank unless it is set.
    ///
    /// # Panics
    /// If the rank is zero.
    #[track_caller]
    pub fn new(rank: usize) -> Self {
        assert!(rank > 0, "lora: rank 0 updates nothing; give at least 1");
        Lora {
            rank,
            alpha: rank as f64,
            dropout: 0.0,
            rank_stabilized: false,
            ranks: BTreeMap::new(),
            alphas: BTreeMap::new(),
            targets: Vec::new(),
            train_also: Vec::new(),
        }
    }

    /// Sets what the update is multiplied by, times the rank.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Leaves out inputs of the updates with this probability in training.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = Dropout::new(dropout).probability();
        self
    }

    /// Multiplies by `alpha / sqrt(rank)` instead, so that large ranks learn as fast as small ones.
    ///
    /// Kalajdzievski, "A rank stabilization scaling factor for fine-tuning with LoRA", 2023.
    #[must_use]
    pub fn rank_stabilized(mut self, stabilized: bool) -> Self {
        self.rank_stabilized = stabilized;
        self
    }

    /// Sets another rank for the layers whose names are or end with `layer`.
    ///
    /// # Panics
    /// If the rank is zero.
    #[must_use]
    #[track_caller]
    pub fn rank_of(mut self, layer: impl Into<String>, rank: usize) -> Self {
        assert!(rank > 0, "lora: rank 0 updates nothing; give at least 1");
        self.ranks.insert(layer.into(), rank);
        self
    }

    /// Sets another alpha for the layers whose names are or end with `layer`.
    #[must_use]
    pub fn alpha_of(mut self, layer: impl Into<String>, alpha: f64) -> Self {
        self.alphas.insert(layer.into(), alpha);
        self
    }

    /// Sets the layers that get an update: those whose names are or end with one of these, as in
    /// `q_proj` or `attention.output.dense`.
    #[must_use]
    pub fn targets<S: Into<String>>(mut self, targets: impl IntoIterator<Item = S>) -> Self {
        self.targets = targets.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the parts of the model that learn as a whole, such as a new `classifier`.
    #[must_use]
    pub fn train_also<S: Into<String>>(mut self, parts: impl IntoIterator<Item = S>) -> Self {
        self.train_also = parts.into_iter().map(Into::into).collect();
        self
    }

    /// The rank.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What the updates are multiplied by, times the rank.
    pub fn alpha_value(&self) -> f64 {
        self.alpha
    }

    /// Probability with which inputs of updates are left out in training.
    pub fn dropout_probability(&self) -> f64 {
        self.dropout
    }

    /// Whether the divisor is the root of the rank.
    pub fn is_rank_stabilized(&self) -> bool {
        self.rank_stabilized
    }

    /// The names of the layers with an update.
    pub fn target_names(&self) -> &[String] {
        &self.targets
    }

    /// The names of the parts that learn as a whole.
    pub fn train_also_names(&self) -> &[String] {
        &self.train_also
    }

    /// Alphas of layers that have one of their own.
    pub fn alphas(&self) -> &BTreeMap<String, f64> {
        &self.alphas
    }

    /// What a layer's update of some rank is multiplied by.
    pub fn scale(&self, layer: &str, rank: usize) -> f64 {
        let own = self.alphas.iter().find(|(part, _)| is_part(layer, part));
        let alpha = own.map_or(self.alpha, |(_, &alpha)| alpha);
        let rank = rank.max(1) as f64;
        alpha / if self.rank_stabilized { rank.sqrt() } else { rank }
    }

    /// Whether a layer of this name gets an update.
    pub fn is_target(&self, layer: &str) -> bool {
        self.targets.iter().any(|target| is_part(layer, target))
    }

    /// Whether a weight of this name belongs to a part that learns as a whole.
    pub fn is_trained_also(&self, weight: &str) -> bool {
        let parts: Vec<&str> = weight.split('.').collect();
        let layer = |length: usize| parts[..length].join(".");
        (1..=parts.len())
            .any(|length| self.train_also.iter().any(|part| is_part(&layer(length), part)))
    }

    /// Freezes the model, gives the chosen layers updates that change nothing yet, and makes the other
    /// chosen parts trainable. Returns the number of updates.
    ///
    /// # Errors
    /// If a name fits no layer that can have an update, or a layer has one already; the model is then as
    /// before.
    pub fn attach(&self, model: &mut impl Module, init: &mut Init) -> Result<usize> {
        let layers = adaptable(model);
        for target in &self.targets {
            if !layers.keys().any(|layer| is_part(layer, target)) {
                let known = last_parts(layers.keys());
                let message = format!("lora: no layer is named {target:?}; there are {known}");
                return Err(error::mismatch(message));
            }
        }
        for part in &self.train_also {
            let alone = Lora { train_also: vec![part.clone()], ..self.clone() };
            if !model.parameters().iter().any(|(weight, _)| alone.is_trained_also(weight)) {
                return Err(error::mismatch(format!(
                    "lora: no part of the model is named {part:?}"
                )));
            }
        }
        let chosen = layers.into_iter().filter(|(layer, _)| self.is_target(layer));
        let updates = chosen.map(|(layer, [inputs, outputs])| {
            let own = self.ranks.iter().find(|(part, _)| is_part(&layer, part));
            let rank = own.map_or(self.rank, |(_, &rank)| rank);
            let scale = self.scale(&layer, rank);
            let mut update = LowRank::new(inputs, outputs, rank, scale, init);
            update.dropout = Dropout::new(self.dropout);
            (layer, update)
        });
        let updates = updates.collect();
        self.place(model, updates)
    }

    /// As [`attach`](Lora::attach), with these updates, by the names of their layers.
    ///
    /// # Errors
    /// If the model has no such layer, or one of another size, or it has an update already; the model is
    /// then as before.
    pub fn place(
        &self,
        model: &mut impl Module,
        mut updates: BTreeMap<String, LowRank>,
    ) -> Result<usize> {
        let layers = adaptable(model);
        for (layer, update) in &updates {
            let found = [update.inputs(), update.outputs()];
            match layers.get(layer) {
                Some(&expected) if expected == found && update.lora_b.size(1) == update.rank() => {}
                Some([inputs, outputs]) => {
                    return Err(error::mismatch(format!(
                        "lora: {layer} has {inputs} inputs and {outputs} outputs, its update A {} \
                         and B {}",
                        update.lora_a.shape(),
                        update.lora_b.shape()
                    )));
                }
                None => {
                    return Err(error::mismatch(format!(
                        "lora: the model has no layer {layer} that could have an update"
                    )));
                }
            }
        }
        let mut taken = None;
        model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
            if updates.contains_key(layer) && adapter.low_rank().is_some() {
                taken = Some(layer.to_owned());
            }
        });
        if let Some(layer) = taken {
            let advice = "lora::detach takes it away";
            return Err(error::mismatch(format!("lora: {layer} has an update already; {advice}")));
        }
        let count = updates.len();
        model.freeze();
        model.set_trainable(true, |weight| self.is_trained_also(weight));
        model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
            if let Some(update) = updates.remove(layer) {
                adapter.put(Some(update));
            }
        });
        Ok(count)
    }
}

/// True if `name` is `part` or ends with it after a dot.
fn is_part(name: &str, part: &str) -> bool {
    name.strip_suffix(part).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Inputs and outputs of every layer that can have an update.
fn adaptable(model: &mut impl Module) -> BTreeMap<String, [usize; 2]> {
    let weights: BTreeMap<String, Tensor> = matrices(model);
    let mut layers = BTreeMap::new();
    model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
        if let Some(weight) = weights.get(layer) {
            layers.insert(layer.to_owned(), adapter.sizes(weight));
        }
    });
    layers
}

/// The weight matrix of every layer, by the layer's name.
fn matrices(model: &impl Module) -> BTreeMap<String, Tensor> {
    let named = model.parameters().into_iter().filter_map(|(name, parameter)| {
        let layer = layer_of(&name)?.to_owned();
        (parameter.rank() == 2).then(|| (layer, parameter.tensor().clone()))
    });
    named.collect()
}

/// `encoder.query` of `encoder.query.weight`, and the empty name of `weight`.
fn layer_of(weight: &str) -> Option<&str> {
    let layer = weight.strip_suffix("weight")?;
    if layer.is_empty() { Some(layer) } else { layer.strip_suffix('.') }
}

/// The last parts of names, each once: `query, key, value`.
fn last_parts<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let last = |name: &'a String| name.rsplit('.').next().unwrap_or(name);
    let parts: std::collections::BTreeSet<&str> = names.map(last).collect();
    parts.into_iter().collect::<Vec<_>>().join(", ")
}

/// Adds every update to its weight, so that the model runs as fast as without. Returns their number.
///
/// Quantized weights become f32. The weights from before are kept for [`unmerge`] until
/// [`detach`]. Python: `peft.PeftModel.merge_adapter`.
///
/// # Errors
/// If the device cannot compute them; the model is then as before.
pub fn merge(model: &mut impl Module) -> Result<usize> {
    let weights = matrices(model);
    let mut merged = BTreeMap::new();
    model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
        if let Some(sum) = weights.get(layer).and_then(|weight| adapter.merged(weight)) {
            merged.insert(layer.to_owned(), sum);
        }
    });
    eval(merged.values()).map_err(|error| error.context("lora: merging"))?;
    model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
        if merged.contains_key(layer) {
            adapter.set_original(weights[layer].detach());
        }
    });
    replace(model, &merged);
    Ok(merged.len())
}

/// Gives every weight the value from before [`merge`], bit for bit. Returns their number.
///
/// # Errors
/// If the model has moved to another device since; the model is then as before.
pub fn unmerge(model: &mut impl Module) -> Result<usize> {
    let weights = matrices(model);
    let mut originals = BTreeMap::new();
    let mut moved = None;
    model.visit_adapters(&mut Path::root(), &mut |layer, adapter| {
        let Some(original) = adapter.original() else { return };
        if weights.get(layer).is_none_or(|weight| weight.device() != original.device()) {
            moved = Some(layer.to_owned());
        }
        originals.insert(layer.to_owned(), original.clone());
    });
    if let Some(layer) = moved {
        return Err(error::mismatch(format!(
            "lora: {layer} was merged on another device; unmerge before moving the model"
        )));
    }
    model.visit_adapters(&mut Path::root(), &mut |_, adapter| drop(adapter.take_original()));
    replace(model, &originals);
    Ok(originals.len())
}

/// Takes all updates away; what was merged stays in the weights. Returns their number.
///
/// All weights stay frozen. After [`merge`] it is Python's `peft.PeftModel.merge_and_unload`.
pub fn detach(model: &mut impl Module) -> usize {
    let mut count = 0;
    model.visit_adapters(&mut Path::root(), &mut |_, adapter| {
        count += usize::from(adapter.low_rank().is_some());
        adapter.put(None);
    });
    count
}

/// True for the name of a matrix of an update.
pub fn is_update(weight: &str) -> bool {
    weight.ends_with("lora_A.weight") || weight.ends_with("lora_B.weight")
}

fn replace(model: &mut impl Module, weights: &BTreeMap<String, Tensor>) {
    model.for_each_parameter(|name, parameter: &mut Parameter| {
        let Some(weight) = layer_of(name).and_then(|layer| weights.get(layer)) else { return };
        if parameter.role() != Role::State {
            parameter.replace(weight);
        }
    });
}
