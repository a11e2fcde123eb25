//! [`Unfreezing`]: weights that learn from a later epoch on.

use gradloom_nn::{Module, ModuleExt};
use serde_json::{Value, json};

use crate::{Callback, Result, Run, error};

/// Freezes weights by the beginnings of their names, and lets them learn again epoch by epoch: a new head first,
/// then the last layers of what was learnt before (Howard and Ruder, "ULMFiT", 2018).
///
/// ```
/// use gradloom_train::callbacks::Unfreezing;
///
/// let unfreezing = Unfreezing::of("encoder.").at(2, "encoder.layer.5.").at(4, "encoder.");
/// # let _ = unfreezing;
/// ```
#[derive(Clone, Debug)]
pub struct Unfreezing {
    frozen: Vec<String>,
    steps: Vec<(u32, String)>,
}

impl Unfreezing {
    /// Freezes the weights whose names begin so, from the first epoch on.
    pub fn of(prefix: impl Into<String>) -> Self {
        Unfreezing { frozen: vec![prefix.into()], steps: Vec::new() }
    }

    /// Freezes these, too.
    #[must_use]
    pub fn and(mut self, prefix: impl Into<String>) -> Self {
        self.frozen.push(prefix.into());
        self
    }

    /// Lets the weights whose names begin so learn from an epoch on, counted from 0.
    #[must_use]
    pub fn at(mut self, epoch: u32, prefix: impl Into<String>) -> Self {
        self.steps.push((epoch, prefix.into()));
        self
    }
}

impl<M: Module> Callback<M> for Unfreezing {
    fn name(&self) -> String {
        "unfreezing".into()
    }

    fn settings(&self) -> Value {
        let steps = self.steps.iter().map(|(epoch, prefix)| format!("{prefix:?} at {epoch}"));
        json!({
            "frozen": self.frozen.join(", "),
            "steps": steps.collect::<Vec<_>>().join(", "),
        })
    }

    fn on_fit_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        let prefixes = self.frozen.iter().chain(self.steps.iter().map(|(_, prefix)| prefix));
        for prefix in prefixes {
            if !run.model.parameters().iter().any(|(name, _)| name.starts_with(prefix)) {
                let message = format!("unfreezing: no weight of the model begins with {prefix:?}");
                return Err(error::invalid(message));
            }
        }
        for prefix in self.frozen.iter().filter(|_| !run.resumed) {
            run.model.set_trainable(false, |name| name.starts_with(prefix));
        }
        Ok(())
    }

    fn on_epoch_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        for (_, prefix) in self.steps.iter().filter(|(epoch, _)| *epoch == run.epoch) {
            run.model.set_trainable(true, |name| name.starts_with(prefix));
        }
        Ok(())
    }
}
