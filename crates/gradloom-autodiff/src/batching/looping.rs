//! Loops: one loop whose carries, sequences and captured values have an axis of examples where they differ
//! between examples. A carry that comes to depend on one that does differs too.

use std::sync::Arc;

use gradloom_tensor::op::{Loop, LoopOutput, LoopResult};
use gradloom_tensor::{LoopParts, Op, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use super::value::{Value, batched_shape};
use super::{Batch, Randomness};
use crate::replay::operands;

/// A loop on its operands.
type Application = (usize, Vec<u64>);

fn application(node: &Tensor, result: &LoopResult) -> Application {
    let operands = node.inputs().iter().map(Tensor::id).collect();
    (Arc::as_ptr(&result.body) as usize, operands)
}

/// The loops of a graph, and what has been made of those that were met.
pub(super) struct Loops {
    /// Nodes of bodies that are asked for at every step.
    asked: FxHashMap<Application, Vec<Tensor>>,
    made: FxHashMap<Application, Made>,
}

/// A loop over all examples.
struct Made {
    body: Arc<Loop>,
    /// Inits and sequences.
    operands: Vec<Tensor>,
    /// Whether each carry differs between examples.
    carries: Vec<bool>,
    /// What stands for nodes of the old body.
    stacked: FxHashMap<u64, Value>,
}

impl Loops {
    /// The loops that have results among some nodes.
    pub(super) fn new(nodes: &[Tensor]) -> Loops {
        let mut asked: FxHashMap<Application, Vec<Tensor>> = FxHashMap::default();
        for node in nodes {
            if let Op::Loop(result) = node.op() {
                let asked = asked.entry(application(node, result)).or_default();
                if let LoopOutput::Stacked(of) = &result.output {
                    asked.push(of.clone());
                }
            }
        }
        Loops { asked, made: FxHashMap::default() }
    }

    /// What stands for a result of a loop of which an operand is batched, or which draws numbers for each
    /// example.
    #[track_caller]
    pub(super) fn result(
        &mut self,
        batch: &Batch,
        node: &Tensor,
        result: &LoopResult,
        operands: &[Value],
    ) -> Value {
        let application = application(node, result);
        let asked = self.asked.get(&application).cloned().unwrap_or_default();
        let made = self
            .made
            .entry(application)
            .or_insert_with(|| Made::new(batch, &result.body, operands, &asked));
        match &result.output {
            LoopOutput::Carry(carry) => {
                let last = made.result(LoopOutput::Carry(*carry));
                if made.carries[*carry] { Value::Batched(last) } else { Value::Single(last) }
            }
            LoopOutput::Stacked(of) => match &made.stacked[&of.id()] {
                Value::Single(of) => {
                    let all = made.result(LoopOutput::Stacked(of.clone()));
                    Value::Single(all.reshape(*node.shape()))
                }
                Value::Batched(of) => {
                    let steps = result.body.length();
                    let all = made.result(LoopOutput::Stacked(of.clone()));
                    let all = all.reshape([steps, batch.size, node.count() / steps.max(1)]);
                    let shape = batched_shape(batch.size, node.shape());
                    Value::Batched(all.transpose(0, 1).reshape(shape))
                }
            },
        }
    }
}

impl Made {
    #[track_caller]
    fn new(batch: &Batch, body: &Arc<Loop>, operands: &[Value], asked: &[Tensor]) -> Made {
        let count = body.carries().len();
        let mut carries: Vec<bool> = operands[..count].iter().map(Value::is_batched).collect();
        loop {
            let first = Tensor::next_id();
            let step = Step::new(batch, body, operands, &carries);
            let roots: Vec<Tensor> = body.next().iter().chain(asked).cloned().collect();
            let mut found = step.rebuild(batch, body, &roots);
            let stacked = found.split_off(count);
            let more: Vec<bool> = carries
                .iter()
                .zip(&found)
                .map(|(&known, next)| known || next.is_batched())
                .collect();
            if more != carries {
                carries = more;
                continue;
            }
            let next = found.iter().zip(&carries).map(|(next, &batched)| match batched {
                true => next.each(batch.size),
                false => next.tensor().clone(),
            });
            let parts = LoopParts {
                length: body.length(),
                reverse: body.reverse(),
                recompute: body.recompute(),
                index: step.index,
                carries: step.carries,
                slices: step.slices,
                next: next.collect(),
                first,
            };
            let roots: Vec<Tensor> = stacked.iter().map(|value| value.tensor().clone()).collect();
            return Made {
                body: Arc::new(parts.close(&roots)),
                operands: given(batch, body, operands, &carries),
                carries,
                stacked: asked.iter().map(Tensor::id).zip(stacked).collect(),
            };
        }
    }

    #[track_caller]
    fn result(&self, output: LoopOutput) -> Tensor {
        Tensor::loop_result(&self.body, &self.operands, output)
    }
}

/// Inits and sequences of the loop over all examples: of a sequence, the examples of each step.
#[track_caller]
fn given(batch: &Batch, body: &Loop, operands: &[Value], carries: &[bool]) -> Vec<Tensor> {
    let (inits, others) = operands.split_at(carries.len());
    let mut given = Vec::with_capacity(operands.len());
    for (init, &batched) in inits.iter().zip(carries) {
        given.push(if batched { init.each(batch.size) } else { init.tensor().clone() });
    }
    for (sequence, slice) in others.iter().zip(body.slices()) {
        given.push(match sequence {
            Value::Single(sequence) => sequence.clone(),
            Value::Batched(sequence) => {
                sequence.reshape([batch.size, body.length(), slice.count()]).transpose(0, 1)
            }
        });
    }
    given
}

/// What stands for the parameters of a body.
struct Step {
    index: Tensor,
    carries: Vec<Tensor>,
    slices: Vec<Tensor>,
    values: FxHashMap<u64, Value>,
}

impl Step {
    #[track_caller]
    fn new(batch: &Batch, body: &Loop, operands: &[Value], carries: &[bool]) -> Step {
        let mut values = FxHashMap::default();
        let mut stand_in = |node: &Tensor, batched: bool| {
            let shape =
                if batched { batched_shape(batch.size, node.shape()) } else { *node.shape() };
            let placeholder = Tensor::placeholder(shape, node.dtype(), node.device());
            let value = match batched {
                true => Value::Batched(placeholder.clone()),
                false => Value::Single(placeholder.clone()),
            };
            values.insert(node.id(), value);
            placeholder
        };
        let index = stand_in(body.index(), false);
        let before = body.carries().iter().zip(carries);
        let before = before.map(|(carry, &batched)| stand_in(carry, batched)).collect();
        let others = &operands[carries.len()..];
        let parts = body.slices().iter().zip(others);
        let slices = parts.map(|(slice, operand)| stand_in(slice, operand.is_batched())).collect();
        let captured = others[body.slices().len()..].iter();
        values.extend(body.captured().iter().map(Tensor::id).zip(captured.cloned()));
        Step { index, carries: before, slices, values }
    }

    /// What stands for nodes of the body. All of it that differs from step to step is made anew.
    #[track_caller]
    fn rebuild(&self, batch: &Batch, body: &Loop, roots: &[Tensor]) -> Vec<Value> {
        let first = body.parameters().map(Tensor::id).min().unwrap_or(body.first());
        let inner = Batch {
            size: batch.size,
            first: first.min(body.first()).min(body.index().id()),
            randomness: batch.randomness,
            arguments: FxHashMap::default(),
            in_loop: true,
        };
        Arc::new(inner).rebuild_with(roots, self.values.clone())
    }
}

/// True if a loop draws random numbers that are others for each example.
pub(super) fn draws(result: &LoopResult, randomness: Randomness) -> bool {
    randomness != Randomness::Same && contains_draws(result)
}

fn contains_draws(result: &LoopResult) -> bool {
    let body = &result.body;
    let mut seen: FxHashSet<u64> = body.parameters().map(Tensor::id).collect();
    seen.insert(body.index().id());
    let mut stack: Vec<Tensor> = body.next().to_vec();
    if let LoopOutput::Stacked(node) = &result.output {
        stack.push(node.clone());
    }
    while let Some(node) = stack.pop() {
        if node.id() < body.first() || !seen.insert(node.id()) {
            continue;
        }
        match node.op() {
            Op::Random { .. } => return true,
            Op::Loop(inner) if contains_draws(inner) => return true,
            _ => stack.extend(operands(&node)),
        }
    }
    false
}
