//! [`Accumulation`]: gradients of several batches that count as one.

use gradloom_nn::Gradients;
use gradloom_tensor::{Tensor, Tensors};

use crate::{Result, error};

/// The sum of gradients, each times the weight of its batch, so that the mean is that of one large batch,
/// also if the last one is short.
#[derive(Debug, Default)]
pub(crate) struct Accumulation {
    sum: Option<Gradients>,
    weight: f64,
    pub(crate) batches: usize,
}

impl Accumulation {
    /// Adds the gradients of a batch's mean loss.
    pub(crate) fn add(&mut self, gradients: Gradients, weight: f64) {
        let scaled = gradients.scale(weight);
        self.sum = Some(match &self.sum {
            Some(sum) => sum.add(&scaled),
            None => scaled,
        });
        self.weight += weight;
        self.batches += 1;
    }

    /// The gradients of the mean loss over all batches, and begins anew. `None` without batches.
    ///
    /// # Errors
    /// If the batches together weigh nothing, which no mean is over.
    pub(crate) fn take(&mut self) -> Result<Option<Gradients>> {
        let Accumulation { sum, weight, batches } = std::mem::take(self);
        if batches > 0 && weight == 0.0 {
            return Err(error::invalid(format!(
                "train step: the losses of {batches} batches are means over nothing, as their weights are 0; \
                 leave such batches out"
            )));
        }
        Ok(sum.map(|sum| sum.scale(1.0 / weight)))
    }
}

impl Tensors for Accumulation {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        if let Some(sum) = &mut self.sum {
            sum.for_each_tensor(visit);
        }
    }
}
