//! [`Core`]: what all optimizers have: a learning rate, weight decay, and what they remember of each
//! weight.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Module, ModuleExt, Parameter};
use gradloom_tensor::Tensor;

/// What an optimizer remembers of one weight: tensors by name, and the number of steps.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    /// Number of steps, the current one included.
    pub step: u64,
    pub(super) tensors: BTreeMap<String, Tensor>,
}

impl Slots {
    /// The tensor with this name, if there was a step before.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// The tensor with this name; zeros like `weight` at the first step.
    #[must_use]
    pub fn get_or_zeros(&self, name: &str, weight: &Tensor) -> Tensor {
        self.get(name).cloned().unwrap_or_else(|| weight.zeros_like())
    }

    /// Remembers a tensor.
    pub fn set(&mut self, name: &str, tensor: &Tensor) {
        self.tensors.insert(name.to_owned(), tensor.clone());
    }
}

type Decays = Arc<dyn Fn(&str, &Parameter) -> bool + Send + Sync>;
type Factor = Arc<dyn Fn(&str) -> f64 + Send + Sync>;

/// A learning rate, weight decay, and what is remembered of each weight, by its name.
#[derive(Clone)]
pub struct Core {
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) maximize: bool,
    pub(super) decays: Option<Decays>,
    pub(super) factor: Option<Factor>,
    pub(super) slots: BTreeMap<String, Slots>,
}

impl Core {
    /// A learning rate without weight decay.
    pub fn new(learning_rate: f64) -> Self {
        Core {
            learning_rate,
            weight_decay: 0.0,
            maximize: false,
            decays: None,
            factor: None,
            slots: BTreeMap::new(),
        }
    }

    /// Learning rate and weight decay of one weight.
    pub(super) fn rates(&self, name: &str, parameter: &Parameter) -> (f64, f64) {
        let factor = self.factor.as_ref().map_or(1.0, |factor| factor(name));
        let decays = self.decays.as_ref().is_none_or(|decays| decays(name, parameter));
        (self.learning_rate * factor, if decays { self.weight_decay } else { 0.0 })
    }

    /// What decides steps beside an optimizer's own options, of a model's weights: what functions of names say is
    /// asked of each.
    pub(super) fn settings(&self, model: &dyn Module) -> Vec<(String, String)> {
        let weights = || model.parameters().into_iter();
        let kept = |(name, parameter): &(String, &Parameter)| {
            self.decays.as_ref().is_some_and(|decays| !decays(name, parameter))
        };
        let kept: Vec<String> = weights().filter(kept).map(|(name, _)| name).collect();
        let factors = |(name, _): (String, &Parameter)| {
            let factor = self.factor.as_ref()?(&name);
            (factor != 1.0).then(|| format!("{name} {factor:?}"))
        };
        let factors: Vec<String> = weights().filter_map(factors).collect();
        let decays = self.weight_decay != 0.0;
        let mut settings = vec![
            ("weight_decay".to_owned(), format!("{:?}", self.weight_decay)),
            ("maximize".to_owned(), self.maximize.to_string()),
        ];
        settings.extend((decays && !kept.is_empty()).then(|| ("no_decay".into(), kept.join(", "))));
        settings.extend((!factors.is_empty()).then(|| ("rate_factors".into(), factors.join(", "))));
        settings
    }

    /// What an optimizer's [`Tensors`](gradloom_tensor::Tensors) are.
    pub fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        for slots in self.slots.values_mut() {
            slots.tensors.values_mut().for_each(&mut *visit);
        }
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Core")
            .field("learning_rate", &self.learning_rate)
            .field("weight_decay", &self.weight_decay)
            .field("weights", &self.slots.len())
            .finish_non_exhaustive()
    }
}

/// The [`Core`] of an optimizer that has it as `core`, and its own options by the names of their fields: what
/// [`Optimizer`](super::Optimizer) asks for.
macro_rules! core_methods {
    ($($option:ident),+) => {
        fn core(&self) -> &$crate::optimizers::Core {
            &self.core
        }

        fn core_mut(&mut self) -> &mut $crate::optimizers::Core {
            &mut self.core
        }

        fn options(&self) -> Vec<(&'static str, String)> {
            vec![$((stringify!($option), format!("{:?}", self.$option))),+]
        }
    };
}

/// What an optimizer remembers is all in its core.
macro_rules! tensors_of_core {
    ($type:ty $(, $constant:ident)?) => {
        impl $(<const $constant: bool>)? gradloom_tensor::Tensors for $type {
            fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut gradloom_tensor::Tensor)) {
                self.core.for_each_tensor(visit);
            }
        }
    };
}

/// Betas and epsilon of an optimizer like Adam, as settings.
macro_rules! betas_and_epsilon {
    ($type:ty, $square:literal $(, $constant:ident)?) => {
        impl $(<const $constant: bool>)? $type {
            #[doc = concat!("Sets how much of the last mean gradient and ", $square, " is kept.")]
            #[must_use]
            pub fn betas(mut self, betas: [f64; 2]) -> Self {
                self.betas = betas;
                self
            }

            /// Sets what keeps the divisor from zero.
            #[must_use]
            pub fn epsilon(mut self, epsilon: f64) -> Self {
                self.epsilon = epsilon;
                self
            }
        }
    };
}

pub(super) use {betas_and_epsilon, core_methods, tensors_of_core};
