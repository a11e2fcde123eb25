//! [`StructuredPruning`]: from a model to a smaller one in one call.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::importance::Importance;
use super::selection::{Scope, Selection, Target};
use super::structure::{Removal, Structure};
use crate::prune::errors::mismatch;
use gradloom_nn::{Context, Module, ModuleExt, StateDict};
use gradloom_tensor::{Result, Tensor};

/// Makes a model smaller by whole channels and heads, which are truly taken out.
///
/// Train the model a little afterwards, with a new optimizer: it remembers weights of the old sizes.
///
/// ```
/// use gradloom_compress::prune::structured::{StructuredPruning, Target};
/// use gradloom_nn::layers::{BatchNorm, Conv2d, GlobalAvgPool2d, Linear};
/// use gradloom_nn::{Activation, Context, Init, Layer, ModuleExt, Sequential};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let mut model = Sequential::new()
///     .with(Conv2d::new(1, 8, [3, 3], Default::default(), init))
///     .with(BatchNorm::new(8, init))
///     .with(Activation::Relu)
///     .with(GlobalAvgPool2d)
///     .with(Linear::new(8, 3, init));
/// let x = Tensor::ones([2, 1, 6, 6], DType::F32, &device);
/// let report = StructuredPruning::to(Target::Flops(0.5))?
///     .prune(&mut model, &[&x], |model, ctx| model.forward(&x, ctx))?;
/// assert!(report.flops[1] <= 0.5 * report.flops[0]);
/// assert_eq!(model.parameter("0.weight").map(|weight| weight.size(0)), Some(4));
/// assert_eq!(model.forward(&x, &mut Context::eval()).shape(), &[2, 3]);
/// # Ok(())
/// # }
/// ```
///
/// Python: `torch_pruning.pruner.MetaPruner`.
pub struct StructuredPruning<'a> {
    selection: Selection,
    importance: Importance<'a>,
    keeps: Box<dyn Fn(&str) -> bool + 'a>,
}

/// What became smaller, before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct StructuredReport {
    /// Multiplications and additions of the run's products, convolutions and attention.
    pub flops: [f64; 2],
    /// Number of weights.
    pub parameters: [usize; 2],
    /// Of each group of channels the first weight that has them, and their number.
    pub groups: Vec<(String, [usize; 2])>,
}

impl<'a> StructuredPruning<'a> {
    /// By the root of the sum of squares, among all channels.
    ///
    /// # Errors
    /// If the part that is to be left is not between 0 and 1.
    pub fn to(target: Target) -> Result<Self> {
        let selection = Selection::to(target)?;
        Ok(StructuredPruning { selection, importance: Importance::L2, keeps: Box::new(|_| false) })
    }

    /// Sets how much channels are needed.
    #[must_use]
    pub fn importance(mut self, importance: Importance<'a>) -> Self {
        self.importance = importance;
        self
    }

    /// Sets among which channels the least needed are looked for.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.selection = self.selection.scope(scope);
        self
    }

    /// Of each group a multiple of this is left, as kernels are fast with: 8 or 16.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn multiple_of(mut self, multiple: usize) -> Self {
        self.selection = self.selection.multiple_of(multiple);
        self
    }

    /// Of each group at least this part is left, a tenth unless said otherwise.
    ///
    /// # Panics
    /// If it is not within `0..=1`.
    #[must_use]
    #[track_caller]
    pub fn at_least(mut self, part: f64) -> Self {
        self.selection = self.selection.at_least(part);
        self
    }

    /// Leaves channels alone that a weight has whose name `keeps` is true for.
    #[must_use]
    pub fn keep(mut self, keeps: impl Fn(&str) -> bool + 'a) -> Self {
        self.keeps = Box::new(keeps);
        self
    }

    /// Makes a model smaller, and runs it once more to see that it is what was expected; see
    /// [`Structure::of`] for the inputs and the run.
    ///
    /// # Errors
    /// If the target is out of reach, or a layer holds a size of its own that its weights do not tell; the model is
    /// then as before.
    pub fn prune<M: Module + ?Sized>(
        &self,
        model: &mut M,
        inputs: &[&Tensor],
        run: impl Fn(&M, &mut Context) -> Tensor,
    ) -> Result<StructuredReport> {
        let structure = Structure::of(model, inputs, &run);
        let scores = structure.scores(model, &self.importance)?;
        let removal = self.selection.choose(&structure, &scores, &self.keeps)?;
        let before = model.state_dict();
        structure.shrink(model, &removal)?;
        if let Err(difference) = agrees(&structure, &removal, || Structure::of(model, inputs, &run))
        {
            restore(model, &before);
            return Err(mismatch(format!(
                "prune: the smaller model does not run as the larger one: {difference}; a layer holds a size of its \
                 own: let it read the size from a weight, or keep its weights with StructuredPruning::keep"
            )));
        }
        let none = structure.none();
        let groups = structure.groups().iter().map(|group| {
            let left =
                group.channels.iter().filter(|&&(channel, _)| removal.keeps(channel)).count();
            (group.axes[0].0.clone(), [group.channels(), left])
        });
        Ok(StructuredReport {
            flops: [structure.flops(&none), structure.flops(&removal)],
            parameters: [structure.parameters(&none), structure.parameters(&removal)],
            groups: groups.collect(),
        })
    }
}

/// What a run of the smaller model has that it should not have. A layer that still believes in the old size may also
/// panic.
fn agrees(
    structure: &Structure,
    removal: &Removal,
    run: impl FnOnce() -> Structure,
) -> std::result::Result<(), String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(smaller) => structure.difference(removal, &smaller).map_or(Ok(()), Err),
        Err(panic) => Err(match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
            (Some(message), _) => message.clone(),
            (None, Some(message)) => (*message).to_owned(),
            (None, None) => "it panics".to_owned(),
        }),
    }
}

fn restore(model: &mut (impl Module + ?Sized), before: &StateDict) {
    model.for_each_parameter(|name, parameter| {
        if let Some(tensor) = before.get(name) {
            parameter.resize(tensor);
        }
    });
}
