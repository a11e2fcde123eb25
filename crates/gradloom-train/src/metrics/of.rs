//! [`Of`]: any figure of `gradloom-metrics` as a metric of a run.

use std::sync::Arc;

use gradloom_metrics::Accumulator;
use gradloom_tensor::Tensor;
use serde_json::Value;

use crate::{Metric, Result, error};

type Observe = dyn Fn(&Tensor, &Tensor) -> Vec<Tensor> + Send + Sync;
type Update<A> = dyn Fn(&mut A, &[Tensor]) -> Result<()> + Send + Sync;
type Read<A> = dyn Fn(&A) -> Result<f64> + Send + Sync;

/// A metric that reads elements on the host and adds them to an accumulator of `gradloom-metrics`.
///
/// While its figure is undefined, as an area under a curve of one class, it is NaN. What was added so far is
/// part of checkpoints.
///
/// ```
/// use gradloom_metrics::LogLoss;
/// use gradloom_train::metrics::Of;
/// use gradloom_train::{Metric, Result};
///
/// /// Nats by which a classifier of logits `[N, C]` misses the classes `[N]`.
/// fn log_loss() -> impl Metric {
///     Of::new("log_loss", LogLoss::default(), |sum, [probabilities, classes]| {
///         let columns = probabilities.shape()[1];
///         sum.update(&classes.to_vec::<i32>()?, &probabilities.to_vec::<f32>()?, columns)
///     })
///     .observe(|logits, classes| [logits.softmax(-1), classes.clone()])
/// }
/// ```
#[derive(Clone)]
pub struct Of<A: Accumulator> {
    name: String,
    accumulator: A,
    observe: Arc<Observe>,
    update: Arc<Update<A>>,
    read: Arc<Read<A>>,
}

impl<A: Accumulator<Value = f64> + Send + 'static> Of<A> {
    /// Of an accumulator whose value is a number, given how `N` tensors of a batch are added to it. They are
    /// outputs and targets, unless [`observe`](Of::observe) says otherwise.
    pub fn new<const N: usize>(
        name: impl Into<String>,
        accumulator: A,
        update: impl Fn(&mut A, &[Tensor; N]) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Of::reading(name, accumulator, update, A::value)
    }
}

impl<A: Accumulator + Send + 'static> Of<A> {
    /// As [`new`](Of::new), of an accumulator with several figures, one of which `read` chooses.
    pub fn reading<const N: usize>(
        name: impl Into<String>,
        accumulator: A,
        update: impl Fn(&mut A, &[Tensor; N]) -> Result<()> + Send + Sync + 'static,
        read: impl Fn(&A) -> Result<f64> + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let own = name.clone();
        let update = move |accumulator: &mut A, observed: &[Tensor]| match observed.try_into() {
            Ok(observed) => update(accumulator, observed),
            Err(_) => Err(error::invalid(format!(
                "{own}: {} tensors are observed, {N} are expected",
                observed.len()
            ))),
        };
        Of {
            name,
            accumulator,
            observe: Arc::new(|outputs, targets| vec![outputs.clone(), targets.clone()]),
            update: Arc::new(update),
            read: Arc::new(read),
        }
    }

    /// What is computed of outputs and targets, on the device and with the step.
    #[must_use]
    pub fn observe<const N: usize>(
        mut self,
        observe: impl Fn(&Tensor, &Tensor) -> [Tensor; N] + Send + Sync + 'static,
    ) -> Self {
        self.observe = Arc::new(move |outputs, targets| observe(outputs, targets).to_vec());
        self
    }
}

impl<A: Accumulator + Send + 'static> Metric for Of<A> {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn observe(&self, outputs: &Tensor, targets: &Tensor) -> Vec<Tensor> {
        (self.observe)(outputs, targets)
    }

    fn update(&mut self, observed: &[Tensor], _samples: usize) -> Result<()> {
        (self.update)(&mut self.accumulator, observed)
    }

    fn value(&self) -> f64 {
        (self.read)(&self.accumulator).unwrap_or(f64::NAN)
    }

    fn reset(&mut self) {
        self.accumulator.reset();
    }

    fn state(&self) -> Value {
        serde_json::to_value(&self.accumulator).unwrap_or_default()
    }

    fn load_state(&mut self, state: &Value) -> Result<()> {
        let read = serde_json::from_value(state.clone());
        let wrong = |cause| error::malformed(format!("checkpoint: metric {}: {cause}", self.name));
        self.accumulator = read.map_err(wrong)?;
        Ok(())
    }
}
