//! [`evaluate`]: the loss and metrics of a model over an epoch of batches.

use gradloom_nn::Context;
use gradloom_tensor::eval;

use crate::task::run_in;
use crate::{Batches, Metrics, Result, Setting, Task, error};

/// Runs the model over all batches of epoch 0, learns nothing, and leaves the figures in `metrics`, which is
/// reset first.
///
/// # Errors
/// If there are no batches, a batch cannot be made, or the device fails.
pub fn evaluate<M, B: Batches>(
    model: &M,
    task: &impl Task<M, B::Batch>,
    batches: &B,
    setting: &Setting,
    metrics: &mut Metrics,
) -> Result<()> {
    metrics.reset();
    for batch in batches.batches(0, 0) {
        let batch = batch?;
        let mut outcome = run_in(setting.compute(), &mut Context::eval(), |ctx| {
            task.run(model, &batch, ctx, setting)
        })?;
        metrics.observe(&mut outcome)?;
        outcome.pair = None;
        eval(std::iter::once(&outcome.loss).chain(&outcome.observed))?;
        let (loss, weight) = (outcome.loss.item()?, outcome.weight);
        metrics.update(loss, weight, outcome.samples, &outcome.observed)?;
    }
    if metrics.samples() == 0 {
        return Err(error::invalid("evaluate: there are no samples"));
    }
    Ok(())
}

/// What keeps an epoch of these batches from being one, in words.
pub(crate) fn check_batches(what: &str, batches: &impl Batches) -> Result<()> {
    match (batches.batch_count(), batches.sample_count()) {
        (Some(0), Some(0) | None) => Err(error::invalid(format!("fit: the {what} set is empty"))),
        (Some(0), Some(_)) => Err(error::invalid(format!(
            "fit: the {what} set makes no batch ({}): lower the batch size, or keep batches that are not full \
             with drop_last(false)",
            batches.order()
        ))),
        _ => Ok(()),
    }
}
