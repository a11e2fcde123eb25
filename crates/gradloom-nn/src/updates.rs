//! [`Updates`]: new values of running statistics that wait until the run they were made in is committed.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Module, ModuleExt, Parameter};
use gradloom_tensor::Tensor;

/// A new value of a parameter.
struct Update {
    /// The value that it was made from: clones of a layer have values of their own after the first step.
    old: u64,
    parameter: u64,
    value: Tensor,
    /// How often it was recorded: a layer may run several times.
    times: u32,
}

/// New values of parameters, one of each.
#[derive(Default)]
pub(crate) struct Updates(Vec<Update>);

impl Updates {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    fn of(&self, parameter: &Parameter) -> Option<&Update> {
        let old = parameter.id();
        self.0.iter().find(|update| update.old == old)
    }

    /// How often a value was noted for a parameter.
    pub(crate) fn times(&self, parameter: &Parameter) -> u32 {
        self.of(parameter).map_or(0, |update| update.times)
    }

    /// The value that waits for a parameter.
    pub(crate) fn waiting(&self, parameter: &Parameter) -> Option<&Tensor> {
        self.of(parameter).map(|update| &update.value)
    }

    /// Notes a value; it replaces one that waits.
    pub(crate) fn note(&mut self, parameter: &Parameter, value: Tensor) {
        let old = parameter.id();
        match self.0.iter_mut().find(|update| update.old == old) {
            Some(waiting) => (waiting.value, waiting.times) = (value, waiting.times + 1),
            None => {
                self.0.push(Update { old, parameter: parameter.identity(), value, times: 1 });
            }
        }
    }

    /// Gives a model's parameters their values. Returns how many there were, and the name of one that has got
    /// another value since its own was noted.
    #[track_caller]
    pub(crate) fn apply(&mut self, model: &mut (impl Module + ?Sized)) -> (usize, Option<String>) {
        if self.0.is_empty() {
            return (0, None);
        }
        let (mut applied, mut count) = (BTreeSet::new(), 0);
        let (mut own, mut unchanged) = (BTreeMap::new(), BTreeSet::new());
        model.for_each_parameter(|name, parameter| {
            let (identity, old) = (parameter.identity(), parameter.id());
            own.insert(identity, name.to_owned());
            if let Some(update) = self.0.iter().find(|update| update.old == old) {
                parameter.update(update.value.clone());
                applied.insert(old);
                unchanged.insert(identity);
                count += 1;
            }
        });
        self.0.retain(|update| !applied.contains(&update.old));
        let late = |update: &&Update| !unchanged.contains(&update.parameter);
        let late = self.0.iter().filter(late).find_map(|update| own.get(&update.parameter));
        let late = late.cloned();
        self.0.retain(|update| !own.contains_key(&update.parameter));
        (count, late)
    }
}
