//! The hunt for the op that made the first NaN or infinity of a step that went wrong.
//!
//! The step is run once more and every value of its graph is looked at, on any device. From the result the way
//! goes back along values that are not finite, to one that was made of finite ones.

use std::collections::BTreeMap;

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
    let history = History { faults: faults(&nodes)?, nodes };
    let Some(found) = history.origin_of_fault(result) else { return Ok(None) };
    Ok(Some(history.describe(&found, model)))
}

/// A node with what it is made of, which a detached one forgets when it is evaluated.
type Nodes = BTreeMap<u64, (Tensor, Vec<Tensor>)>;

/// All that a value was made of, and what of it is not finite.
struct History {
    nodes: Nodes,
    faults: BTreeMap<u64, Fault>,
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
fn nodes_behind(result: &Tensor) -> Nodes {
    let mut nodes = BTreeMap::new();
    let mut waiting = vec![result.clone()];
    while let Some(tensor) = waiting.pop() {
        if nodes.contains_key(&tensor.id()) {
            continue;
        }
        let sources = sources(&tensor);
        waiting.extend(sources.iter().cloned());
        nodes.insert(tensor.id(), (tensor, sources));
    }
    nodes
}

/// The nodes whose values are not all finite.
fn faults(nodes: &Nodes) -> Result<BTreeMap<u64, Fault>> {
    let mut faults = BTreeMap::new();
    let floats: Vec<&Tensor> = nodes
        .values()
        .map(|(node, _)| node)
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

impl History {
    fn fault(&self, tensor: &Tensor) -> Option<Fault> {
        self.faults.get(&tensor.id()).copied()
    }

    fn sources(&self, tensor: &Tensor) -> &[Tensor] {
        self.nodes.get(&tensor.id()).map_or(&[], |(_, sources)| sources)
    }

    /// The first node on the way to a result that is at fault; of several ways the one that made the NaN.
    fn origin_of_fault(&self, result: &Tensor) -> Option<Tensor> {
        self.fault(result)?;
        let mut at = result.clone();
        loop {
            let worst = self.sources(&at).iter().max_by_key(|source| self.fault(source));
            match worst {
                // A NaN made of infinities is this op's; the description says where they are from.
                Some(source) if self.fault(source) >= self.fault(&at) => at = source.clone(),
                _ => return Some(at),
            }
        }
    }

    fn describe(&self, found: &Tensor, model: &dyn Module) -> String {
        let what = match self.fault(found) {
            Some(Fault::Nan) => "NaN",
            _ => "infinity",
        };
        let (dtype, shape) = (found.dtype(), found.shape());
        if matches!(found.op(), Op::Buffer) {
            return match name_of(found, model) {
                Some(name) => format!(
                    "the weight {name} was {what} before the step, so an earlier update was: clip the \
                     gradients, or find it with check_gradients"
                ),
                None => {
                    format!("an input of the step holds {what} ({dtype} {shape}): clean the data")
                }
            };
        }
        let infinite = self.sources(found).iter().find(|source| self.fault(source).is_some());
        let infinite = infinite.and_then(|source| self.origin_of_fault(source));
        let of = infinite.map(|source| match (source.op(), name_of(&source, model)) {
            (Op::Buffer, Some(name)) => {
                format!(", of an infinity in the weight {name}, which an earlier update made")
            }
            (Op::Buffer, None) => ", of an infinity in an input of the step: clean the data".into(),
            (op, _) => format!(", of an infinity that {} made at {}", op.name(), source.origin()),
        });
        let (op, origin, of) = (found.op().name(), found.origin(), of.unwrap_or_default());
        format!("the first {what} was made by {op} at {origin}{of}")
    }
}

/// The name of the weight that a leaf is, if it is one.
fn name_of(leaf: &Tensor, model: &dyn Module) -> Option<String> {
    let mut weights = model.parameters().into_iter();
    weights.find(|(_, weight)| weight.id() == leaf.id()).map(|(name, _)| name)
}
