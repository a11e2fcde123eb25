//! [`Monitor`]: a figure that is to become better, and which way better is.

use crate::{Result, error};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Less is better: losses, errors.
    Min,
    /// More is better: accuracies.
    Max,
}

/// A figure by name, and which way is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// Name of the figure, such as `val_loss`.
    pub name: String,
    /// Which way is better.
    pub mode: Mode,
    /// By how much a better one differs at least.
    pub min_delta: f64,
}

impl Monitor {
    /// Of a figure by name: less is better if it is called a loss, an error, a distance or a perplexity, as
    /// `val_loss`, `MAE`, `nll` and `cross_entropy` are, else more. [`mode`](Monitor::mode) says it outright.
    pub fn new(name: impl Into<String>) -> Self {
        const LESS: [&str; 24] = [
            "loss",
            "losses",
            "error",
            "mse",
            "mae",
            "rmse",
            "mape",
            "msle",
            "rmsle",
            "nll",
            "bce",
            "ce",
            "entropy",
            "kl",
            "divergence",
            "distance",
            "deviation",
            "perplexity",
            "ppl",
            "brier",
            "ece",
            "wer",
            "cer",
            "fid",
        ];
        let name = name.into();
        let lower = name.to_lowercase();
        let falls = lower.split(|c: char| !c.is_alphanumeric()).any(|word| LESS.contains(&word));
        let mode = if falls { Mode::Min } else { Mode::Max };
        Monitor { name, mode, min_delta: 0.0 }
    }

    /// Sets which way is better.
    #[must_use]
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// True if a value is better than the best so far. NaN is never.
    pub fn is_better(&self, value: f64, best: Option<f64>) -> bool {
        match (best, self.mode) {
            (None, _) => !value.is_nan(),
            (Some(best), Mode::Min) => value < best - self.min_delta,
            (Some(best), Mode::Max) => value > best + self.min_delta,
        }
    }

    /// The figure among those of an epoch.
    ///
    /// # Errors
    /// If there is none of the name; the message lists those there are.
    pub fn of(&self, who: &str, scalars: &[(String, f64)]) -> Result<f64> {
        let found = scalars.iter().find(|(name, _)| *name == self.name);
        let names = || scalars.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        found.map(|(_, value)| *value).ok_or_else(|| self.absent(who, &names()))
    }

    /// An error if there will be no figure of the name.
    pub(crate) fn check(&self, who: &str, names: &[String]) -> Result<()> {
        if names.contains(&self.name) { Ok(()) } else { Err(self.absent(who, names)) }
    }

    fn absent(&self, who: &str, names: &[String]) -> crate::Error {
        let (name, names) = (&self.name, names.join(", "));
        error::invalid(format!("{who}: there is no figure {name:?}; there are {names}"))
    }
}

impl From<String> for Monitor {
    fn from(name: String) -> Self {
        Monitor::new(name)
    }
}

impl From<&str> for Monitor {
    fn from(name: &str) -> Self {
        Monitor::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Mode, Monitor};

    #[test]
    fn losses_fall_and_accuracies_rise() {
        for name in ["loss", "val_loss", "val_mae", "perplexity"] {
            assert_eq!(Monitor::new(name).mode, Mode::Min, "{name}");
        }
        for name in ["accuracy", "val_f1", "closs"] {
            assert_eq!(Monitor::new(name).mode, Mode::Max, "{name}");
        }
        let monitor = Monitor { min_delta: 0.1, ..Monitor::new("loss") };
        assert!(monitor.is_better(1.0, None) && !monitor.is_better(f64::NAN, None));
        assert!(monitor.is_better(0.8, Some(1.0)) && !monitor.is_better(0.95, Some(1.0)));
        let message = monitor.of("early stopping", &[("accuracy".into(), 0.5)]).unwrap_err();
        let expected = "early stopping: there is no figure \"loss\"; there are accuracy";
        assert_eq!(message.to_string(), expected);
    }
}
