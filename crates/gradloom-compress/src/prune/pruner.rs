//! [`Pruner`]: an optimizer whose steps also decide which weights stay.

use std::collections::BTreeMap;

use super::ranks::{Sparsity, kept};
use super::schedule::SparsitySchedule;
use gradloom_nn::optimizers::{Core, Slots};
use gradloom_nn::{Gradients, Module, ModuleExt, Optimizer, Parameter, Result, Role, StateDict};
use gradloom_tensor::{DType, Tensor, Tensors};

/// The names that a [`Pruned`](super::Pruned) model's own states begin with.
const MASKS: &str = "pruning.masks.";
const MOVEMENT: &str = "pruning.movement.";
const STEP: &str = "pruning.step";

/// By what weights are chosen while a model learns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Criterion {
    Magnitude,
    Movement,
}

/// An optimizer of a [`Pruned`](super::Pruned) model: after each step it sets to zero what does not stay, and at the
/// steps of a schedule it lets more weights go. What is gone stays so.
///
/// It works wherever an optimizer does, as in `gradloom_train::Trainer`; masks and the number of steps are states of
/// the model, so that a run goes on from a checkpoint.
///
/// ```
/// use gradloom_compress::prune::{Pruned, Pruner, Sparsity, SparsitySchedule, is_prunable};
/// use gradloom_nn::layers::Linear;
/// use gradloom_nn::{AdamW, Context, Init, Layer, Optimizer, gradients};
/// use gradloom_tensor::{DType, Key, Tensor, commit};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let model = Linear::new(4, 3, &mut Init::new(Key::new(0), &device));
/// let mut pruned = Pruned::gradually(model, is_prunable)?;
/// let schedule = SparsitySchedule::cubic(0.5, 0, 8)?.every(2);
/// let mut optimizer = Pruner::new(AdamW::new(0.1), schedule).sparsity(Sparsity::Global(0.5));
/// let x = Tensor::ones([2, 4], DType::F32, &device);
/// for _ in 0..10 {
///     let loss = pruned.forward(&x, &mut Context::eval()).square().mean(..);
///     optimizer.step(&gradients(&loss, &pruned), &mut pruned);
///     commit((&mut pruned, &mut optimizer))?;
/// }
/// assert_eq!(pruned.report()?[0].zeros, 6);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Pruner<O> {
    inner: O,
    schedule: Option<SparsitySchedule>,
    sparsity: Sparsity,
    criterion: Criterion,
    /// Steps that the model has seen, as far as the host knows.
    step: Option<u64>,
}

impl<O: Optimizer> Pruner<O> {
    /// By a schedule, in each layer alone, by the weights' absolute values.
    pub fn new(optimizer: O, schedule: SparsitySchedule) -> Self {
        let (schedule, criterion) = (Some(schedule), Criterion::Magnitude);
        Pruner {
            inner: optimizer,
            schedule,
            sparsity: Sparsity::PerLayer(0.0),
            criterion,
            step: None,
        }
    }

    /// Keeps the masks that a model has.
    pub fn fixed(optimizer: O) -> Self {
        let (schedule, criterion) = (None, Criterion::Magnitude);
        Pruner {
            inner: optimizer,
            schedule,
            sparsity: Sparsity::PerLayer(0.0),
            criterion,
            step: None,
        }
    }

    /// Sets among which weights the least are looked for. The part is the schedule's; a pattern comes at the
    /// schedule's last step.
    #[must_use]
    pub fn sparsity(mut self, sparsity: Sparsity) -> Self {
        self.sparsity = sparsity;
        self
    }

    /// Lets those weights go that move towards zero, by sums of `-weight * gradient` over all steps, instead of those
    /// that are small: for fine-tuning, where sizes are those of another task. What is gone does not come back,
    /// other than in the paper. Sanh, Wolf, Rush, "Movement pruning: adaptive sparsity by fine-tuning", 2020.
    #[must_use]
    pub fn movement(mut self) -> Self {
        self.criterion = Criterion::Movement;
        self
    }

    /// The optimizer itself.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    #[track_caller]
    fn next_step(&mut self, states: &BTreeMap<String, Tensor>) -> u64 {
        let read = || match states.get(STEP).map(Tensor::item) {
            Some(Ok(step)) => step as u64,
            Some(Err(error)) => panic!("pruner: the model's number of steps: {error}"),
            None => 0,
        };
        let step = self.step.unwrap_or_else(read);
        self.step = Some(step + 1);
        step
    }
}

impl<O: Optimizer> Optimizer for Pruner<O> {
    fn core(&self) -> &Core {
        self.inner.core()
    }

    fn core_mut(&mut self) -> &mut Core {
        self.inner.core_mut()
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        self.inner.options()
    }

    fn settings(&self, model: &dyn Module) -> Vec<(String, String)> {
        let mut settings = self.inner.settings(model);
        let own = format!("{:?} {:?} {:?}", self.schedule, self.sparsity, self.criterion);
        settings.push(("pruning".to_owned(), own));
        settings
    }

