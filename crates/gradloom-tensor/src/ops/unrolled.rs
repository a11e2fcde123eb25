//! A loop whose steps are written out one after another, for devices that run no loops
//! ([`Capabilities::loops`](crate::Capabilities)): the same numbers, planned in time that grows with the
//! steps. Its derivatives are those of ordinary nodes, so nothing is computed again to save memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::capture::operands;
use crate::op::{CustomGrad, Loop, Op};
use crate::{DType, Key, Origin, Shape, Tensor};

/// The last carries, and the stacked values of these nodes of the body.
#[track_caller]
pub(super) fn unrolled(
    body: &Loop,
    operands: &[Tensor],
    stacked: &[Tensor],
) -> (Vec<Tensor>, Vec<Tensor>) {
    let order = order(body, stacked);
    let (inits, sequences) = operands.split_at(body.carries.len());
    let mut carries = inits.to_vec();
    let mut values: Vec<Vec<Tensor>> = vec![Vec::with_capacity(body.length); stacked.len()];
    for turn in 0..body.length {
        let step = if body.reverse { body.length - 1 - turn } else { turn };
        let index = Tensor::scalar(step as i32, DType::I32, body.index.device());
        let mut replaced = HashMap::from([(body.index.id(), index)]);
        replaced.extend(body.carries.iter().map(Tensor::id).zip(carries));
        for (slice, sequence) in body.slices.iter().zip(sequences) {
            replaced.insert(slice.id(), sequence.index(0, step as isize));
        }
        make(&order, step as u32, &mut replaced);
        carries = body.next.iter().map(|next| found(&replaced, next)).collect();
        for (values, node) in values.iter_mut().zip(stacked) {
            values.push(found(&replaced, node));
        }
    }
    let mut all = Vec::with_capacity(stacked.len());
    for mut values in values {
        if body.reverse {
            values.reverse();
        }
        all.push(Tensor::stack(&values, 0));
    }
    (carries, all)
}

/// What stands for a node; one that is the same at every step stands for itself.
fn found(replaced: &HashMap<u64, Tensor>, node: &Tensor) -> Tensor {
    replaced.get(&node.id()).unwrap_or(node).clone()
}

/// The nodes of a body that differ from step to step, operands before users.
fn order(body: &Loop, stacked: &[Tensor]) -> Vec<Tensor> {
    let mut survey = body.survey();
    let parameters = body.carries.iter().chain(&body.slices).chain([&body.index]);
    let mut seen: HashSet<u64> = parameters.map(Tensor::id).collect();
    let mut order = Vec::new();
    let roots = body.next.iter().chain(stacked).rev();
    let mut stack: Vec<(Tensor, bool)> = roots.map(|root| (root.clone(), false)).collect();
    while let Some((node, ready)) = stack.pop() {
        if ready {
            order.push(node);
        } else if survey.varies(&node) && seen.insert(node.id()) {
            let operands = operands(&node);
            stack.push((node, true));
            stack.extend(operands.into_iter().rev().map(|operand| (operand, false)));
        }
    }
    order
}

/// Makes nodes anew with others in place of some, at a step.
fn make(order: &[Tensor], step: u32, replaced: &mut HashMap<u64, Tensor>) {
    for node in order {
        let origin = node.origin();
        let made = Origin::scope(Some(origin), || remade(node, step, replaced));
        replaced.insert(node.id(), made);
    }
}

fn remade(node: &Tensor, step: u32, replaced: &HashMap<u64, Tensor>) -> Tensor {
    let mut inputs = Vec::with_capacity(node.inputs().len());
    for input in node.inputs() {
        inputs.push(found(replaced, input));
    }
    let op = match node.op() {
        Op::Detach(source) => {
            let Some(source) = source.source() else { return node.clone() };
            let source = found(replaced, &source);
            return if node.is_tracked() { source.tracked() } else { source.detach() };
        }
        Op::Random { key } => Op::Random { key: Key::from_words(*key).fold(step).words() },
        Op::Custom(rule) => Op::Custom(remade_rule(node, rule, step, replaced)),
        op => op.clone(),
    };
    Tensor::from_op(op, inputs, *node.shape(), node.dtype(), node.device())
}

/// A custom gradient at a step. The rule is called with the nodes of the body, because its closure may have
/// captured some of them, and what it makes is made anew.
fn remade_rule(
    node: &Tensor,
    rule: &CustomGrad,
    step: u32,
    replaced: &HashMap<u64, Tensor>,
) -> CustomGrad {
    let (rule, traced, replaced) = (rule.clone(), node.inputs().to_vec(), replaced.clone());
    let at_step = move |operands: &[Tensor], value: &Tensor, gradient: &Tensor| {
        let like = &traced[0];
        let shape: Shape = *like.shape();
        let placeholder = Tensor::placeholder(shape, like.dtype(), like.device());
        let gradients = rule.apply(&traced[1..], like, &placeholder);
        let mut replaced = replaced.clone();
        let given = std::iter::once(value).chain(operands);
        replaced.extend(traced.iter().map(Tensor::id).zip(given.cloned()));
        replaced.insert(placeholder.id(), gradient.clone());
        let wanted: Vec<Tensor> = gradients.iter().flatten().cloned().collect();
        make(&reaching(&wanted, &replaced), step, &mut replaced);
        let at_step = |gradient: &Option<Tensor>| Some(found(&replaced, gradient.as_ref()?));
        gradients.iter().map(at_step).collect()
    };
    CustomGrad::new(Arc::new(at_step))
}

/// The nodes behind some roots that are made of what is replaced, operands before users.
fn reaching(roots: &[Tensor], replaced: &HashMap<u64, Tensor>) -> Vec<Tensor> {
    let mut reach: HashSet<u64> = replaced.keys().copied().collect();
    let first = reach.iter().copied().min().unwrap_or(u64::MAX);
    let mut seen = reach.clone();
    let mut order = Vec::new();
    let mut stack: Vec<(Tensor, bool)> = roots.iter().map(|root| (root.clone(), false)).collect();
    while let Some((node, ready)) = stack.pop() {
        let operands = operands(&node);
        if ready {
            if operands.iter().any(|operand| reach.contains(&operand.id())) {
                reach.insert(node.id());
                order.push(node);
            }
        } else if node.id() > first && seen.insert(node.id()) {
            stack.push((node, true));
            stack.extend(operands.into_iter().rev().map(|operand| (operand, false)));
        }
    }
    order
}
