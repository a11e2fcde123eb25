//! Reverse mode: [`grad`], [`vjp`] and [`value_and_grad`].
//!
//! The graph behind the output is walked once to find what depends on the inputs asked for, and once
//! backwards to build their gradients. Nothing else is built: frozen weights cost nothing.

use gradloom_tensor::{Op, Tensor};
use rustc_hash::FxHashMap;

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
/// # Panics
/// If the cotangent's shape or dtype is not the output's, or the output is not floating-point.
#[track_caller]
pub fn vjp(output: &Tensor, cotangent: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
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
    let order = dependents(output, inputs);
    let mut cotangents: FxHashMap<u64, Tensor> = FxHashMap::default();
    cotangents.insert(output.id(), cotangent.clone());
    let wanted: FxHashMap<u64, bool> = order.iter().map(|node| (node.id(), true)).collect();
    let asked: FxHashMap<u64, ()> = inputs.iter().map(|input| (input.id(), ())).collect();
    for node in order.iter().rev() {
        let Some(gradient) = cotangents.get(&node.id()).cloned() else { continue };
        if !asked.contains_key(&node.id()) {
            cotangents.remove(&node.id());
        }
        let operands = node.inputs();
        let needs: Vec<bool> = operands
            .iter()
            .map(|operand| operand.dtype().is_float() && wanted.contains_key(&operand.id()))
            .collect();
        if !needs.contains(&true) {
            continue;
        }
        let contributions = rules::backward(node, &gradient, &needs);
        for ((operand, contribution), needed) in operands.iter().zip(contributions).zip(needs) {
            let Some(contribution) = contribution.filter(|_| needed) else { continue };
            debug_assert_eq!(
                contribution.shape(),
                operand.shape(),
                "gradient of {}",
                node.op().name()
            );
            debug_assert_eq!(
                contribution.dtype(),
                operand.dtype(),
                "gradient of {}",
                node.op().name()
            );
            let sum = match cotangents.remove(&operand.id()) {
                Some(other) => &other + &contribution,
                None => contribution,
            };
            cotangents.insert(operand.id(), sum);
        }
    }
    inputs
        .iter()
        .map(|input| cotangents.get(&input.id()).cloned().unwrap_or_else(|| input.zeros_like()))
        .collect()
}

/// Nodes on a path from an input to the output, operands before users.
fn dependents(output: &Tensor, inputs: &[&Tensor]) -> Vec<Tensor> {
    let mut depends: FxHashMap<u64, bool> = inputs.iter().map(|input| (input.id(), true)).collect();
    let mut visited: FxHashMap<u64, ()> = FxHashMap::default();
    let mut order = Vec::new();
    let mut stack: Vec<(&Tensor, bool)> = vec![(output, false)];
    while let Some((tensor, operands_done)) = stack.pop() {
        if operands_done {
            let through = differentiable_operands(tensor)
                .iter()
                .any(|operand| depends.get(&operand.id()).copied().unwrap_or(false));
            let entry = depends.entry(tensor.id()).or_insert(false);
            *entry |= through;
            if *entry {
                order.push(tensor.clone());
            }
            continue;
        }
        if visited.insert(tensor.id(), ()).is_some() {
            continue;
        }
        stack.push((tensor, true));
        stack.extend(differentiable_operands(tensor).iter().rev().map(|operand| (operand, false)));
    }
    order
}

/// Operands that a gradient may flow to.
fn differentiable_operands(tensor: &Tensor) -> &[Tensor] {
    match (tensor.op(), tensor.inputs()) {
        (Op::Custom(_), [_, operands @ ..]) => operands,
        (Op::Barrier, [value, ..]) => std::slice::from_ref(value),
        (_, operands) => operands,
    }
}
