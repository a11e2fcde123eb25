//! [`Context`]: the only state of a run. Layers read the mode and draw keys from it, leave new running
//! statistics in it, and show it their activations.
//!
//! There are no globals and nothing inside a model changes while it runs, so one model can serve many
//! threads, each with a context of its own.

use crate::layer_runs::{self, LayerRun, Runs};
use crate::products::SharedProducts;
use crate::updates::Updates;
use crate::{Compute, Module, Parameter, Path};
use gradloom_tensor::{Key, LayerScope, LayerTag, Tensor};

/// A function that may put another activation in the place of a named one.
type Patch = Box<dyn Fn(&str, &Tensor) -> Option<Tensor> + Send>;

/// The state of one run of a model: mode, randomness, updates of running statistics, taps.
///
/// ```
/// use gradloom_nn::layers::BatchNorm;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let mut norm = BatchNorm::new(2, &mut Init::new(Key::new(0), &device));
/// let mut ctx = Context::train(Key::new(1));
/// norm.forward(&Tensor::ones([3, 2], DType::F32, &device), &mut ctx);
/// ctx.apply_updates(&mut norm);
/// commit(&mut norm)?;
/// assert_eq!(norm.running.unwrap().running_mean.to_vec::<f32>()?, [0.1, 0.1]);
/// # Ok(())
/// # }
/// ```
pub struct Context {
    training: bool,
    key: Key,
    drawn: u32,
    updates: Updates,
    /// Batches seen so far, where running statistics are measured anew.
    measured: Option<u64>,
    collecting: bool,
    taps: Vec<(String, Tensor)>,
    patch: Option<Patch>,
    path: Path,
    runs: Option<Runs>,
    compute: Compute,
    products: Option<SharedProducts>,
    /// Whether batches that do not suit a layer are told instead of panicking, and the first of them.
    tells: bool,
    unsuited: Option<String>,
}

impl Context {
    /// For learning: dropout drops, batch norm uses and records the statistics of the batch.
    pub fn train(key: Key) -> Self {
        Context::new(true, key)
    }

    /// For use and measurement: nothing is random, running statistics are used and kept.
    pub fn eval() -> Self {
        Context::new(false, Key::new(0))
    }

    /// A mode and the key that random layers draw from.
    pub fn new(training: bool, key: Key) -> Self {
        Context {
            training,
            key,
            drawn: 0,
            updates: Updates::default(),
            measured: None,
            collecting: false,
            taps: Vec::new(),
            patch: None,
            path: Path::root(),
            runs: None,
            compute: Compute::full(),
            products: None,
            tells: false,
            unsuited: None,
        }
    }

