//! The hunt for the op that made the first NaN or infinity of a step that went wrong.
//!
//! The step is run once more and every value of its graph is looked at, on any device. From the result the way
//! goes back along values that are not finite, to one that was made of finite ones.

use std::collections::{BTreeMap, BTreeSet};

use gradloom_nn::{Module, ModuleExt};
use gradloom_tensor::{Op, State, Tensor, eval};

use crate::Result;

/// Values that are looked at in one evaluation.
const VALUES_AT_ONCE: usize = 32;

/// How bad a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Infinite,
    Nan,
}

/// What made the first value that is not finite on the way to `result`, in words; `None` if all are finite.
///
/// # Errors
/// If the values cannot be computed.
pub(crate) fn first_fault(result: &Tensor, model: &dyn Module) -> Result<Option<String>> {
    let nodes = nodes_behind(result);
    let faults = faults(&nodes)?;
    let Some(found) = origin_of_fault(result, &faults) else { return Ok(None) };
    Ok(Some(describe(&found, &faults, model)))
}

/// What a node is made of: its operands, or the source of a detached one.
fn sources(tensor: &Tensor) -> Vec<Tensor> {
    match tensor.state() {
        State::Detached(source) => vec![source],
        // An evaluated node may still know its operands; a leaf has none.
        State::Value(_) | State::Node => tensor.inputs().to_vec(),
    }
}

/// All nodes behind one, and itself, in the order in which they were made.
fn nodes_behind(result: &Tensor) -> BTreeMap<u64, Tensor> {
    let mut nodes = BTreeMap::new();
    let mut waiting = vec![result.clone()];
    while let Some(tensor) = waiting.pop() {
        if nodes.contains_key(&tensor.id()) {
            continue;
        }
        waiting.extend(sources(&tensor));
        nodes.insert(tensor.id(), tensor);
    }
    nodes
}

/// The nodes whose values are not all finite.
fn faults(nodes: &BTreeMap<u64, Tensor>) -> Result<BTreeMap<u64, Fault>> {
    let mut faults = BTreeMap::new();
    let floats: Vec<&Tensor> = nodes
        .values()
        .filter(|node| node.dtype().is_float() && !node.is_quantized() && node.count() > 0)
        .collect();
    for values in floats.chunks(VALUES_AT_ONCE) {
        // Values first, so that the next ones are made of these and not of everything again.
        eval(values.iter().copied())?;
        let leaves: Vec<Tensor> = values.iter().map(|value| value.detach()).collect();
        let flags: Vec<[Tensor; 2]> = leaves
            .iter()
            .map(|leaf| [leaf.is_finite().logical_not().sum(..), leaf.is_nan().sum(..)])
            .collect();
        eval(flags.iter().flatten())?;
        for (value, [not_finite, nan]) in values.iter().zip(&flags) {
            if not_finite.item()? > 0.0 {
                let fault = if nan.item()? > 0.0 { Fault::Nan } else { Fault::Infinite };
                faults.insert(value.id(), fault);
            }
        }
    }
    Ok(faults)
}

/// The first node on the way to a result that is at fault; of several ways the one that made the NaN.
fn origin_of_fault(result: &Tensor, faults: &BTreeMap<u64, Fault>) -> Option<Tensor> {
    faults.get(&result.id())?;
    let mut at = result.clone();
    let mut seen = BTreeSet::new();
    loop {
        seen.insert(at.id());
        let own = faults.get(&at.id()).copied();
        let worst = sources(&at)
            .into_iter()
            .filter(|source| faults.contains_key(&source.id()) && !seen.contains(&source.id()))
            .max_by_key(|source| faults.get(&source.id()).copied());
        match worst {
            // A NaN made of infinities is this op's; the description says where they are from.
            Some(source) if faults.get(&source.id()).copied() >= own => at = source,
            _ => return Some(at),
        }
    }
}

fn describe(found: &Tensor, faults: &BTreeMap<u64, Fault>, model: &dyn Module) -> String {
    let what = match faults.get(&found.id()) {
        Some(Fault::Nan) => "NaN",
        _ => "infinity",
    };
    if matches!(found.op(), Op::Buffer) || matches!(found.state(), State::Value(_) if found.inputs().is_empty())
    {
        let weight = model.parameters().into_iter().find(|(_, weight)| weight.id() == found.id());
        return match weight {
            Some((name, _)) => format!(
                "the weight {name} was {what} before the step, so an earlier update was: clip the gradients, \
                 or find it with check_gradients"
            ),
            None => format!(
                "an input of the step holds {what} ({} {}): clean the data",
                found.dtype(),
                found.shape()
            ),
        };
    }
    let infinite = sources(found).into_iter().find(|source| faults.contains_key(&source.id()));
    let of = match infinite.and_then(|source| origin_of_fault(&source, faults)) {
        Some(source) => {
            format!(", of an infinity that {} made at {}", source.op().name(), source.origin())
        }
        None => String::new(),
    };
    format!("the first {what} was made by {} at {}{of}", found.op().name(), found.origin())
}
