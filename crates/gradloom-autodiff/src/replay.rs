//! [`Replay`]: a traced graph built once more with other tensors in place of some of its nodes.
//!
//! A function is traced by calling it on placeholders. What has been made since then and depends on them
//! is listed by [`Replay::order`], operands first; whoever transforms the function goes through the list
//! and makes each node anew. What does not depend on them is not listed and stays as it is.

use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashSet;

/// What is replaced, and how far back it can matter.
pub(crate) struct Replay<'a> {
    /// The least id of a node of the trace: what is older depends on nothing of it.
    pub(crate) first: u64,
    /// Whether a node stands replaced, so that nothing behind it matters.
    pub(crate) replaced: &'a dyn Fn(&Tensor) -> bool,
    /// Whether a node of the trace is made anew although it depends on nothing that is replaced.
    pub(crate) anew: &'a dyn Fn(&Tensor) -> bool,
}

/// What is left to do for a node.
enum Visit {
    /// Find out what it depends on.
    Reach(Tensor),
    /// Its operands are done.
    Leave(Tensor),
}

impl Replay<'_> {
    /// The nodes behind the outputs that have to be made anew, operands before users, without those that
    /// are replaced. A loop, not a recursion: graphs of long sequences are deep.
    pub(crate) fn order(&self, outputs: &[Tensor]) -> Vec<Tensor> {
        let mut visited: FxHashSet<u64> = FxHashSet::default();
        let mut depends: FxHashSet<u64> = FxHashSet::default();
        let mut order = Vec::new();
        let mut stack: Vec<Visit> = outputs.iter().rev().cloned().map(Visit::Reach).collect();
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Reach(tensor) => {
                    if tensor.id() < self.first || !visited.insert(tensor.id()) {
                        continue;
                    }
                    if (self.replaced)(&tensor) {
                        depends.insert(tensor.id());
                        continue;
                    }
                    let operands = operands(&tensor);
                    stack.push(Visit::Leave(tensor));
                    stack.extend(operands.into_iter().rev().map(Visit::Reach));
                }
                Visit::Leave(tensor) => {
                    let mut operands = operands(&tensor).into_iter();
                    if operands.any(|operand| depends.contains(&operand.id()))
                        || (self.anew)(&tensor)
                    {
                        depends.insert(tensor.id());
                        order.push(tensor);
                    }
                }
            }
        }
        order
    }
}

/// All that a node is made of: its operands, or the source of a detached one while it has no value.
pub(crate) fn operands(tensor: &Tensor) -> Vec<Tensor> {
    match tensor.op() {
        Op::Detach(source) => source.source().into_iter().collect(),
        _ => tensor.inputs().to_vec(),
    }
}
