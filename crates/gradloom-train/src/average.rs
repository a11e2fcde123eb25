//! [`Ema`] and [`Swa`]: means of the weights on the way, which are often better than the last ones.

use std::collections::BTreeMap;

use gradloom_nn::{Module, ModuleExt, Parameter, Path, StateDict};
use gradloom_tensor::{Tensor, Tensors, commit};
use serde_json::{Value, json};

use crate::{Result, error, exact};

/// Means of trainable weights by name. Whatever else a model has is the model's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Averages {
    tensors: BTreeMap<String, Tensor>,
}

impl Averages {
    /// Takes over trainable weights that have no mean yet.
    fn begin(&mut self, model: &dyn Module) {
        model.visit(&mut Path::root(), &mut |name, parameter: &Parameter| {
            if parameter.is_trainable() && !self.tensors.contains_key(name) {
                self.tensors.insert(name.to_owned(), parameter.detach());
            }
        });
    }

    /// Moves each mean by a share of the way to the weight.
    fn move_by(&mut self, model: &dyn Module, share: f64) {
        model.visit(&mut Path::root(), &mut |name, parameter: &Parameter| {
            if let Some(mean) = self.tensors.get_mut(name) {
                let (weight, wide) = (parameter.detach().wide(), mean.wide());
                *mean = (&wide + (weight - &wide) * share).cast(mean.dtype());
            }
        });
    }

    /// Takes other values for the means that there are.
    pub(crate) fn put(&mut self, weights: &StateDict) {
        for (name, mean) in &mut self.tensors {
            if let Some(weight) = weights.get(name) {
                *mean = weight.detach();
            }
        }
    }

    /// A copy of the model with the means for weights.
    pub(crate) fn model<M: Module + Clone>(&self, model: &M) -> M {
        let mut copy = model.clone();
        copy.for_each_parameter(|name, parameter| {
            if let Some(mean) = self.tensors.get(name) {
                parameter.set(mean);
            }
        });
        copy
    }

    pub(crate) fn state(&self) -> StateDict {
        self.tensors.iter().map(|(name, mean)| (name.clone(), mean.detach())).collect()
    }

    pub(crate) fn load(&mut self, part: &str, dict: StateDict, model: &dyn Module) -> Result<()> {
        for (name, mean) in dict.iter() {
            let fits = model.parameter(name).is_some_and(|parameter| {
                parameter.shape() == mean.shape() && parameter.dtype() == mean.dtype()
            });
            if !fits {
                return Err(error::mismatch(format!(
                    "checkpoint: {part} has {name} {} {}, which is no weight of the model",
                    mean.dtype(),
                    mean.shape()
                )));
            }
        }
        self.tensors = dict.into_iter().collect();
        Ok(())
    }
}

impl Tensors for Averages {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.tensors.values_mut().for_each(visit);
    }
}

/// An exponential moving average of the weights, taken after every step:
/// `mean = decay * mean + (1 - decay) * weight`.
///
/// At first the decay is `(1 + n) / (10 + n)` after `n` steps, if that is less, so that the first weights are
/// soon forgotten. It is computed with the step itself.
///
/// PyTorch: `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn`. Polyak, Juditsky, "Acceleration of
/// stochastic approximation by averaging", 1992.
#[derive(Clone, Debug)]
pub struct Ema {
    decay: f64,
    warms_up: bool,
    pub(crate) updates: u64,
    pub(crate) averages: Averages,
}

impl Ema {
    /// Keeps `decay` of the mean at each step, usually 0.99 to 0.9999.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[track_caller]
    pub fn new(decay: f64) -> Self {
        assert!((0.0..=1.0).contains(&decay), "ema: a decay of {decay}; give one in 0..=1");
        Ema { decay, warms_up: true, updates: 0, averages: Averages::default() }
    }

    /// Uses the whole decay from the first step on.
    #[must_use]
    pub fn without_warmup(mut self) -> Self {
        self.warms_up = false;
        self
    }

    /// The decay of the next update.
    pub fn decay(&self) -> f64 {
        let n = self.updates as f64;
        if self.warms_up { self.decay.min((1.0 + n) / (10.0 + n)) } else { self.decay }
    }

    /// Takes over the weights of a model, before its first step: they are what the mean begins with.
    pub fn begin(&mut self, model: &dyn Module) {
        self.averages.begin(model);
    }

    /// Takes in the weights after a step, as graph: commit this with the weights.
    pub fn update(&mut self, model: &dyn Module) {
        self.averages.begin(model);
        self.averages.move_by(model, 1.0 - self.decay());
        self.updates += 1;
    }

    pub(crate) fn settings(&self) -> Value {
        json!({"decay": exact::number(self.decay), "warmup": self.warms_up})
    }

    /// Forgets all means.
    pub(crate) fn restart(&mut self) {
        (self.updates, self.averages) = (0, Averages::default());
    }

    /// A copy of the model with the means for weights.
    pub fn model<M: Module + Clone>(&self, model: &M) -> M {
        self.averages.model(model)
    }
}

impl Tensors for Ema {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.averages.for_each_tensor(visit);
    }
}

/// Stochastic weight averaging: the plain mean of the weights at the ends of epochs.
///
/// At the end of a fit the model gets the means, and its running statistics are measured anew in one pass over
/// the training set.
///
/// PyTorch: `torch.optim.swa_utils.AveragedModel` and `update_bn`. Izmailov et al., "Averaging weights leads to
/// wider optima and better generalization", 2018.
#[derive(Clone, Debug)]
pub struct Swa {
    pub(crate) from_epoch: u32,
    pub(crate) count: u64,
    pub(crate) averages: Averages,
}

impl Swa {
    /// From the end of epoch number `epoch` on, counted from 0.
    pub fn from_epoch(epoch: u32) -> Self {
        Swa { from_epoch: epoch, count: 0, averages: Averages::default() }
    }

    /// Takes in the weights at the end of an epoch.
    ///
    /// # Errors
    /// If the mean cannot be computed.
    pub fn update(&mut self, model: &dyn Module) -> Result<()> {
        self.averages.begin(model);
        self.count += 1;
        self.averages.move_by(model, 1.0 / self.count as f64);
        commit(&mut self.averages)
    }

    /// Forgets all means.
    pub(crate) fn restart(&mut self) {
        (self.count, self.averages) = (0, Averages::default());
    }

    /// How many epochs the mean is of.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// A copy of the model with the means for weights.
    pub fn model<M: Module + Clone>(&self, model: &M) -> M {
        self.averages.model(model)
    }
}
