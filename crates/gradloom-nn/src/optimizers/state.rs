//! What an optimizer remembers as a dictionary, and how another of its kind takes it over.

use std::collections::{BTreeMap, BTreeSet};

use crate::optimizers::core::{Core, Slots};
use crate::{Module, ModuleExt, Parameter, Result, StateDict, error};
use gradloom_tensor::{DType, Tensor};

/// What the name of the entry begins with whose rest is the kind of optimizer. Names of what is remembered
/// have a dot, so none is like it.
const KIND: &str = "optimizer:";
const STEP: &str = "step";

pub(super) fn save(core: &Core, kind: &str) -> StateDict {
    let mut dict = StateDict::new();
    for (weight, slots) in &core.slots {
        for (name, tensor) in &slots.tensors {
            dict.insert(format!("{weight}.{name}"), tensor.detach());
        }
        let Some(tensor) = slots.tensors.values().next() else { continue };
        let count = |count: u64| {
            Tensor::scalar(i32::try_from(count).unwrap_or(i32::MAX), DType::I32, tensor.device())
        };
        dict.insert(format!("{weight}.{STEP}"), count(slots.step));
        dict.insert(format!("{KIND}{kind}"), count(1));
    }
    dict
}

/// What an optimizer expects to remember of a weight, by the weight's name.
type Remembered<'a> = &'a dyn Fn(&str, &Parameter) -> Slots;

pub(super) fn load(
    kind: &str,
    remembered: Remembered,
    dict: &StateDict,
    model: &dyn Module,
) -> Result<BTreeMap<String, Slots>> {
    let weights: BTreeMap<String, &Parameter> = model.parameters().into_iter().collect();
    let mut loaded = BTreeMap::<String, BTreeMap<&str, &Tensor>>::new();
    for (name, tensor) in dict.iter() {
        if let Some(other) = name.strip_prefix(KIND) {
            if other != kind {
                let message = format!("load: the state is of {other}, not of {kind}");
                return Err(error::mismatch(message));
            }
            continue;
        }
        let parts = name.rsplit_once('.').filter(|(weight, _)| weights.contains_key(*weight));
        let Some((weight, slot)) = parts else {
            return Err(error::mismatch(format!(
                "load: {name} is of no weight of the model; was the state saved with another?"
            )));
        };
        loaded.entry(weight.to_owned()).or_default().insert(slot, tensor);
    }
    let slots = loaded.into_iter().map(|(weight, found)| {
        let parameter = weights[&weight];
        let slots = slots(kind, &weight, parameter, &remembered(&weight, parameter), &found)?;
        Ok((weight, slots))
    });
    slots.collect()
}

/// What is remembered of one weight: all that the optimizer would remember after a step, and nothing else.
fn slots(
    kind: &str,
    weight: &str,
    parameter: &Parameter,
    remembered: &Slots,
    found: &BTreeMap<&str, &Tensor>,
) -> Result<Slots> {
    let mut expected: BTreeSet<&str> = remembered.tensors.keys().map(String::as_str).collect();
    expected.insert(STEP);
    let with = |name: &str| format!("{weight}.{name}");
    let missing: Vec<String> =
        expected.iter().filter(|name| !found.contains_key(*name)).map(|name| with(name)).collect();
    let unexpected: Vec<String> =
        found.keys().filter(|name| !expected.contains(*name)).map(|name| with(name)).collect();
    if !missing.is_empty() || !unexpected.is_empty() {
        let list = |what: &str, names: Vec<String>| match names.is_empty() {
            true => String::new(),
            false => format!("; {what} {}", names.join(", ")),
        };
        return Err(error::mismatch(format!(
            "load: the state is not one of {kind} with these options{}{}",
            list("missing", missing),
            list("unexpected", unexpected)
        )));
    }
    let mut slots = Slots::default();
    for (&name, &tensor) in found {
        if name == STEP {
            slots.step = step(&with(name), tensor)?;
            continue;
        }
        // Other libraries keep the state of a half as a half.
        let own = &remembered.tensors[name];
        if tensor.shape() != own.shape() || tensor.dtype().compute() != own.dtype().compute() {
            return Err(error::mismatch(format!(
                "load: {} is {} {}, its weight {} {}",
                with(name),
                tensor.dtype(),
                tensor.shape(),
                parameter.dtype(),
                parameter.shape()
            )));
        }
        slots.set(name, &tensor.wide());
    }
    Ok(slots)
}

fn step(name: &str, tensor: &Tensor) -> Result<u64> {
    if tensor.count() != 1 {
        return Err(error::mismatch(format!("load: {name} has shape {}, not []", tensor.shape())));
    }
    let step = tensor.item().map_err(|error| error.context("load"))?;
    if step >= 1.0 && step.fract() == 0.0 {
        return Ok(step as u64);
    }
    Err(error::mismatch(format!("load: {name} is {step}, no number of steps")))
}
