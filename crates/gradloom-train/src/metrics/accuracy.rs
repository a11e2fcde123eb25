//! [`Accuracy`]: the share of samples whose class was found.

use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::Entries;
use crate::{Metric, Result};

/// The share of targets that have the largest output: outputs `[.., C]`, integer targets `[..]`.
///
/// Panics if the shapes do not go together, or there is only one class.
///
/// ```
/// use gradloom_tensor::Tensor;
/// use gradloom_train::Metric;
/// use gradloom_train::metrics::Accuracy;
///
/// # fn main() -> gradloom_train::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut accuracy = Accuracy::new(); // Trainer::metric takes it
/// let logits = Tensor::new([[1.0f32, 3.0], [2.0, 0.0]], &device)?;
/// let observed = accuracy.observe(&logits, &Tensor::new([1, 1], &device)?);
/// accuracy.update(&observed, 2)?;
/// assert_eq!(accuracy.value(), 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    right: u64,
    seen: u64,
}

impl Accuracy {
    /// Of nothing yet.
    pub fn new() -> Self {
        Accuracy::default()
    }
}

impl Metric for Accuracy {
    fn name(&self) -> String {
        "accuracy".into()
    }

    #[track_caller]
    fn observe(&self, outputs: &Tensor, targets: &Tensor) -> Vec<Tensor> {
        let (of_outputs, of_targets) = (outputs.shape(), targets.shape());
        let fits = outputs.rank() > 0
            && outputs.size(-1) > 1
            && of_outputs[..outputs.rank() - 1] == of_targets[..]
            && targets.dtype().is_int();
        assert!(
            fits,
            "accuracy: outputs {of_outputs} with targets {} {of_targets}; needs [.., C] of at least two classes \
             with integers [..]. A single logit is measured by MultilabelF1 or a Mean of your own",
            targets.dtype()
        );
        // The targets only for their number: a batch may have several for each sample.
        vec![outputs.argmax(-1).eq(targets).sum(..), targets.clone()]
    }

    fn update(&mut self, observed: &[Tensor], _samples: usize) -> Result<()> {
        self.right += observed[0].item()? as u64;
        self.seen += observed[1].count() as u64;
        Ok(())
    }

    fn value(&self) -> f64 {
        self.right as f64 / self.seen as f64
    }

    fn reset(&mut self) {
        *self = Accuracy::default();
    }

    fn state(&self) -> Value {
        json!({"right": self.right, "seen": self.seen})
    }

    fn load_state(&mut self, state: &Value) -> Result<()> {
        let state = Entries::new("accuracy", state)?;
        (self.right, self.seen) = (state.count("right")?, state.count("seen")?);
        Ok(())
    }
}
