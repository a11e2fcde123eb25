//! [`Trainer`]: a model, an optimizer and a loss, and everything that is said about how they are trained.

use std::path::PathBuf;
use std::time::Duration;

use gradloom_nn::{Context, Module, ModuleExt, Optimizer, Plateau, Schedule};
use gradloom_tensor::{Key, Tensor};

use crate::average::Averages;
use crate::callbacks::TimeLimit;
use crate::checkpoint::Best;
use crate::plateau::WatchedPlateau;
use crate::{
    Callback, Checkpoints, Ema, History, LossScaler, Metric, Metrics, Monitor, Outcome, Precision,
    Progress, Result, Setting, Supervised, Swa, TrainStep, error,
};

/// The learning rate of each step, perhaps by the number of all steps.
pub(crate) enum Rates {
    Fixed(Schedule),
    Over(Box<dyn Fn(u64) -> Schedule + Send>),
}

/// Settings of the step, which has the checks and the words of each.
macro_rules! delegate_to_step {
    ($($(#[$meta:meta])* fn $name:ident($value:ident: $type:ty);)*) => {$(
        $(#[$meta])*
        #[must_use]
        #[track_caller]
        pub fn $name(mut self, $value: $type) -> Self {
            self.step = std::mem::take(&mut self.step).$name($value);
            self
        }
    )*};
}

/// Where a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) epoch: u32,
    /// The next batch of the epoch.
    pub(crate) batch: usize,
    /// Steps done.
    pub(crate) step: u64,
}

/// Trains a model: epochs of steps, validation, metrics, checkpoints, callbacks.
///
/// ```
/// use gradloom_data::{Loader, TensorDataset};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Activation, AdamW, Init, Sequential};
/// use gradloom_tensor::{Key, Tensor};
/// use gradloom_train::metrics::Accuracy;
/// use gradloom_train::{EarlyStopping, Progress, Trainer};
///
/// # fn main() -> gradloom_train::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let inputs: Vec<f32> = (0..64).map(|number| number as f32 / 32.0 - 1.0).collect();
/// # let targets: Vec<i32> = inputs.iter().map(|&input| i32::from(input > 0.0)).collect();
/// let dataset = TensorDataset::from_rows([64, 1], inputs, [64], targets)?;
/// let train = Loader::rows(dataset.clone()).batch_size(16).shuffle(Key::new(1));
/// let valid = Loader::rows(dataset).batch_size(64);
/// let init = &mut Init::new(Key::new(0), &device);
/// let model = Sequential::new()
///     .with(Linear::new(1, 8, init))
///     .with(Activation::Relu)
///     .with(Linear::new(8, 2, init));
/// let mut trainer = Trainer::new(model, AdamW::new(0.05), Tensor::cross_entropy)
///     .epochs(10)
///     .metric(Accuracy::new())
///     .callback(EarlyStopping::new("val_loss").patience(3).restore_best(true))
///     .progress(Progress::Silent);
/// let fit = trainer.fit(&train, &valid)?;
/// assert!(fit.history.last("val_accuracy").unwrap() > 0.9);
/// # Ok(())
/// # }
/// ```
///
/// Every part is usable alone: [`TrainStep`], [`evaluate`](crate::evaluate), [`Metrics`], [`Ema`],
/// [`LossScaler`], [`Reporter`](crate::Reporter).
///
/// Keras: `Model.fit`; Lightning: `Trainer`.
pub struct Trainer<M, O, K> {
    /// The model.
    pub model: M,
    /// The optimizer.
    pub optimizer: O,
    pub(crate) task: K,
    pub(crate) step: TrainStep,
    pub(crate) key: Key,
    pub(crate) ctx: Context,
    pub(crate) epochs: Option<u32>,
    pub(crate) steps: Option<u64>,
    pub(crate) batches_max: Option<usize>,
    pub(crate) rates: Option<Rates>,
    pub(crate) plateau: Option<WatchedPlateau>,
    /// The optimizer's learning rate when the run began.
    pub(crate) first_rate: Option<f64>,
    pub(crate) swa: Option<Swa>,
    pub(crate) metrics: Metrics,
    pub(crate) valid_metrics: Metrics,
    pub(crate) callbacks: Vec<Box<dyn Callback<M>>>,
    pub(crate) checkpoints: Option<Checkpoints>,
    pub(crate) resume_from: Option<PathBuf>,
    /// Settings that may be others than in the checkpoint.
    pub(crate) accepted: Vec<String>,
    pub(crate) progress: Progress,
    pub(crate) saves_on_interrupt: bool,
    pub(crate) position: Position,
    pub(crate) history: History,
    pub(crate) best: Best,
    pub(crate) stop: Option<String>,
}

impl<M, O, L> Trainer<M, O, Supervised<L>>
where
    M: Module + Clone,
    O: Optimizer,
    L: Fn(&Tensor, &Tensor) -> Tensor,
{
    /// Of a layer, an optimizer, and a loss of outputs and targets: their mean over a batch, as
    /// [`Tensor::cross_entropy`] is. One epoch.
    pub fn new(model: M, optimizer: O, loss: L) -> Self {
        Trainer::of_task(model, optimizer, Supervised::new(loss))
    }
}

impl<M: Module + Clone, O: Optimizer, K> Trainer<M, O, K> {
    /// Of any model and batch: `task` runs the model on a batch and gives the loss.
    ///
    /// ```
    /// use gradloom_nn::layers::{Embedding, Linear};
    /// use gradloom_nn::{AdamW, Context, Init, Layer, Module};
    /// use gradloom_tensor::{Key, Tensor};
    /// use gradloom_train::{Outcome, Progress, Setting, Trainer};
    ///
    /// #[derive(Module, Clone)]
    /// struct TwoInputs {
    ///     words: Embedding,
    ///     head: Linear,
    /// }
    ///
    /// # fn main() -> gradloom_train::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let init = &mut Init::new(Key::new(0), &device);
    /// let model = TwoInputs { words: Embedding::new(10, 4, init), head: Linear::new(5, 1, init) };
    /// let batches: Vec<[Vec<i32>; 2]> = vec![[vec![1, 2], vec![0, 1]]; 4];
    /// let mut trainer = Trainer::with_task(
    ///     model,
    ///     AdamW::new(0.1),
    ///     |model: &TwoInputs, [words, numbers]: &[Vec<i32>; 2], ctx: &mut Context, setting: &Setting| {
    ///         let words = Tensor::from_slice(words, [2], &setting.device)?;
    ///         let numbers = Tensor::from_slice(numbers, [2, 1], &setting.device)?.cast(words_dtype());
    ///         let x = Tensor::concat(&[&model.words.forward(&words, ctx), &numbers], 1);
    ///         Ok(Outcome::new(model.head.forward(&x, ctx).mse_loss(&numbers), 2))
    ///     },
    /// )
    /// .progress(Progress::Silent);
    /// # fn words_dtype() -> gradloom_tensor::DType { gradloom_tensor::DType::F32 }
    /// trainer.fit_train(&batches)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_task<B>(model: M, optimizer: O, task: K) -> Self
    where
        K: Fn(&M, &B, &mut Context, &Setting) -> Result<Outcome>,
    {
        Trainer::of_task(model, optimizer, task)
    }

    /// As [`with_task`](Trainer::with_task), of a type that is a [`Task`](crate::Task).
    pub fn of_task(model: M, optimizer: O, task: K) -> Self {
        let key = Key::new(0);
        Trainer {
            model,
            optimizer,
            task,
            step: TrainStep::new(),
            key,
            ctx: Context::train(key),
            epochs: None,
            steps: None,
            batches_max: None,
            rates: None,
            plateau: None,
            first_rate: None,
            swa: None,
            metrics: Metrics::new(),
            valid_metrics: Metrics::new(),
            callbacks: Vec::new(),
            checkpoints: None,
            resume_from: None,
            accepted: Vec::new(),
            progress: Progress::Auto,
            saves_on_interrupt: false,
            position: Position::default(),
            history: History::default(),
            best: Best::default(),
            stop: None,
        }
    }

    /// Passes over the training set. One, unless [`steps`](Trainer::steps) are set.
    #[must_use]
    pub fn epochs(mut self, epochs: u32) -> Self {
        self.epochs = Some(epochs);
        self
    }

    /// Ends after so many steps, in the middle of an epoch if it must.
    #[must_use]
    pub fn steps(mut self, steps: u64) -> Self {
        self.steps = Some(steps);
        self
    }

    /// Ends each epoch after so many batches. Lightning: `limit_train_batches`.
    #[must_use]
    pub fn batches_per_epoch(mut self, batches: usize) -> Self {
        self.batches_max = Some(batches);
        self
    }

    /// What random layers draw from; without it the key of seed 0.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// A figure of every epoch, of training and of validation.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric + Clone + 'static) -> Self {
        self.metrics.push(metric.clone());
        self.valid_metrics.push(metric);
        self
    }

    /// The learning rate of each step.
    #[must_use]
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.rates = Some(Rates::Fixed(schedule));
        self
    }

    /// The learning rate of each step, by the number of all steps:
    /// `.schedule_over(|steps| Schedule::one_cycle(0.1, steps))`.
    #[must_use]
    pub fn schedule_over(mut self, schedule: impl Fn(u64) -> Schedule + Send + 'static) -> Self {
        self.rates = Some(Rates::Over(Box::new(schedule)));
        self
    }

    /// A learning rate that falls when a figure of the epochs is no better any more.
    #[must_use]
    pub fn plateau(mut self, plateau: Plateau, monitor: impl Into<Monitor>) -> Self {
        self.plateau = Some(WatchedPlateau::new(plateau, monitor.into()));
        self
    }

    delegate_to_step! {
        /// One step for several batches; as [`TrainStep::accumulate`].
        fn accumulate(batches: usize);
        /// Clips the norm of all gradients; as [`TrainStep::clip_norm`].
        fn clip_norm(norm_max: f64);
        /// Clips each element of the gradients; as [`TrainStep::clip_value`].
        fn clip_value(bound: f64);
        /// Mixed precision; as [`TrainStep::precision`].
        fn precision(precision: Precision);
        /// How the loss is scaled; as [`TrainStep::scaler`].
        fn scaler(scaler: LossScaler);
        /// Averages the weights; as [`TrainStep::ema`].
        fn ema(ema: Ema);
        /// Whether a loss that is not finite ends the run; as [`TrainStep::check_loss`].
        fn check_loss(checks: bool);
        /// Whether gradients are looked at, too; as [`TrainStep::check_gradients`].
        fn check_gradients(checks: bool);
    }

    /// Averages the weights of the last epochs; the model ends with the average.
    #[must_use]
    pub fn swa(mut self, swa: Swa) -> Self {
        self.swa = Some(swa);
        self
    }

    /// Looks into the run.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback<M> + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Ends the run at the first step after this time, and saves.
    #[must_use]
    pub fn time_budget(self, limit: Duration) -> Self {
        self.callback(TimeLimit::new(limit))
    }

    /// Saves the run in files.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Goes on from this checkpoint.
    #[must_use]
    pub fn resume_from(mut self, path: impl Into<PathBuf>) -> Self {
        self.resume_from = Some(path.into());
        self
    }

    /// Goes on from a checkpoint though these settings are others in it, and takes what this trainer says:
    /// `.accept_changes(["schedule", "optimizer.weight_decay"])`. The error that refuses a checkpoint names them;
    /// `"optimizer"` are all of the optimizer. Without it, a run that goes on ends as the one that was stopped
    /// would have, or not at all.
    #[must_use]
    pub fn accept_changes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.accepted.extend(names.into_iter().map(Into::into));
        self
    }

    /// How progress is shown.
    #[must_use]
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Whether Ctrl-C ends the run after its step and saves. Needs the feature `ctrlc`.
    #[must_use]
    pub fn save_on_interrupt(mut self, saves: bool) -> Self {
        self.saves_on_interrupt = saves;
        self
    }

    /// The figures of all epochs so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The model that validation measures: with averaged weights, if there are.
    pub fn measured_model(&self) -> M {
        match self.averages() {
            Some(averages) => averages.model(&self.model),
            None => self.model.clone(),
        }
    }

    pub(crate) fn averages(&self) -> Option<&Averages> {
        self.step.ema.as_ref().map(|ema| &ema.averages)
    }

    pub(crate) fn setting(&self) -> Result<Setting> {
        let device = self.model.parameters().first().map(|(_, weight)| weight.device().clone());
        let device = device.ok_or_else(|| error::invalid("fit: the model has no weights"))?;
        Ok(Setting { device, dtype: self.step.dtype() })
    }
}

impl<M, O: Optimizer, K> std::fmt::Debug for Trainer<M, O, K> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Trainer")
            .field("optimizer", &self.optimizer.kind())
            .field("position", &self.position)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
