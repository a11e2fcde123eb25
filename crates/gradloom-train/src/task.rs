//! [`Task`]: what a model does with a batch. [`Supervised`] is the usual one; a closure is any other.

use gradloom_nn::{Compute, Context, Layer};
use gradloom_tensor::{DType, Device, Tensor};

use crate::{Result, SupervisedBatch, error};

/// Where a task runs, and in which dtype.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The model's device.
    pub device: Device,
    /// The dtype in which products read their operands, if not their own: of mixed precision.
    pub dtype: Option<DType>,
}

impl Setting {
    /// In full precision.
    pub fn on(device: &Device) -> Self {
        Setting { device: device.clone(), dtype: None }
    }

    pub(crate) fn compute(&self) -> Compute {
        self.dtype.map_or(Compute::full(), Compute::narrow)
    }
}

/// Runs `forward`, whose products are computed so. A layer that a batch does not suit is an error, not a panic.
pub(crate) fn run_in(
    compute: Compute,
    ctx: &mut Context,
    forward: impl FnOnce(&mut Context) -> Result<Outcome>,
) -> Result<Outcome> {
    // A context of the caller's may compute in halves by itself.
    let wanted = if compute == Compute::full() { ctx.compute() } else { compute };
    let (outcome, unsuited) = ctx.telling(|ctx| ctx.computing(wanted, forward));
    match unsuited {
        Some(message) => Err(error::invalid(format!(
            "{message}; Loader::drop_last(true) leaves out a last batch that is not full"
        ))),
        None => outcome,
    }
}

/// What came of a batch, as graph.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is to become small: a scalar, the mean over the batch.
    pub loss: Tensor,
    /// Number of samples.
    pub samples: usize,
    /// What the loss is a mean over, in which it is weighted among others: samples unless said otherwise.
    pub weight: f64,
    /// Outputs and targets, for metrics.
    pub pair: Option<(Tensor, Tensor)>,
    /// What else is to be computed in the same evaluation: what metrics look at.
    pub observed: Vec<Tensor>,
}

impl Outcome {
    /// The mean loss of a number of samples.
    ///
    /// # Panics
    /// If the loss is no scalar of floats.
    #[track_caller]
    pub fn new(loss: Tensor, samples: usize) -> Self {
        assert!(
            loss.count() == 1 && loss.dtype().is_float(),
            "outcome: the loss is {} {}, not one float; take the mean over the batch",
            loss.dtype(),
            loss.shape()
        );
        Outcome { loss, samples, weight: samples as f64, pair: None, observed: Vec::new() }
    }

    /// With what metrics compare.
    #[must_use]
    pub fn with_outputs(self, outputs: &Tensor, targets: &Tensor) -> Self {
        Outcome { pair: Some((outputs.clone(), targets.clone())), ..self }
    }

    /// Says what the loss is a mean over, if not samples: tokens, for instance.
    #[must_use]
    pub fn weight(self, weight: f64) -> Self {
        Outcome { weight, ..self }
    }
}

/// What a model `M` does with a batch `B`.
///
/// Closures `Fn(&M, &B, &mut Context, &Setting) -> Result<Outcome>` are tasks.
pub trait Task<M, B> {
    /// Runs the model on a batch.
    ///
    /// # Errors
    /// If the batch cannot be brought to the device, or what the task itself says.
    fn run(&self, model: &M, batch: &B, ctx: &mut Context, setting: &Setting) -> Result<Outcome>;
}

impl<M, B, F> Task<M, B> for F
where
    F: Fn(&M, &B, &mut Context, &Setting) -> Result<Outcome>,
{
    fn run(&self, model: &M, batch: &B, ctx: &mut Context, setting: &Setting) -> Result<Outcome> {
        self(model, batch, ctx, setting)
    }
}

/// The usual task: a layer from inputs to outputs, and a loss between outputs and targets.
#[derive(Clone, Copy, Debug)]
pub struct Supervised<L> {
    loss: L,
}

impl<L: Fn(&Tensor, &Tensor) -> Tensor> Supervised<L> {
    /// With a loss of outputs and targets, their mean over the batch.
    pub fn new(loss: L) -> Self {
        Supervised { loss }
    }
}

impl<M, B, L> Task<M, B> for Supervised<L>
where
    M: Layer,
    B: SupervisedBatch,
    L: Fn(&Tensor, &Tensor) -> Tensor,
{
    fn run(&self, model: &M, batch: &B, ctx: &mut Context, setting: &Setting) -> Result<Outcome> {
        let (inputs, targets) = batch.to_tensors(&setting.device)?;
        let outputs = model.forward(&inputs, ctx);
        let loss = (self.loss)(&outputs, &targets);
        Ok(Outcome::new(loss, batch.sample_count()).with_outputs(&outputs, &targets))
    }
}
