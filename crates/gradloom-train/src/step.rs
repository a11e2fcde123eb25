//! [`TrainStep`]: one step of training, from the forward pass to the committed weights. The trainer's loop and
//! loops of your own run the same one.

use gradloom_nn::{Context, Module, Optimizer};
use gradloom_tensor::{DType, Tensor};

use crate::accumulation::Accumulation;
use crate::{Ema, LossScaler, Outcome, Precision, Result};

/// One step of training: forward, gradients, accumulation, clipping, the optimizer, averages, commit.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{AdamW, Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_train::{Outcome, TrainStep};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let (x, y) = (Tensor::ones([8, 3], DType::F32, &device), Tensor::ones([8, 1], DType::F32, &device));
/// let mut model = Linear::new(3, 1, &mut Init::new(Key::new(0), &device));
/// let (mut optimizer, mut ctx) = (AdamW::new(0.1), Context::train(Key::new(1)));
/// let mut step = TrainStep::new().clip_norm(1.0);
/// let mut last = f64::INFINITY;
/// for _ in 0..10 {
///     let report = step.run(&mut model, &mut optimizer, &mut ctx, |model, ctx| {
///         Ok(Outcome::new(model.forward(&x, ctx).mse_loss(&y), 8))
///     })?;
///     last = report.loss;
/// }
/// assert!(last < 0.5);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TrainStep {
    pub(crate) every: usize,
    pub(crate) norm_max: Option<f64>,
    pub(crate) bound: Option<f64>,
    pub(crate) precision: Precision,
    pub(crate) scaler: Option<LossScaler>,
    pub(crate) ema: Option<Ema>,
    pub(crate) checks_loss: bool,
    pub(crate) checks_gradients: bool,
    pub(crate) accumulation: Accumulation,
    /// Kept, so that a step asks for no memory: the weights before it, and their numbers.
    pub(crate) before: Vec<Tensor>,
    pub(crate) ids: Vec<u64>,
}

/// What a step did.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// The mean loss of the batch.
    pub loss: f64,
    /// Number of samples of the batch.
    pub samples: usize,
    /// What the loss is a mean over.
    pub weight: f64,
    /// True if the weights were changed; false while gradients accumulate, and if an overflow was skipped.
    pub stepped: bool,
    /// True if gradients overflowed, so that the step was left out.
    pub skipped: bool,
    /// The norm of all gradients before it was clipped, where that is done.
    pub gradient_norm: Option<f64>,
    /// What was [observed](Outcome::observed), computed.
    pub observed: Vec<Tensor>,
}

impl Default for TrainStep {
    fn default() -> Self {
        TrainStep::new()
    }
}

impl TrainStep {
    /// A step for each batch, in the dtype of the weights, without clipping.
    pub fn new() -> Self {
        TrainStep {
            every: 1,
            norm_max: None,
            bound: None,
            precision: Precision::Full,
            scaler: None,
            ema: None,
            checks_loss: true,
            checks_gradients: false,
            accumulation: Accumulation::default(),
            before: Vec::new(),
            ids: Vec::new(),
        }
    }

    /// Changes the weights once for so many batches, by the gradients of one large batch of them all.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn accumulate(mut self, batches: usize) -> Self {
        assert!(batches > 0, "train step: gradients of 0 batches");
        self.every = batches;
        self
    }

    /// Scales gradients down so that the norm of all together is at most this. PyTorch: `clip_grad_norm_`.
    ///
    /// # Panics
    /// If it is negative, which would turn gradients round, or NaN.
    #[must_use]
    #[track_caller]
    pub fn clip_norm(mut self, norm_max: f64) -> Self {
        assert!(norm_max >= 0.0, "clip norm: gradients of norm {norm_max} at most");
        self.norm_max = Some(norm_max);
        self
    }

    /// Holds each element of the gradients within `-bound..=bound`, before the norm. PyTorch:
    /// `clip_grad_value_`.
    ///
    /// # Panics
    /// If it is negative or NaN.
    #[must_use]
    #[track_caller]
    pub fn clip_value(mut self, bound: f64) -> Self {
        assert!(bound >= 0.0, "clip value: elements of gradients within {bound}");
        self.bound = Some(bound);
        self
    }

    /// Multiplies in halves; weights stay f32. f16 gets a [`LossScaler`].
    #[must_use]
    pub fn precision(mut self, precision: Precision) -> Self {
        self.precision = precision;
        self.scaler = (precision == Precision::F16).then(|| self.scaler.unwrap_or_default());
        self
    }

    /// Scales the loss as this says, also in other dtypes than f16.
    #[must_use]
    pub fn scaler(mut self, scaler: LossScaler) -> Self {
        self.scaler = Some(scaler);
        self
    }

    /// Averages the weights. A trainer's validation measures the averages, which are in its
    /// [`measured_model`](crate::Trainer::measured_model) after a fit; every fit begins them anew.
    #[must_use]
    pub fn ema(mut self, ema: Ema) -> Self {
        self.ema = Some(ema);
        self
    }

    /// Whether a loss that is not finite ends the run, before it reaches the weights. It does unless said
    /// otherwise: the step is then run again to name the op and line that made the first NaN.
    #[must_use]
    pub fn check_loss(mut self, checks: bool) -> Self {
        self.checks_loss = checks;
        self
    }

    /// Also looks at every gradient, which costs about one more reading of them.
    #[must_use]
    pub fn check_gradients(mut self, checks: bool) -> Self {
        self.checks_gradients = checks;
        self
    }

    /// A step of the same settings that has done nothing yet, without averages.
    pub(crate) fn alike(&self) -> TrainStep {
        TrainStep {
            every: self.every,
            norm_max: self.norm_max,
            bound: self.bound,
            precision: self.precision,
            scaler: self.scaler.clone(),
            ..TrainStep::new()
        }
    }

    /// The average of the weights, if there is one.
    pub fn average(&self) -> Option<&Ema> {
        self.ema.as_ref()
    }

    /// The scale of the loss, where it is scaled.
    pub fn loss_scale(&self) -> Option<f64> {
        self.scaler.as_ref().map(LossScaler::scale)
    }

    /// How many batches make a step.
    pub fn accumulates(&self) -> usize {
        self.every
    }

    pub(crate) fn dtype(&self) -> Option<DType> {
        self.precision.dtype()
    }

    /// Forgets gradients that wait for more batches.
    pub fn restart(&mut self) {
        self.accumulation = Accumulation::default();
    }

    /// True if gradients wait for more batches.
    pub fn is_accumulating(&self) -> bool {
        self.accumulation.batches > 0
    }

    /// Runs `forward` on the model and learns from its loss. The weights change at every batch, or at the
    /// last of those that are [accumulated](TrainStep::accumulate).
    ///
    /// # Errors
    /// If the forward pass says so, the device fails, or the loss is not finite: the error then names the op
    /// and line that made the first NaN or infinity. The weights are as before the step; what the optimizer
    /// remembers is not, so go on from a checkpoint.
    pub fn run<M: Module + Clone>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        ctx: &mut Context,
        forward: impl Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<StepReport> {
        let ends = self.accumulation.batches + 1 >= self.every;
        self.advance(model, optimizer, ctx, ends, &forward)
    }

    /// As [`run`](TrainStep::run), and changes the weights now, however few batches were accumulated: for the
    /// last batch of an epoch.
    ///
    /// # Errors
    /// As [`run`](TrainStep::run).
    pub fn run_last<M: Module + Clone>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        ctx: &mut Context,
        forward: impl Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<StepReport> {
        self.advance(model, optimizer, ctx, true, &forward)
    }
}
