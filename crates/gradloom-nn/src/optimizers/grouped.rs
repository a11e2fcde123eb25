//! [`Grouped`]: several optimizers for the weights of one model.

use std::sync::Arc;

use crate::optimizers::{Core, Optimizer, Slots};
use crate::{Module, ModuleExt, Parameter};
use gradloom_tensor::{Tensor, Tensors};

type Belongs = Arc<dyn Fn(&str, &Parameter) -> bool + Send + Sync>;

/// Several optimizers for one model, each for the weights of its group, with settings of its own; the first is
/// for all others. What is remembered is saved and loaded as of one optimizer.
///
/// ```
/// use gradloom_nn::optimizers::{AdamW, Grouped, Muon};
/// use gradloom_nn::{Optimizer, Parameter};
///
/// let matrices = |name: &str, weight: &Parameter| weight.rank() == 2 && name != "embedding.weight";
/// let optimizer = Grouped::new(AdamW::new(3e-4)).group(matrices, Muon::new(0.02));
/// assert_eq!(optimizer.learning_rate(), 3e-4);
/// ```
///
/// Builders such as [`weight_decay`](Optimizer::weight_decay) change the first optimizer. A learning rate that
/// is set, as from a schedule, is the first one's; the others' change in proportion.
///
/// PyTorch: `param_groups`.
#[derive(Clone)]
pub struct Grouped<O> {
    others: O,
    groups: Vec<Group>,
}

#[derive(Clone)]
struct Group {
    belongs: Belongs,
    optimizer: Box<dyn Member>,
    /// Its learning rate as a multiple of the first optimizer's.
    share: f64,
}

/// An optimizer of a group.
trait Member: Optimizer + Send + Sync {
    fn clone_member(&self) -> Box<dyn Member>;
}

impl<O: Optimizer + Clone + Send + Sync + 'static> Member for O {
    fn clone_member(&self) -> Box<dyn Member> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Member> {
    fn clone(&self) -> Self {
        (**self).clone_member()
    }
}

impl<O: Optimizer> Grouped<O> {
    /// Of an optimizer for all weights that belong to no group.
    pub fn new(others: O) -> Self {
        Grouped { others, groups: Vec::new() }
    }

    /// Gives weights an optimizer of their own, by name and value; the first group that a weight belongs to
    /// counts.
    ///
    /// # Panics
    /// If the learning rate of the first optimizer is zero: the group's could not be in proportion to it.
    #[must_use]
    #[track_caller]
    pub fn group(
        mut self,
        belongs: impl Fn(&str, &Parameter) -> bool + Send + Sync + 'static,
        optimizer: impl Optimizer + Clone + Send + Sync + 'static,
    ) -> Self {
        let first = self.others.learning_rate();
        assert!(
            first != 0.0,
            "grouped: the first optimizer needs a learning rate that is not zero"
        );
        let share = optimizer.learning_rate() / first;
        let (belongs, optimizer) = (Arc::new(belongs), Box::new(optimizer));
        self.groups.push(Group { belongs, optimizer, share });
        self
    }

    /// The first group that a weight belongs to, with its number.
    fn group_of(&self, name: &str, parameter: &Parameter) -> Option<(usize, &Group)> {
        self.groups.iter().enumerate().find(|(_, group)| (group.belongs)(name, parameter))
    }
}

impl<O: Optimizer> Optimizer for Grouped<O> {
    fn core(&self) -> &Core {
        self.others.core()
    }

    fn core_mut(&mut self) -> &mut Core {
        self.others.core_mut()
    }

    fn options(&self) -> Vec<(&'static str, String)> {
        self.others.options()
    }

    /// Those of the first, and of each group by its number, with its weights and its share of the learning rate.
    fn settings(&self, model: &dyn Module) -> Vec<(String, String)> {
        let mut settings = self.others.settings(model);
        for (index, group) in self.groups.iter().enumerate() {
            let weights = model.parameters().into_iter().filter(|(name, weight)| {
                self.group_of(name, weight).is_some_and(|(first, _)| first == index)
            });
            let weights: Vec<String> = weights.map(|(name, _)| name).collect();
            let own = group.optimizer.settings(model).into_iter();
            let own = own
                .chain([("weights".into(), weights.join(", "))])
                .chain([("share_of_the_rate".into(), format!("{:?}", group.share))]);
            settings
                .extend(own.map(|(name, value)| (format!("group_{}.{name}", index + 1), value)));
        }
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
        self.others.update(weight, gradient, learning_rate, weight_decay, slots)
    }

    fn update_named(
        &self,
        name: &str,
        parameter: &Parameter,
        gradient: &Tensor,
        slots: &mut Slots,
    ) -> Tensor {
        match self.group_of(name, parameter) {
            Some((_, group)) => group.optimizer.update_named(name, parameter, gradient, slots),
            None => self.others.update_named(name, parameter, gradient, slots),
        }
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.others.set_learning_rate(learning_rate);
        for group in &mut self.groups {
            group.optimizer.set_learning_rate(learning_rate * group.share);
        }
    }

    fn kind(&self) -> String {
        let groups = self.groups.iter().map(|group| group.optimizer.kind());
        let kinds: Vec<String> = std::iter::once(self.others.kind()).chain(groups).collect();
        kinds.join("+")
    }
}

impl<O: Optimizer> Tensors for Grouped<O> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.others.for_each_tensor(visit);
    }
}

impl<O: Optimizer> std::fmt::Debug for Grouped<O> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Grouped").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
