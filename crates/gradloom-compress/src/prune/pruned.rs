//! [`Pruned`]: a model with its masks.

use std::collections::BTreeMap;

use super::masks::{LayerSparsity, Masks};
use gradloom_nn::{Context, Layer, Module, Parameter};
use gradloom_tensor::{DType, Result, Tensor, Tensors};

/// A model whose weights are read through masks, which are saved with it.
///
/// Names of weights are the model's own, those of masks begin with `pruning.`. With a [`Pruner`](super::Pruner)
/// around the optimizer weights that are gone stay zero, whatever momentum and weight decay do; by hand call
/// [`apply`](Pruned::apply) between the optimizer's step and `commit`.
///
/// ```
/// use gradloom_compress::prune::{Masks, Pruned, Sparsity, is_prunable};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{Context, Init, Layer, Optimizer, Sgd, gradients};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let model = Linear::new(4, 3, &mut Init::new(Key::new(0), &device));
/// let masks = Masks::magnitude(&model, Sparsity::PerLayer(0.5), is_prunable)?;
/// let mut pruned = Pruned::new(model, masks)?;
/// let mut optimizer = Sgd::new(0.1).momentum(0.9).weight_decay(0.01);
/// let x = Tensor::ones([2, 4], DType::F32, &device);
/// for _ in 0..3 {
///     let loss = pruned.forward(&x, &mut Context::eval()).square().mean(..);
///     optimizer.step(&gradients(&loss, &pruned), &mut pruned);
///     pruned.apply();
///     commit((&mut pruned, &mut optimizer))?;
/// }
/// assert_eq!(pruned.report()?[0].zeros, 6);
/// let model = pruned.finish()?;
/// let zeros = model.weight.to_vec::<f32>()?.iter().filter(|weight| **weight == 0.0).count();
/// assert_eq!(zeros, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct Pruned<M> {
    /// The model.
    #[module(flatten)]
    pub model: M,
    pub(super) pruning: State,
}

/// What is remembered of pruning.
#[derive(Module, Clone, Debug)]
pub(super) struct State {
    pub(super) masks: Masks,
    /// Steps of training so far, `[]`; of models that are pruned while they learn.
    pub(super) step: Option<Parameter>,
    /// Sums of `-weight * gradient`, of movement pruning.
    pub(super) movement: BTreeMap<String, Parameter>,
}

impl<M: Module + Tensors> Pruned<M> {
    /// A model with masks; what does not stay is set to zero.
    ///
    /// # Errors
    /// If a mask has no weight or one of another shape, or the device cannot compute the weights.
    pub fn new(mut model: M, masks: Masks) -> Result<Self> {
        masks.finish(&mut model)?;
        let pruning = State { masks, step: None, movement: BTreeMap::new() };
        Ok(Pruned { model, pruning })
    }

    /// A model of which nothing is gone yet, to be pruned by a [`Pruner`](super::Pruner) while it learns: the
    /// weights that `choose` is true for.
    ///
    /// # Errors
    /// If nothing is chosen.
    pub fn gradually(model: M, choose: impl Fn(&str, &Parameter) -> bool) -> Result<Self> {
        let masks = Masks::ones(&model, choose);
        let Some((_, first)) = masks.iter().next() else {
            return Err(super::errors::mismatch("prune: no weight was chosen"));
        };
        let step = Some(Parameter::state(Tensor::scalar(0, DType::I32, first.device())));
        let pruning = State { masks, step, movement: BTreeMap::new() };
        Ok(Pruned { model, pruning })
    }

    /// Also remembers what [`Pruner::movement`](super::Pruner::movement) decides by.
    #[must_use]
    pub fn tracking_movement(mut self) -> Self {
        let zeros = |(name, mask): (&str, &Tensor)| {
            let zeros = Tensor::zeros(*mask.shape(), DType::F32, mask.device());
            (name.to_owned(), Parameter::state(zeros))
        };
        self.pruning.movement = self.pruning.masks.iter().map(zeros).collect();
        self
    }

    /// The model with zeros for good, without masks.
    ///
    /// # Errors
    /// If the device cannot compute the weights.
    pub fn finish(mut self) -> Result<M> {
        self.pruning.masks.finish(&mut self.model)?;
        Ok(self.model)
    }
}

impl<M: Module> Pruned<M> {
    /// Which weights stay.
    pub fn masks(&self) -> &Masks {
        &self.pruning.masks
    }

    /// Sets what does not stay to zero, as graph; see [`Masks::apply`].
    #[track_caller]
    pub fn apply(&mut self) {
        self.pruning.masks.apply(&mut self.model);
    }

    /// Runs a model that is no [`Layer`] with its weights read through the masks.
    pub fn run<R>(&self, ctx: &mut Context, run: impl FnOnce(&M, &mut Context) -> R) -> R {
        ctx.with_products(self.pruning.masks.products(&self.model), |ctx| run(&self.model, ctx))
    }

    /// How many weights of each layer are gone.
    ///
    /// # Errors
    /// If the device cannot count them.
    pub fn report(&self) -> Result<Vec<LayerSparsity>> {
        self.pruning.masks.report()
    }
}

impl<M: Layer + Clone + 'static> Layer for Pruned<M> {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.run(ctx, |model, ctx| model.forward(x, ctx))
    }
}