    /// Running statistics forget what they were and become the plain means over all batches that are run with
    /// this context, however far they move in training. [`Context::apply_updates`] ends a batch.
    /// PyTorch: `torch.optim.swa_utils.update_bn`.
    ///
    /// ```
    /// use gradloom_nn::layers::BatchNorm;
    /// use gradloom_nn::{Context, Init, Layer};
    /// use gradloom_tensor::{DType, Key, Tensor, commit};
    ///
    /// # fn main() -> gradloom_tensor::Result<()> {
    /// # let device = gradloom_testkit::reference::device();
    /// let mut norm = BatchNorm::new(2, &mut Init::new(Key::new(0), &device));
    /// let mut ctx = Context::train(Key::new(1)).measuring_statistics();
    /// for mean in [1.0, 4.0] {
    ///     norm.forward(&Tensor::full([3, 2], mean, DType::F32, &device), &mut ctx);
    ///     ctx.apply_updates(&mut norm);
    ///     commit(&mut norm)?;
    /// }
    /// assert_eq!(norm.running.unwrap().running_mean.to_vec::<f32>()?, [2.5, 2.5]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn measuring_statistics(mut self) -> Self {
        self.measured = Some(0);
        self
    }

    /// Products read their operands in this dtype: mixed precision.
    #[must_use]
    pub fn with_compute(mut self, compute: Compute) -> Self {
        self.compute = compute;
        self
    }

    /// In which dtype products read their operands, and through which hook.
    pub fn compute(&self) -> Compute {
        self.compute.clone().through(self.products.clone())
    }

    /// Runs a model, or a part of it, whose products with weights go through a hook. Within another one, the inner
    /// hook alone sees them.
    pub fn with_products<R>(
        &mut self,
        products: SharedProducts,
        run: impl FnOnce(&mut Context) -> R,
    ) -> R {
        let outer = self.products.replace(products);
        let result = run(self);
        self.products = outer;
        result
    }

    /// Runs a part of a model whose products read their operands so: `Compute::full()` leaves it out of mixed
    /// precision. PyTorch: `autocast(enabled=False)` around a layer.
    pub fn computing<R>(&mut self, compute: Compute, run: impl FnOnce(&mut Context) -> R) -> R {
        let outer = std::mem::replace(&mut self.compute, compute);
        let result = run(self);
        self.compute = outer;
        result
    }

    /// Runs a model whose layers tell of a batch that does not suit them instead of panicking. What the first of
    /// them said comes beside the result, which is of no use then.
    pub fn telling<R>(&mut self, run: impl FnOnce(&mut Context) -> R) -> (R, Option<String>) {
        self.tells = true;
        let result = run(self);
        self.tells = false;
        (result, self.unsuited.take())
    }

    /// Says that a batch does not suit a layer, as one sample does not suit batch norm.
    ///
    /// # Panics
    /// Unless it is [told](Context::telling), as a trainer is, which knows which batch it was.
    #[track_caller]
    pub fn unsuited(&mut self, message: String) {
        assert!(self.tells, "{message}");
        self.unsuited.get_or_insert(message);
    }

    /// Batches before this one, if running statistics are measured anew.
    pub(crate) fn batches_measured(&self) -> Option<u64> {
        self.measured
    }

    /// How often a value was recorded for a parameter since the last [`Context::apply_updates`].
    pub(crate) fn times_recorded(&self, parameter: &Parameter) -> u32 {
        self.updates.times(parameter)
    }

    /// True while learning.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// The next random key. Every call gives another one; the same run gives the same keys.
    pub fn key(&mut self) -> Key {
        let key = self.key.fold(self.drawn);
        self.drawn = self.drawn.wrapping_add(1);
        key
    }

    /// How many keys were drawn: with the key of the run, all that its randomness depends on.
    pub fn keys_drawn(&self) -> u32 {
        self.drawn
    }

    /// Goes on as after this many keys: a run that goes on draws what it would have drawn.
    ///
    /// ```
    /// use gradloom_nn::Context;
    /// use gradloom_tensor::Key;
    ///
    /// let mut ctx = Context::train(Key::new(7));
    /// ctx.key();
    /// let (drawn, next) = (ctx.keys_drawn(), ctx.key());
    /// let mut resumed = Context::train(Key::new(7));
    /// resumed.set_keys_drawn(drawn);
    /// assert_eq!(resumed.key(), next);
    /// ```
    pub fn set_keys_drawn(&mut self, count: u32) {
        self.drawn = count;
    }

    /// The key of the run, from which all others are drawn.
    pub fn run_key(&self) -> Key {
        self.key
    }

    /// Forgets recorded statistics: of a run whose results are not used.
    pub fn discard_updates(&mut self) {
        self.updates.clear();
    }

    /// Notes a new value for a running statistic. It waits for [`apply_updates`](Context::apply_updates);
    /// a later value for the same parameter replaces it.
    ///
    /// # Panics
    /// If the shape differs.
    #[track_caller]
    pub fn record(&mut self, parameter: &Parameter, value: Tensor) {
        let (new, old) = (value.shape(), parameter.shape());
        assert!(new == old, "record: a value of shape {new} for a parameter of shape {old}");
        self.updates.note(parameter, value);
    }

    /// The value that waits for a parameter, or the parameter itself: what a layer that runs twice
    /// updates further.
    pub fn recorded<'a>(&'a self, parameter: &'a Parameter) -> &'a Tensor {
        self.updates.waiting(parameter).unwrap_or(parameter.tensor())
    }

    /// Stores the recorded values of this model's parameters in them, and returns how many there were.
    /// They are ordinary graph until [`commit`](gradloom_tensor::commit) computes them with the weights.
    /// What was recorded of another model that ran with this context waits for that.
    ///
    /// # Panics
    /// If a parameter has got another value since, as `commit` gives it one: then the run would be computed
    /// once more, from the weights before.
    #[track_caller]
    pub fn apply_updates(&mut self, model: &mut (impl Module + ?Sized)) -> usize {
        self.measured = self.measured.map(|batches| batches + 1);
        let (count, late) = self.updates.apply(model);
        if let Some(name) = late {
            panic!(
                "apply_updates: {name} has got another value since the run that recorded its update; call \
                 apply_updates before commit"
            );
        }
        count
    }

    /// Notes which layers run from now on, for [`layer_runs`](Context::layer_runs).
    #[must_use]
    pub fn with_layer_runs(mut self) -> Self {
        self.runs = Some(Runs::begin());
        self
    }

    /// Enters a layer, until what this gives is dropped: profiles count what is computed meanwhile as the
    /// layer's. Layers of your own that hold parameters themselves call it first; it costs nothing while
    /// nobody profiles.
    pub fn enter(&self, kind: &'static str, layer: &(impl Module + ?Sized)) -> Option<LayerScope> {
        LayerTag::noting().then(|| layer_runs::scope(kind, layer)).flatten()
    }

    /// Notes that a layer has run. Layers of your own that hold parameters themselves call it with their
    /// output; it costs nothing unless [`with_layer_runs`](Context::with_layer_runs) asked.
    pub fn ran(&mut self, kind: &'static str, layer: &(impl Module + ?Sized), output: &Tensor) {
        if let Some(runs) = &mut self.runs {
            runs.push(kind, layer, output);
        }
    }

    /// The layers of a model that ran, in their order, and what each reads; one that ran twice is there twice. Layers
    /// without weights and layers of other models are not.
    ///
    /// ```
    /// use gradloom_nn::layers::Linear;
    /// use gradloom_nn::{Context, Init, Layer};
    /// use gradloom_tensor::{DType, Key, Tensor};
    ///
    /// # let device = gradloom_testkit::reference::device();
    /// let layer = Linear::new(3, 2, &mut Init::new(Key::new(0), &device));
    /// let mut ctx = Context::eval().with_layer_runs();
    /// layer.forward(&Tensor::zeros([4, 3], DType::F32, &device), &mut ctx);
    /// let runs = ctx.layer_runs(&layer);
    /// assert_eq!((runs[0].kind, &runs[0].output[..]), ("Linear", &[4, 2][..]));
    /// assert_eq!(runs[0].parameters, ["weight", "bias"]);
    /// ```
    pub fn layer_runs(&self, model: &(impl Module + ?Sized)) -> Vec<LayerRun> {
        self.runs.as_ref().map_or_else(Vec::new, |runs| runs.named(model))
    }

    /// Collects the activations that layers show with [`tap`](Context::tap) from now on.
    #[must_use]
    pub fn with_taps(mut self) -> Self {
        self.collecting = true;
        self
    }

    /// Lets `patch` put another activation in the place of a named one, for interventions.
    ///
    /// The function sees every tapped activation with its name; `None` leaves it as it is.
    #[must_use]
    pub fn with_patch(
        mut self,
        patch: impl Fn(&str, &Tensor) -> Option<Tensor> + Send + 'static,
    ) -> Self {
        self.patch = Some(Box::new(patch));
        self
    }

    /// Shows a named activation. Go on with the tensor that comes back: a patch may have replaced it.
    ///
    /// Costs nothing unless taps or a patch are on.
    pub fn tap(&mut self, name: &str, tensor: &Tensor) -> Tensor {
        if !self.is_tapping() {
            return tensor.clone();
        }
        let name = self.path.within(name, |path| path.as_str().to_owned());
        let patched = self.patch.as_ref().and_then(|patch| patch(&name, tensor));
        let tensor = patched.unwrap_or_else(|| tensor.clone());
        if self.collecting {
            self.taps.push((name, tensor.clone()));
        }
        tensor
    }

    /// Runs a part of a model: taps inside are named `name.` and their own name.
    pub fn within<R>(&mut self, name: &str, run: impl FnOnce(&mut Context) -> R) -> R {
        if !self.is_tapping() {
            return run(self);
        }
        let mut inner = self.path.clone();
        inner.within(name, |path| {
            let outer = std::mem::replace(&mut self.path, path.clone());
            let result = run(self);
            self.path = outer;
            result
        })
    }

    /// As [`within`](Context::within), with a number for a name.
    pub fn within_index<R>(&mut self, index: usize, run: impl FnOnce(&mut Context) -> R) -> R {
        if self.is_tapping() { self.within(&index.to_string(), run) } else { run(self) }
    }

    /// True if a tap is seen by anyone: layers that would have to compute more for a tap ask first.
    pub fn is_tapping(&self) -> bool {
        self.collecting || self.patch.is_some()
    }

    /// The activations collected so far, in the order of the run.
    pub fn taps(&self) -> &[(String, Tensor)] {
        &self.taps
    }

    /// The last activation collected under a name.
    pub fn tapped(&self, name: &str) -> Option<&Tensor> {
        self.taps.iter().rev().find(|(other, _)| other == name).map(|(_, tensor)| tensor)
    }

    /// Takes the collected activations out.
    pub fn take_taps(&mut self) -> Vec<(String, Tensor)> {
        std::mem::take(&mut self.taps)
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Context")
            .field("training", &self.training)
            .field("keys_drawn", &self.drawn)
            .field("updates", &self.updates.len())
            .field("taps", &self.taps.len())
            .finish_non_exhaustive()
    }
}
