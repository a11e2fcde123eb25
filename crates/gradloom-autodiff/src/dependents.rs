//! Which nodes a derivative goes through: those on a path from an input to an output.

use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashSet;

/// What gradients flow through.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Through {
    /// All nodes, also the inputs that are asked for.
    Inputs,
    /// Nodes that are not asked for.
    Others,
}

/// Nodes on a path from an input to an output, operands before users.
///
/// The walk ends at what was made before the first of the inputs: a node's operands are older than the
/// node (see [`Tensor::id`]), so nothing behind it can depend on an input. What lies behind weights, such
/// as the steps of an optimizer that made them, is not looked at; nor is what lies behind the nodes
/// numbered `ends`.
pub(crate) fn dependents(
    outputs: &[&Tensor],
    asked: &FxHashSet<u64>,
    through: Through,
    ends: &FxHashSet<u64>,
) -> Vec<Tensor> {
    let Some(&first) = asked.iter().min() else { return Vec::new() };
    let mut depends = asked.clone();
    let mut visited: FxHashSet<u64> = FxHashSet::default();
    let mut order = Vec::new();
    let mut stack: Vec<(&Tensor, bool)> = outputs.iter().map(|&output| (output, false)).collect();
    while let Some((tensor, operands_done)) = stack.pop() {
        if operands_done {
            let is_end = ends.contains(&tensor.id());
            let operands = differentiable_operands(tensor);
            if !is_end && operands.iter().any(|operand| depends.contains(&operand.id())) {
                depends.insert(tensor.id());
            }
            if depends.contains(&tensor.id()) {
                order.push(tensor.clone());
            }
            continue;
        }
        if tensor.id() < first || !visited.insert(tensor.id()) {
            continue;
        }
        stack.push((tensor, true));
        let ends_here = through == Through::Others && asked.contains(&tensor.id());
        if ends_here || ends.contains(&tensor.id()) {
            continue;
        }
        stack.extend(differentiable_operands(tensor).iter().rev().map(|operand| (operand, false)));
    }
    order
}

/// Operands that a gradient may flow to.
pub(crate) fn differentiable_operands(tensor: &Tensor) -> &[Tensor] {
    match (tensor.op(), tensor.inputs()) {
        (Op::Custom(_), [_, operands @ ..]) => operands,
        (Op::Barrier, [value, ..]) => std::slice::from_ref(value),
        (_, operands) => operands,
    }
}
