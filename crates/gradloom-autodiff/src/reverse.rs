//! Reverse mode: [`grad`], [`vjp`] and [`value_and_grad`].
//!
//! The graph behind the output is walked once to find what depends on the inputs asked for, and once
//! backwards to build their gradients. Nothing else is built: frozen weights cost nothing.

use gradloom_tensor::{Op, Origin, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::rules;

/// Gradients of a scalar with respect to each input: `d output / d input`, of the input's shape.
///
/// Inputs that the output does not depend on get zeros. The result is ordinary graph, so it can be
/// differentiated again. As `torch.autograd.grad(output, inputs, create_graph=True)`.
///
/// # Panics
/// If the output has more than one element (use [`vjp`]) or is not of a floating-point dtype.
#[track_caller]
pub fn grad(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    assert!(
        output.count() == 1,
        "grad: the output has shape {}, not one element; reduce it, or use vjp with a cotangent",
        output.shape()
    );
    vjp(output, &output.ones_like(), inputs)
}

/// The value of a scalar function and its gradients with respect to all its arguments.
///
/// # Panics
/// As [`grad`].
#[track_caller]
pub fn value_and_grad(
    function: impl FnOnce(&[Tensor]) -> Tensor,
    arguments: &[Tensor],
) -> (Tensor, Vec<Tensor>) {
    let value = function(arguments);
    let inputs: Vec<&Tensor> = arguments.iter().collect();
    let gradients = grad(&value, &inputs);
    (value, gradients)
}

/// Vector-Jacobian products: `cotangent^T (d output / d input)` for each input.
///
/// An input may depend on another one; both get the whole derivative. History behind the inputs is not
/// looked at, however long it is.
///
/// # Panics
/// If the cotangent's shape or dtype is not the output's, or the output is not floating-point.
#[track_caller]
pub fn vjp(output: &Tensor, cotangent: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    products(output, cotangent, inputs, Through::Inputs)
}

/// As [`vjp`] with the inputs taken for independent: what one of them owes to another is left out.
#[track_caller]
pub(crate) fn partial_vjp(output: &Tensor, cotangent: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    products(output, cotangent, inputs, Through::Others)
}

/// What gradients flow through.
#[derive(Clone, Copy, PartialEq)]
enum Through {
    /// All nodes, also the inputs that are asked for.
    Inputs,
    /// Nodes that are not asked for.
    Others,
}

#[track_caller]
fn products(
    output: &Tensor,
    cotangent: &Tensor,
    inputs: &[&Tensor],
    through: Through,
) -> Vec<Tensor> {
    assert!(
        output.dtype().is_float(),
        "vjp: the output is {}; only floating-point tensors have derivatives",
        output.dtype()
    );
    assert!(
        output.shape() == cotangent.shape() && output.dtype() == cotangent.dtype(),
        "vjp: the cotangent is {} {}, the output {} {}",
        cotangent.dtype(),
        cotangent.shape(),
        output.dtype(),
        output.shape()
    );
    let asked: FxHashSet<u64> = inputs.iter().map(|input| input.id()).collect();
    let order = dependents(output, &asked, through);
    let wanted: FxHashSet<u64> = order.iter().map(Tensor::id).collect();
    let mut cotangents: FxHashMap<u64, Tensor> = FxHashMap::default();
    cotangents.insert(output.id(), cotangent.clone());
    for node in order.iter().rev() {
        let Some(gradient) = cotangents.get(&node.id()).cloned() else { continue };
        if !asked.contains(&node.id()) {
            cotangents.remove(&node.id());
        } else if through == Through::Others {
            continue;
        }
        let operands = node.inputs();
        let needs: Vec<bool> = operands
            .iter()
            .map(|operand| operand.dtype().is_float() && wanted.contains(&operand.id()))
            .collect();
        if !needs.contains(&true) {
            continue;
        }
        let contributions = contributions(node, &gradient, &needs);
        for ((operand, contribution), needed) in operands.iter().zip(contributions).zip(needs) {
            let Some(contribution) = contribution.filter(|_| needed) else { continue };
            assert!(
                contribution.shape() == operand.shape() && contribution.dtype() == operand.dtype(),
                "{}: the gradient of an operand is {} {}, the operand {} {}; the rule of the op made at {} \
                 must give it the operand's shape and dtype",
                node.op().name(),
                contribution.dtype(),
                contribution.shape(),
                operand.dtype(),
                operand.shape(),
                node.location()
            );
            let sum = match cotangents.remove(&operand.id()) {
                Some(other) => Origin::scope(Some(of_gradient(node)), || &other + &contribution),
                None => contribution,
            };
            cotangents.insert(operand.id(), sum);
        }
    }
    let mut gradients = Vec::with_capacity(inputs.len());
    for input in inputs {
        // Nodes know the caller's line, which a closure would not.
        gradients.push(match cotangents.get(&input.id()) {
            Some(gradient) => gradient.clone(),
            None => input.zeros_like(),
        });
    }
    gradients
}

/// What a node's rule makes: nodes of the line of the node itself. The rule of a custom gradient has lines
/// of its own.
fn contributions(node: &Tensor, gradient: &Tensor, needs: &[bool]) -> Vec<Option<Tensor>> {
    let own = matches!(node.op(), Op::Custom(_));
    let origin = (!own).then(|| of_gradient(node));
    Origin::scope(origin, || rules::backward(node, gradient, needs))
}

/// The origin of what belongs to the gradient of a node.
fn of_gradient(node: &Tensor) -> Origin {
    let origin = node.origin();
    Origin { gradient_of: Some(origin.gradient_of.unwrap_or(node.op().name())), ..origin }
}

/// Nodes on a path from an input to the output, operands before users.
///
/// The walk ends at what was made before the first of the inputs: a node's operands are older than the
/// node (see [`Tensor::id`]), so nothing behind it can depend on an input. What lies behind weights, such
/// as the steps of an optimizer that made them, is not looked at.
fn dependents(output: &Tensor, asked: &FxHashSet<u64>, through: Through) -> Vec<Tensor> {
    let Some(&first) = asked.iter().min() else { return Vec::new() };
    let mut depends = asked.clone();
    let mut visited: FxHashSet<u64> = FxHashSet::default();
    let mut order = Vec::new();
    let mut stack: Vec<(&Tensor, bool)> = vec![(output, false)];
    while let Some((tensor, operands_done)) = stack.pop() {
        if operands_done {
            let operands = differentiable_operands(tensor);
            if operands.iter().any(|operand| depends.contains(&operand.id())) {
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
        if through == Through::Others && asked.contains(&tensor.id()) {
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
