//! [`Metric`]: a figure over a whole epoch, taken in batch by batch, and [`Metrics`]: the loss and several of
//! them.

use std::cell::RefCell;

use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Outcome, Result, error};

/// A figure over the outputs and targets of an epoch.
///
/// What it looks at is graph, so that it is computed with the step, on its device; what it adds up is on the
/// host. A metric of host code alone keeps the first and reads the elements in
/// [`update`](Metric::update).
pub trait Metric: Send {
    /// What it is called in logs; validation puts `val_` before it.
    fn name(&self) -> String;

    /// What is to be computed of a batch: the outputs and the targets themselves unless said otherwise.
    fn observe(&self, outputs: &Tensor, targets: &Tensor) -> Vec<Tensor> {
        vec![outputs.clone(), targets.clone()]
    }

    /// Takes in what was observed of a batch, computed.
    ///
    /// # Errors
    /// If elements cannot be read or do not suit.
    fn update(&mut self, observed: &[Tensor], samples: usize) -> Result<()>;

    /// The figure of all that was taken in since the last reset.
    fn value(&self) -> f64;

    /// Forgets all.
    fn reset(&mut self);

    /// What was taken in so far, to go on with it. Floats are kept as texts, which JSON reads back exactly:
    /// `format!("{:?}", value)`.
    fn state(&self) -> Value;

    /// Goes on with what another of the same settings had taken in.
    ///
    /// # Errors
    /// If the state does not suit.
    fn load_state(&mut self, state: &Value) -> Result<()>;
}

/// The mean loss and any metrics over an epoch, weighted by samples.
#[derive(Default)]
pub struct Metrics {
    metrics: Vec<Box<dyn Metric>>,
    loss: f64,
    weight: f64,
    samples: u64,
    /// How many tensors each metric observes of the batch at hand.
    counts: RefCell<Vec<usize>>,
}

impl Metrics {
    /// Of the loss alone.
    pub fn new() -> Self {
        Metrics::default()
    }

    /// With another metric.
    #[must_use]
    pub fn with(mut self, metric: impl Metric + 'static) -> Self {
        self.push(metric);
        self
    }

    pub(crate) fn push(&mut self, metric: impl Metric + 'static) {
        self.metrics.push(Box::new(metric));
    }

    /// Begins an epoch.
    pub fn reset(&mut self) {
        self.metrics.iter_mut().for_each(|metric| metric.reset());
        (self.loss, self.weight, self.samples) = (0.0, 0.0, 0);
    }

    /// Adds what the metrics look at to an outcome, so that it is computed with the step.
    ///
    /// # Errors
    /// If there are metrics, and the outcome has no outputs.
    pub fn observe(&self, outcome: &mut Outcome) -> Result<()> {
        let mut counts = self.counts.borrow_mut();
        counts.clear();
        if self.metrics.is_empty() {
            return Ok(());
        }
        let Some((outputs, targets)) = &outcome.pair else {
            return Err(error::invalid(
                "metrics: the task gives no outputs to compare; add Outcome::with_outputs to it",
            ));
        };
        let (outputs, targets) = (&outputs.detach(), &targets.detach());
        let mut observed = Vec::new();
        for metric in &self.metrics {
            let seen = metric.observe(outputs, targets);
            counts.push(seen.len());
            observed.extend(seen);
        }
        outcome.observed.splice(0..0, observed);
        Ok(())
    }

    /// Takes in a batch: its mean loss, what that is a mean over, and what was observed.
    ///
    /// # Errors
    /// If a metric says so.
    pub fn update(
        &mut self,
        loss: f64,
        weight: f64,
        samples: usize,
        observed: &[Tensor],
    ) -> Result<()> {
        (self.loss, self.weight) = (self.loss + loss * weight, self.weight + weight);
        self.samples += samples as u64;
        let mut rest = observed;
        for (metric, count) in self.metrics.iter_mut().zip(self.counts.get_mut()) {
            let (own, others) = rest.split_at((*count).min(rest.len()));
            metric.update(own, samples).map_err(|error| error.context(metric.name()))?;
            rest = others;
        }
        Ok(())
    }

    /// The mean loss so far; NaN without batches.
    pub fn loss(&self) -> f64 {
        self.loss / self.weight
    }

    /// Samples taken in.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The loss and the metrics by name, each with `prefix` before it.
    pub fn values(&self, prefix: &str) -> Vec<(String, f64)> {
        let loss = std::iter::once((format!("{prefix}loss"), self.loss()));
        let metrics = self.metrics.iter();
        loss.chain(metrics.map(|metric| (format!("{prefix}{}", metric.name()), metric.value())))
            .collect()
    }

    /// The names of [`values`](Metrics::values).
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let metrics = self.metrics.iter().map(|metric| format!("{prefix}{}", metric.name()));
        std::iter::once(format!("{prefix}loss")).chain(metrics).collect()
    }

    pub(crate) fn state(&self) -> Value {
        let metrics: Vec<Value> =
            self.metrics.iter().map(|m| json!([m.name(), m.state()])).collect();
        json!({
            "loss": exact::number(self.loss),
            "weight": exact::number(self.weight),
            "samples": self.samples,
            "metrics": metrics,
        })
    }

    pub(crate) fn load_state(&mut self, state: Entries) -> Result<()> {
        let saved = state.array("metrics")?;
        let names: Vec<&str> =
            saved.iter().map(|pair| pair[0].as_str().unwrap_or_default()).collect();
        let own: Vec<String> = self.metrics.iter().map(|metric| metric.name()).collect();
        if names != own {
            return Err(error::mismatch(format!(
                "checkpoint: it has the metrics {names:?}, this run {own:?}"
            )));
        }
        for (metric, saved) in self.metrics.iter_mut().zip(saved) {
            metric.load_state(&saved[1]).map_err(|error| error.context(metric.name()))?;
        }
        (self.loss, self.weight) = (state.number("loss")?, state.number("weight")?);
        self.samples = state.count("samples")?;
        Ok(())
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.values("")).finish()
    }
}
