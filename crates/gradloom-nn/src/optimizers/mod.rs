//! Optimizers: PyTorch's formulas, written as ordinary graph.
//!
//! Nothing is computed by a step: [`commit`](gradloom_tensor::commit) does it, for weights and optimizer
//! at once. Until then a gradient can pass through the step. Learning rates and bias corrections are
//! arguments of the plan, so a step that differs in them only is planned once.

mod adafactor;
mod adagrad;
mod adam;
mod averaged;
mod core;
mod grouped;
mod kin_of_adam;
mod layer_wise;
mod lbfgs;
mod line_search;
mod muon;
mod rmsprop;
mod running;
mod sgd;
mod signs;
mod state;

pub use self::core::{Core, Slots};
pub use adafactor::{Adafactor, Lamb};
pub use adagrad::{Adadelta, Adagrad};
pub use adam::{Adam, AdamOf, AdamW};
pub use averaged::Asgd;
pub use grouped::Grouped;
pub use kin_of_adam::{Adamax, NAdam, RAdam};
pub use layer_wise::layer_wise_rates;
pub use lbfgs::Lbfgs;
pub use muon::{Muon, MuonScale};
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use signs::{Lion, Rprop};

use std::sync::Arc;

use crate::{Gradients, Module, Parameter, Path, Result, StateDict, uncommitted};
use gradloom_tensor::{Tensor, Tensors};

/// Changes weights against their gradients.
///
/// ```
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{AdamW, Context, Init, Layer, Optimizer, gradients};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// # let x = Tensor::ones([2, 3], DType::F32, &device);
/// # let y = Tensor::ones([2, 1], DType::F32, &device);
/// let mut model = Linear::new(3, 1, &mut Init::new(Key::new(0), &device));
/// let mut optimizer = AdamW::new(0.1);
/// for _ in 0..30 {
///     let mut ctx = Context::train(Key::new(0));
///     let loss = model.forward(&x, &mut ctx).mse_loss(&y);
///     optimizer.step(&gradients(&loss, &model), &mut model);
///     commit((&mut model, &mut optimizer))?;
/// }
/// # let loss = model.forward(&x, &mut Context::eval()).mse_loss(&y);
/// assert!(loss.item()? < 0.05);
/// # Ok(())
/// # }
/// ```
///
/// An optimizer of your own gives its [`Core`], its options and the formula of one weight, and shows `commit` what
/// it remembers with [`Core`]'s `for_each_tensor`.
pub trait Optimizer: Tensors {
    /// What all optimizers have.
    fn core(&self) -> &Core;

    /// What all optimizers have, to change.
    fn core_mut(&mut self) -> &mut Core;