    fn update(
        &self,
        weight: &Tensor,
        gradient: &Tensor,
        learning_rate: f64,
        weight_decay: f64,
        slots: &mut Slots,
    ) -> Tensor {
        self.inner.update(weight, gradient, learning_rate, weight_decay, slots)
    }

    fn update_named(
        &self,
        name: &str,
        parameter: &Parameter,
        gradient: &Tensor,
        slots: &mut Slots,
    ) -> Tensor {
        self.inner.update_named(name, parameter, gradient, slots)
    }

    /// # Panics
    /// If the model has no masks, or nothing that movement is remembered in, or as the optimizer itself does.
    #[track_caller]
    fn step(&mut self, gradients: &Gradients, model: &mut dyn Module) {
        let mut states = BTreeMap::new();
        let mut before = BTreeMap::new();
        for (name, parameter) in model.parameters() {
            if parameter.role() == Role::State {
                states.insert(name, parameter.tensor().clone());
            } else {
                before.insert(name, parameter.tensor().clone());
            }
        }
        let has_masks = states.keys().any(|name| name.starts_with(MASKS));
        assert!(has_masks, "pruner: the model has no masks; wrap it in Pruned");
        assert!(
            self.criterion == Criterion::Magnitude
                || states.keys().any(|name| name.starts_with(MOVEMENT)),
            "pruner: the model does not remember movement; make it with Pruned::tracking_movement"
        );
        let step = self.next_step(&states);
        self.inner.step(gradients, model);
        let mut after = BTreeMap::new();
        model.for_each_parameter(|name, parameter| {
            drop(after.insert(name.to_owned(), parameter.tensor().clone()))
        });
        let mut masks: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, mask) in &states {
            if let Some(weight) = name.strip_prefix(MASKS) {
                masks.insert(weight.to_owned(), mask.clone());
            }
        }
        let movement = match self.criterion {
            Criterion::Magnitude => BTreeMap::new(),
            Criterion::Movement => moved(&masks, &states, &before, gradients),
        };
        if let Some(part) = self.schedule.and_then(|schedule| schedule.at(step)) {
            let of_pattern = matches!(self.sparsity, Sparsity::Pattern { .. });
            let is_last = self.schedule.is_some_and(|schedule| step == schedule.end());
            if !of_pattern || is_last {
                let scores = masks.iter().filter_map(|(name, mask)| {
                    let score = match self.criterion {
                        Criterion::Magnitude => after.get(name)?.wide().abs(),
                        Criterion::Movement => movement.get(name)?.clone(),
                    };
                    Some((name.clone(), mask.select(&score, f64::NEG_INFINITY)))
                });
                let scores: Vec<(String, Tensor)> = scores.collect();
                match kept(&scores, self.sparsity.with_part(part)) {
                    Ok(kept) => masks = kept.into_iter().collect(),
                    Err(error) => panic!("pruner: {error}"),
                }
            }
        }
        model.for_each_parameter(|name, parameter| {
            if let Some(mask) = name.strip_prefix(MASKS).and_then(|weight| masks.get(weight)) {
                parameter.update(mask.detach());
            } else if let Some(sum) =
                name.strip_prefix(MOVEMENT).and_then(|weight| movement.get(weight))
            {
                parameter.update(sum.detach());
            } else if let Some(mask) = masks.get(name) {
                let weight = parameter.tensor().clone();
                parameter.update(mask.select(&weight, weight.zeros_like()));
            } else if name == STEP {
                let next = i32::try_from(step + 1).unwrap_or(i32::MAX);
                parameter.update(Tensor::scalar(next, DType::I32, parameter.device()));
            }
        });
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.inner.set_learning_rate(learning_rate);
    }

    fn kind(&self) -> String {
        self.inner.kind()
    }

    fn state_dict(&self) -> StateDict {
        self.inner.state_dict()
    }

    fn load_state_dict(&mut self, dict: &StateDict, model: &dyn Module) -> Result<()> {
        self.step = None;
        self.inner.load_state_dict(dict, model)
    }
}

/// Sums of `-weight * gradient` with this step's.
fn moved(
    masks: &BTreeMap<String, Tensor>,
    states: &BTreeMap<String, Tensor>,
    before: &BTreeMap<String, Tensor>,
    gradients: &Gradients,
) -> BTreeMap<String, Tensor> {
    let of = |name: &String| {
        let (weight, gradient) = (before.get(name)?.detach().wide(), gradients.get(name)?.wide());
        let step = weight * gradient.detach() * -1.0;
        let sum = states.get(&format!("{MOVEMENT}{name}"))?;
        Some((name.clone(), sum + step))
    };
    masks.keys().filter_map(of).collect()
}

impl<O: Optimizer> Tensors for Pruner<O> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.inner.for_each_tensor(visit);
    }
}
