//! [`TrainStep`]: one step of training, from the forward pass to the committed weights. The trainer's loop and
//! loops of your own run the same one.

use gradloom_nn::module::for_each_tensor;
use gradloom_nn::{Context, Gradients, Module, ModuleExt, Optimizer, gradients};
use gradloom_tensor::{Tensor, Tensors, commit};

use crate::accumulation::Accumulation;
use crate::scaler::all_finite;
use crate::{Ema, LossScaler, Outcome, Precision, Result, error, hunt};

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
    every: usize,
    norm_max: Option<f64>,
    bound: Option<f64>,
    precision: Precision,
    pub(crate) scaler: Option<LossScaler>,
    pub(crate) ema: Option<Ema>,
    checks_loss: bool,
    checks_gradients: bool,
    accumulation: Accumulation,
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
    #[must_use]
    pub fn clip_norm(mut self, norm_max: f64) -> Self {
        self.norm_max = Some(norm_max);
        self
    }

    /// Holds each element of the gradients within `-bound..=bound`, before the norm. PyTorch:
    /// `clip_grad_value_`.
    #[must_use]
    pub fn clip_value(mut self, bound: f64) -> Self {
        self.bound = Some(bound);
        self
    }

    /// Computes in halves, on rounded copies of the weights. f16 gets a [`LossScaler`].
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

    /// Averages the weights.
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

    /// How many batches make a step.
    pub fn accumulates(&self) -> usize {
        self.every
    }

    pub(crate) fn set_every(&mut self, batches: usize) {
        self.every = batches;
    }

    pub(crate) fn dtype(&self) -> Option<gradloom_tensor::DType> {
        self.precision.dtype()
    }

    /// The model that computes, if it is not the model itself.
    pub(crate) fn narrow<M: Module + Clone>(&self, model: &M) -> Option<M> {
        self.precision.of_model(model)
    }

    pub(crate) fn precision_name(&self) -> &'static str {
        self.precision.name()
    }

    /// True if gradients wait for more batches.
    pub fn is_accumulating(&self) -> bool {
        self.accumulation.batches > 0
    }

    /// Runs `forward` on the model and learns from its loss. The weights change at every batch, or at the
    /// last of those that are [accumulated](TrainStep::accumulate).
    ///
    /// # Errors
    /// If the forward pass says so, the device fails, or the loss is not finite: the weights are then as
    /// before the step, and the error names the op and line that made the first NaN or infinity.
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

    fn advance<M: Module + Clone>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        ctx: &mut Context,
        ends: bool,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<StepReport> {
        let drawn = ctx.keys_drawn();
        let mut outcome = self.forward(model, ctx, forward)?;
        // Held over the commit, outputs would keep all activations from being given back.
        outcome.pair = None;
        let of_batch = match &self.scaler {
            Some(scaler) => gradients(&scaler.scaled(&outcome.loss), model),
            None => gradients(&outcome.loss, model),
        };
        if let Some(ema) = &mut self.ema {
            ema.begin(model);
        }
        let mut report = StepReport {
            loss: f64::NAN,
            samples: outcome.samples,
            weight: outcome.weight,
            stepped: false,
            skipped: false,
            gradient_norm: None,
            observed: std::mem::take(&mut outcome.observed),
        };
        let mut loss = outcome.loss;
        let mut sound = None;
        let alone = ends && self.accumulation.batches == 0;
        let complete = if alone {
            Some(of_batch)
        } else {
            self.accumulation.add(&of_batch, outcome.weight);
            if ends { self.accumulation.take() } else { None }
        };
        let complete = match (complete, self.scaler.is_some()) {
            (Some(scaled), true) => self.unscaled(scaled, &mut loss, &mut report)?,
            (complete, _) => complete,
        };
        match complete {
            Some(complete) => {
                sound = self.change(model, optimizer, ctx, complete, &loss, &mut report)?;
            }
            None => {
                ctx.apply_updates(model);
                let rest = (&mut report.observed, &mut loss);
                commit((ModelTensors(model), &mut self.accumulation, rest))?;
            }
        }
        report.loss = loss.item()?;
        if self.scaler.is_none() && self.checks_loss {
            let sound =
                sound.map(|sound| sound.item()).transpose()?.is_none_or(|sound| sound > 0.0);
            if !report.loss.is_finite() || !sound {
                ctx.set_keys_drawn(drawn);
                return Err(self.fault(model, ctx, forward, report.loss)?);
            }
        }
        Ok(report)
    }

    fn forward<M: Module + Clone>(
        &self,
        model: &M,
        ctx: &mut Context,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<Outcome> {
        match self.precision.of_model(model) {
            Some(narrow) => forward(&narrow, ctx),
            None => forward(model, ctx),
        }
    }

    /// Gradients of a scaled loss, computed, as those of the loss; `None` if they overflowed.
    fn unscaled(
        &mut self,
        mut scaled: Gradients,
        loss: &mut Tensor,
        report: &mut StepReport,
    ) -> Result<Option<Gradients>> {
        let Some(scaler) = &mut self.scaler else { return Ok(Some(scaled)) };
        let Some(mut finite) = all_finite(&scaled) else { return Ok(Some(scaled)) };
        commit((&mut scaled, &mut finite, loss, &mut report.observed))?;
        let unscaled = scaler.unscaled(&scaled);
        report.skipped = finite.item()? == 0.0;
        scaler.update(report.skipped);
        scaler.check()?;
        Ok((!report.skipped).then_some(unscaled))
    }

    /// Clips, lets the optimizer change the weights, and computes it all. Gives the flag that says whether the
    /// gradients were finite, where they are checked.
    fn change<M: Module + Clone>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        ctx: &mut Context,
        gradients: Gradients,
        loss: &Tensor,
        report: &mut StepReport,
    ) -> Result<Option<Tensor>> {
        let mut gradients = gradients;
        let guard = (self.checks_loss && self.scaler.is_none()).then(|| {
            let finite = loss.detach().is_finite().reshape([0usize; 0]);
            let all = self.checks_gradients.then(|| all_finite(&gradients)).flatten();
            all.map_or(finite.clone(), |all| finite.logical_and(&all))
        });
        if let Some(bound) = self.bound {
            gradients = gradients.clip_value(bound);
        }
        let mut norm = None;
        if let Some(norm_max) = self.norm_max.filter(|_| !gradients.is_empty()) {
            let (clipped, before) = gradients.clip_norm(norm_max);
            (gradients, norm) = (clipped, Some(before));
        }
        let old = guard.is_some().then(|| tensors_of(model));
        optimizer.step(&gradients, model);
        ctx.apply_updates(model);
        if let (Some(guard), Some(old)) = (&guard, old) {
            keep_unless(guard, model, old);
        }
        if let Some(ema) = &mut self.ema {
            ema.update(model);
        }
        drop(gradients);
        let mut flag = guard.filter(|_| self.checks_gradients);
        let mut loss = self.scaler.is_some().then(|| loss.clone());
        let rest = (&mut report.observed, &mut norm, &mut flag, &mut loss);
        commit((ModelTensors(model), optimizer, &mut self.ema, rest))?;
        report.stepped = true;
        report.gradient_norm = norm.map(|norm| norm.item()).transpose()?;
        Ok(flag)
    }

    /// The error of a step that went wrong: it is run once more to say where.
    fn fault<M: Module + Clone>(
        &self,
        model: &M,
        ctx: &mut Context,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
        loss: f64,
    ) -> Result<crate::Error> {
        let outcome = self.forward(model, ctx, forward)?;
        ctx.discard_updates();
        let mut found = hunt::first_fault(&outcome.loss, model)?;
        let mut what = format!("the loss is {loss}");
        if loss.is_finite() {
            for (name, gradient) in gradients(&outcome.loss, model).iter() {
                found = hunt::first_fault(gradient, model)?;
                if found.is_some() {
                    what = format!("the gradient of {name} is not finite");
                    break;
                }
            }
        }
        let found =
            found.unwrap_or_else(|| "the same step was finite when it was run again".into());
        Ok(error::not_finite(format!(
            "train step: {what}: {found}; lower the learning rate or look at that line"
        )))
    }
}

/// The tensors of a module, for `commit`.
pub(crate) struct ModelTensors<'a, M: ?Sized>(pub(crate) &'a mut M);

impl<M: Module + ?Sized> Tensors for ModelTensors<'_, M> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        for_each_tensor(self.0, visit);
    }
}

fn tensors_of(model: &mut impl Module) -> Vec<Tensor> {
    let mut tensors = Vec::new();
    for_each_tensor(model, &mut |tensor| tensors.push(tensor.clone()));
    tensors
}

/// Keeps the old values unless the flag is true. What was not changed is left alone.
fn keep_unless(flag: &Tensor, model: &mut impl Module, old: Vec<Tensor>) {
    let mut old = old.into_iter();
    model.for_each_parameter(|_, parameter| {
        let Some(before) = old.next() else { return };
        if before.id() != parameter.id() {
            let flag = flag.to_device(parameter.device());
            parameter.update(flag.select(parameter.tensor(), &before));
        }
    });
}