    /// What the formula depends on beside the core, by name, as text: `betas`, `epsilon`. A run that goes on from
    /// a checkpoint compares it, so leave nothing out.
    fn options(&self) -> Vec<(&'static str, String)>;

    /// All that decides the steps of a model's weights, but for the learning rate and what is remembered: the
    /// [`options`](Self::options), weight decay, and which weights are treated otherwise.
    fn settings(&self, model: &dyn Module) -> Vec<(String, String)> {
        let own = self.options().into_iter().map(|(name, value)| (name.to_owned(), value));
        own.chain(self.core().settings(model)).collect()
    }

    /// The new value of one weight. `weight_decay` is zero for weights that shall not decay; `slots`
    /// holds what the optimizer remembers of this weight, the same names from the first step on. All are f32
    /// for a weight of f16 or bf16, which gets the new value rounded.
    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor;

    /// [`update`](Self::update) of a weight of a model, with the rates that it has by its name. Only an optimizer
    /// that treats weights differently has one of its own.
    fn update_named(
        &self,
        name: &str,
        parameter: &Parameter,
        gradient: &Tensor,
        slots: &mut Slots,
    ) -> Tensor {
        let core = self.core();
        let (rate, decay) = core.rates(name, parameter);
        let gradient = gradient.wide();
        let gradient = if core.maximize { -gradient } else { gradient };
        self.update(&parameter.wide(), &gradient, rate, decay, slots)
    }

    /// Gives every trainable weight that has a gradient its next value.
    ///
    /// # Panics
    /// If a gradient's shape is not its weight's.
    #[track_caller]
    fn step(&mut self, gradients: &Gradients, model: &mut dyn Module) {
        // In the model's order, as `gradients` gives them, so that each is found at once.
        let mut in_order = gradients.iter().peekable();
        // Taken out so that the formula can borrow the rest of the optimizer.
        let mut slots = std::mem::take(&mut self.core_mut().slots);
        model.visit_mut(&mut Path::root(), &mut |name, parameter: &mut Parameter| {
            if !parameter.is_trainable() {
                return;
            }
            let next = in_order.next_if(|(own, _)| *own == name).map(|(_, gradient)| gradient);
            let Some(gradient) = next.or_else(|| gradients.get(name)) else { return };
            assert!(
                gradient.shape() == parameter.shape(),
                "step: {name} has shape {}, its gradient {}",
                parameter.shape(),
                gradient.shape()
            );
            uncommitted::warn(name, parameter);
            let slots = match slots.get_mut(name) {
                Some(own) => own,
                None => slots.entry(name.to_owned()).or_default(),
            };
            slots.step += 1;
            let next = self.update_named(name, parameter, gradient, slots);
            parameter.update(next.cast(parameter.dtype()));
        });
        self.core_mut().slots = slots;
    }

    /// The learning rate of the next step.
    fn learning_rate(&self) -> f64 {
        self.core().learning_rate
    }

    /// Sets the learning rate of the next step, for instance from a [`Schedule`](crate::Schedule).
    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.core_mut().learning_rate = learning_rate;
    }

    /// Sets the weight decay.
    #[must_use]
    fn weight_decay(mut self, weight_decay: f64) -> Self
    where
        Self: Sized,
    {
        self.core_mut().weight_decay = weight_decay;
        self
    }

    /// Climbs against what is to be largest instead of smallest.
    #[must_use]
    fn maximize(mut self, maximize: bool) -> Self
    where
        Self: Sized,
    {
        self.core_mut().maximize = maximize;
        self
    }

    /// Decides which weights decay, by name; without it all do. Biases and norms usually should not.
    #[must_use]
    fn decay_only(
        mut self,
        decays: impl Fn(&str, &Parameter) -> bool + Send + Sync + 'static,
    ) -> Self
    where
        Self: Sized,
    {
        self.core_mut().decays = Some(Arc::new(decays));
        self
    }

    /// Multiplies the learning rate of each weight by a factor, chosen by name.
    #[must_use]
    fn rate_factor(mut self, factor: impl Fn(&str) -> f64 + Send + Sync + 'static) -> Self
    where
        Self: Sized,
    {
        self.core_mut().factor = Some(Arc::new(factor));
        self
    }

    /// What it is called in the state that it saves: the type's name unless said otherwise.
    fn kind(&self) -> String {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name).to_owned()
    }

    /// What the optimizer remembers, to save it with the weights: `layers.0.weight.exp_avg` and so on,
    /// each weight's number of steps as `layers.0.weight.step`, and `optimizer:` with the
    /// [`kind`](Self::kind).
    fn state_dict(&self) -> StateDict {
        state::save(self.core(), &self.kind())
    }

    /// Takes over what an optimizer of the same kind remembered of this model; weights of which the
    /// dictionary has nothing begin anew. On an error the optimizer is as before.
    ///
    /// # Errors
    /// If the state is of another kind of optimizer, a name is of no weight of the model, something that the
    /// optimizer remembers with its options is missing, something else is there, or a shape is not its
    /// weight's.
    fn load_state_dict(&mut self, dict: &StateDict, model: &dyn Module) -> Result<()> {
        // What there is after a first step, which is only graph.
        let remembered = |name: &str, parameter: &Parameter| {
            let mut slots = Slots { step: 1, ..Slots::default() };
            let _ = self.update_named(name, parameter, &parameter.zeros_like(), &mut slots);
            slots
        };
        let slots = state::load(&self.kind(), &remembered, dict, model)?;
        self.core_mut().slots = slots;
        Ok(())
    }
}
