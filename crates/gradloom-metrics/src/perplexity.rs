//! [`Perplexity`] of a language model.

use gradloom_error::Result;
use serde::{Deserialize, Serialize};

use crate::{Accumulator, Mean};

/// `exp` of the mean negative log-likelihood of tokens, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Perplexity {
    nats: Mean,
}

impl Perplexity {
    /// Adds a batch by the mean loss of its tokens and their number.
    ///
    /// # Errors
    /// If the number is negative or not finite.
    pub fn update(&mut self, mean_nats: f64, tokens: f64) -> Result<()> {
        self.nats.update(mean_nats, tokens).map_err(|error| error.context("perplexity"))
    }
}

impl Accumulator for Perplexity {
    type Value = f64;

    fn value(&self) -> Result<f64> {
        self.nats.value().map(f64::exp).map_err(|error| error.context("perplexity"))
    }

    fn reset(&mut self) {
        self.nats.reset();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.nats.merge(&other.nats)
    }
}

/// `exp(-mean(log p))` over the natural logarithms of the probabilities that a model gave the tokens.
///
/// # Errors
/// Without tokens.
///
/// ```
/// let log_probabilities = [0.25_f64.ln(), 0.25_f64.ln()];
/// assert!((gradloom_metrics::perplexity(&log_probabilities).unwrap() - 4.0).abs() < 1e-12);
/// ```
pub fn perplexity<S: Copy + Into<f64>>(log_probabilities: &[S]) -> Result<f64> {
    let mut state = Perplexity::default();
    for &log_probability in log_probabilities {
        state.update(-log_probability.into(), 1.0)?;
    }
    state.value()
}
