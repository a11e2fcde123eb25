//! [`Callback`]: what looks into a run, and may change or stop it.

use gradloom_nn::{Module, ModuleExt, Optimizer, StateDict};
use serde_json::Value;

use crate::average::Averages;
use crate::{Monitor, Result};

/// A run as callbacks see it.
pub struct Run<'a, M> {
    /// The model. What is changed here is what the next step begins with.
    pub model: &'a mut M,
    /// The optimizer. A learning rate that is set holds until a schedule sets the next.
    pub optimizer: &'a mut dyn Optimizer,
    /// Number of the epoch, from 0.
    pub epoch: u32,
    /// Steps done.
    pub step: u64,
    /// The figures of the batch or the epoch that ended.
    pub scalars: &'a [(String, f64)],
    /// The names of the figures that epochs end with.
    pub names: &'a [String],
    /// True if the run goes on from a checkpoint.
    pub resumed: bool,
    pub(crate) averages: Option<&'a mut Averages>,
    pub(crate) stop: &'a mut Option<String>,
}

impl<M> Run<'_, M> {
    /// Ends the run after this step or epoch. The first reason counts.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop.get_or_insert(reason.into());
    }

    /// True if somebody asked for the end.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_some()
    }

    /// The figure of this name among those of the epoch.
    ///
    /// # Errors
    /// If there is none of the name; the message lists those there are.
    pub fn figure(&self, who: &str, monitor: &Monitor) -> Result<f64> {
        monitor.of(who, self.scalars)
    }

    /// An error if epochs will not have this figure: ask before the first one.
    ///
    /// # Errors
    /// If there will be none of the name; the message lists those there will be.
    pub fn check_figure(&self, who: &str, monitor: &Monitor) -> Result<()> {
        monitor.check(who, self.names)
    }
}

impl<M: Module> Run<'_, M> {
    /// Gives the model these weights, and averages too, if there are: they are what is measured from then on.
    /// Weights of other names stay.
    #[track_caller]
    pub fn put_weights(&mut self, weights: &StateDict) {
        self.model.for_each_parameter(|name, parameter| {
            if let Some(weight) = weights.get(name) {
                parameter.set(weight);
            }
        });
        if let Some(averages) = &mut self.averages {
            averages.put(weights);
        }
    }
}

impl<M: Module + Clone> Run<'_, M> {
    /// The model that validation measures: with averaged weights, if there are.
    pub fn measured_model(&self) -> M {
        match &self.averages {
            Some(averages) => averages.model(self.model),
            None => self.model.clone(),
        }
    }
}

/// What a callback remembers.
#[derive(Clone, Debug, Default)]
pub struct CallbackState {
    /// Numbers and texts. Floats are kept as texts, which JSON reads back exactly.
    pub values: Value,
    /// Tensors by name.
    pub tensors: StateDict,
}

/// Looks into a run, and may change or stop it. A tracker that logs every figure implements this for all
/// models.
///
/// ```
/// use gradloom_train::{Callback, Result, Run};
///
/// /// Collects the loss of every step.
/// struct Losses(Vec<(u64, f64)>);
///
/// impl<M> Callback<M> for Losses {
///     fn name(&self) -> String {
///         "losses".into()
///     }
///
///     fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
///         let losses = run.scalars.iter().filter(|(name, _)| name == "loss");
///         self.0.extend(losses.map(|(_, loss)| (run.step, *loss)));
///         Ok(())
///     }
/// }
/// ```
pub trait Callback<M>: Send {
    /// What its state is called in checkpoints. Two of one run have different names.
    fn name(&self) -> String;

    /// Before the first batch, also of a run that goes on.
    ///
    /// # Errors
    /// What keeps the run from beginning.
    fn on_fit_begin(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// Before an epoch, also one that goes on in its middle.
    ///
    /// # Errors
    /// What ends the run.
    fn on_epoch_begin(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// Before a batch.
    ///
    /// # Errors
    /// What ends the run.
    fn on_batch_begin(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// After a batch, with its loss, the learning rate, and the norm of gradients where it is clipped.
    ///
    /// # Errors
    /// What ends the run.
    fn on_batch_end(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// After an epoch and its validation, with all figures.
    ///
    /// # Errors
    /// What ends the run.
    fn on_epoch_end(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// After the last epoch, or the step at which the run was stopped.
    ///
    /// # Errors
    /// What the run ends with.
    fn on_fit_end(&mut self, _run: &mut Run<M>) -> Result<()> {
        Ok(())
    }

    /// What decides what it does, if it changes a run: one that goes on from a checkpoint compares it. Null of one
    /// that only looks.
    fn settings(&self) -> Value {
        Value::Null
    }

    /// What it remembers, for a checkpoint.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Goes on with what another of the same settings remembered.
    ///
    /// # Errors
    /// If the state does not suit.
    fn load_state(&mut self, _state: CallbackState) -> Result<()> {
        Ok(())
    }
}
