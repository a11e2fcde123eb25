//! [`Mean`]: the mean over all samples of whatever a function says of a batch.

use std::sync::Arc;

use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Metric, Result};

type Of = Arc<dyn Fn(&Tensor, &Tensor) -> Tensor + Send + Sync>;

/// The mean of a scalar of each batch, weighted by samples.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_train::metrics::Mean;
///
/// let error = Mean::new("mae", |outputs: &Tensor, targets: &Tensor| outputs.l1_loss(targets));
/// # let _ = error;
/// ```
#[derive(Clone)]
pub struct Mean {
    name: String,
    of: Of,
    sum: f64,
    samples: u64,
}

impl Mean {
    /// Of a function from outputs and targets to the mean over the batch, a scalar.
    pub fn new(
        name: impl Into<String>,
        of: impl Fn(&Tensor, &Tensor) -> Tensor + Send + Sync + 'static,
    ) -> Self {
        Mean { name: name.into(), of: Arc::new(of), sum: 0.0, samples: 0 }
    }
}

impl Metric for Mean {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn observe(&self, outputs: &Tensor, targets: &Tensor) -> Vec<Tensor> {
        vec![(self.of)(outputs, targets)]
    }

    fn update(&mut self, observed: &[Tensor], samples: usize) -> Result<()> {
        self.sum += observed[0].item()? * samples as f64;
        self.samples += samples as u64;
        Ok(())
    }

    fn value(&self) -> f64 {
        self.sum / self.samples as f64
    }

    fn reset(&mut self) {
        (self.sum, self.samples) = (0.0, 0);
    }

    fn state(&self) -> Value {
        json!({"sum": exact::number(self.sum), "samples": self.samples})
    }

    fn load_state(&mut self, state: &Value) -> Result<()> {
        let state = Entries::new(&self.name, state)?;
        (self.sum, self.samples) = (state.number("sum")?, state.count("samples")?);
        Ok(())
    }
}

impl std::fmt::Debug for Mean {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Mean({} of {} samples)", self.name, self.samples)
    }
}
