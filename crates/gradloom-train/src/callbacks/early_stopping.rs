//! [`EarlyStopping`]: ends a run that does not become better any more.

use gradloom_nn::{Module, ModuleExt, StateDict};
use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Callback, CallbackState, Mode, Monitor, Result, Run};

const NAME: &str = "early stopping";

/// Ends a run when a figure has not become better for `patience` epochs in a row.
///
/// ```
/// use gradloom_train::EarlyStopping;
///
/// let stopping = EarlyStopping::new("val_loss").patience(5).min_delta(1e-3).restore_best(true);
/// # let _ = stopping;
/// ```
///
/// Keras, Lightning: `EarlyStopping`.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: u64,
    restores: bool,
    best: Option<f64>,
    waited: u64,
    weights: StateDict,
}

impl EarlyStopping {
    /// Looks at a figure by name; less is better for losses and errors, else more. Waits for three epochs.
    pub fn new(monitor: impl Into<Monitor>) -> Self {
        EarlyStopping {
            monitor: monitor.into(),
            patience: 3,
            restores: false,
            best: None,
            waited: 0,
            weights: StateDict::new(),
        }
    }

    /// Sets which way is better.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.monitor.mode = mode;
        self
    }

    /// Sets by how much a better figure differs at least.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.monitor.min_delta = min_delta;
        self
    }

    /// Sets after how many epochs without a better figure the run ends.
    #[must_use]
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = epochs;
        self
    }

    /// Whether the model ends with the weights of the best epoch: those that were measured, so averages if
    /// there are.
    #[must_use]
    pub fn restore_best(mut self, restores: bool) -> Self {
        self.restores = restores;
        self
    }

    fn stop_if_waited<M>(&self, run: &mut Run<M>) {
        if self.waited > 0 && self.waited >= self.patience {
            let (name, waited) = (&self.monitor.name, self.waited);
            run.stop(match self.best {
                Some(best) => format!(
                    "early stopping: {name} has not become better than {best:.6} for {waited} epochs"
                ),
                None => format!("early stopping: {name} was NaN for all {waited} epochs"),
            });
        }
    }

    /// The best figure so far.
    pub fn best(&self) -> Option<f64> {
        self.best
    }
}

impl<M: Module + Clone> Callback<M> for EarlyStopping {
    fn name(&self) -> String {
        NAME.into()
    }

    fn on_fit_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        if !run.resumed {
            (self.best, self.waited, self.weights) = (None, 0, StateDict::new());
        }
        run.check_figure(NAME, &self.monitor)?;
        // A run that has ended does not go on because it is started again.
        self.stop_if_waited(run);
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        let value = run.figure(NAME, &self.monitor)?;
        if self.monitor.is_better(value, self.best) {
            (self.best, self.waited) = (Some(value), 0);
            if self.restores {
                self.weights = run.measured_model().state_dict();
            }
            return Ok(());
        }
        self.waited += 1;
        self.stop_if_waited(run);
        Ok(())
    }

    fn on_fit_end(&mut self, run: &mut Run<M>) -> Result<()> {
        run.put_weights(&self.weights);
        Ok(())
    }

    fn settings(&self) -> Value {
        let Monitor { name, mode, min_delta } = &self.monitor;
        json!({
            "monitor": name,
            "mode": format!("{mode:?}"),
            "min_delta": exact::number(*min_delta),
            "patience": self.patience,
            "restore_best": self.restores,
        })
    }

    fn state(&self) -> CallbackState {
        let values = json!({"best": exact::optional(self.best), "waited": self.waited});
        CallbackState { values, tensors: self.weights.clone() }
    }

    fn load_state(&mut self, state: CallbackState) -> Result<()> {
        let values = Entries::new(NAME, &state.values)?;
        (self.best, self.waited) = (values.optional("best")?, values.count("waited")?);
        self.weights = state.tensors;
        Ok(())
    }
}
