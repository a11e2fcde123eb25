//! The rule of every op under [`vmap`](fn@crate::vmap), one short table per family: from operands of which
//! some have an axis of examples to the node with one.
//!
//! A rule is asked only where an operand is batched. What is the same for all examples is repeated, as a
//! view, only where the op has no other way.

mod value;
mod elementwise;
mod axes;
mod products;
mod indexing;
mod windows;
mod tall;
mod looping;
mod randomness;

use std::sync::Arc;

use gradloom_tensor::op::CustomGrad;
use gradloom_tensor::{Op, Origin, Shape, Tensor};
use rustc_hash::FxHashMap;

use crate::replay::{Replay, operands};

use looping::Loops;
pub use randomness::Randomness;
pub(crate) use value::Value;
use windows::Family;

/// One trace of a function, and what stands for its placeholders.
pub(crate) struct Batch {
    /// Number of examples.
    pub(crate) size: usize,
    /// The least id of a node of the trace.
    pub(crate) first: u64,
    /// What random numbers drawn in it mean.
    pub(crate) randomness: Randomness,
    /// The batched arguments, by the ids of their placeholders.
    pub(crate) arguments: FxHashMap<u64, Value>,
    /// Whether the trace is the body of a loop, in which every draw is made anew.
    pub(crate) in_loop: bool,
}

impl Batch {
    /// What stands for each of these nodes of the trace.
    #[track_caller]
    pub(crate) fn rebuild(self: &Arc<Self>, outputs: &[Tensor]) -> Vec<Value> {
        self.rebuild_with(outputs, FxHashMap::default())
    }

    /// As [`Batch::rebuild`] with more nodes replaced.
    #[track_caller]
    fn rebuild_with(
        self: &Arc<Self>,
        outputs: &[Tensor],
        mut values: FxHashMap<u64, Value>,
    ) -> Vec<Value> {
        let known = |node: &Tensor| {
            values.contains_key(&node.id()) || self.arguments.contains_key(&node.id())
        };
        let anew = |node: &Tensor| self.is_for_each(node);
        let order = Replay { first: self.first, replaced: &known, anew: &anew }.order(outputs);
        let mut loops = Loops::new(&order);
        for node in &order {
            let operands: Vec<Value> =
                operands(node).iter().map(|operand| self.value(&values, operand)).collect();
            let value = self.node(node, &operands, &mut loops);
            values.insert(node.id(), value);
        }
        outputs.iter().map(|output| self.value(&values, output)).collect()
    }

    /// What stands for a node; a node that depends on no example stands for itself.
    fn value(&self, values: &FxHashMap<u64, Value>, node: &Tensor) -> Value {
        let value = values.get(&node.id()).or_else(|| self.arguments.get(&node.id()));
        value.cloned().unwrap_or_else(|| Value::Single(node.clone()))
    }

    /// True for nodes of the trace of which each example needs its own whatever the operands are.
    fn is_for_each(&self, node: &Tensor) -> bool {
        let random = matches!(node.op(), Op::Random { .. });
        // Its rule may do anything with the gradient of one example, as a clipped gradient does, and may
        // have captured anything. So gradients must reach it one by one.
        let custom = matches!(node.op(), Op::Custom(_)) && node.inputs().len() > 1;
        let draws = match node.op() {
            Op::Loop(result) => looping::draws(result, self.randomness),
            _ => false,
        };
        custom || draws || random && (self.in_loop || self.randomness != Randomness::Same)
    }

    #[track_caller]
    fn node(self: &Arc<Self>, node: &Tensor, operands: &[Value], loops: &mut Loops) -> Value {
        match node.op() {
            Op::Random { .. } if self.randomness == Randomness::Same => {
                Value::Single(single(node, operands))
            }
            Op::Random { key } => {
                assert!(
                    self.randomness != Randomness::Error,
                    "vmap: the function draws random numbers (made at {}); choose \
                     Randomness::Different for numbers for each example, or Randomness::Same",
                    node.location()
                );
                Value::Batched(randomness::different(node, *key, self.size))
            }
            Op::Custom(rule) if node.inputs().len() > 1 => {
                Value::Batched(self.custom(node, rule, operands))
            }
            Op::Loop(result)
                if operands.iter().any(Value::is_batched)
                    || looping::draws(result, self.randomness) =>
            {
                loops.result(self, node, result, operands)
            }
            // What a value waits for does not change it.
            Op::Barrier if !operands[0].is_batched() => Value::Single(single(node, operands)),
            _ if operands.iter().any(Value::is_batched) => {
                Value::Batched(batched(node, operands, self.size))
            }
            _ => Value::Single(single(node, operands)),
        }
    }

    /// A custom gradient for all examples: its rule is the batched rule. The rule itself is called with
    /// the nodes of the trace, because its closure may have captured some of them.
    #[track_caller]
    fn custom(self: &Arc<Self>, node: &Tensor, rule: &CustomGrad, operands: &[Value]) -> Tensor {
        let mut inputs = vec![operands[0].each(self.size)];
        inputs.extend(operands[1..].iter().map(|operand| operand.tensor().clone()));
        let shape = *inputs[0].shape();
        let is_batched: Vec<bool> = operands.iter().map(Value::is_batched).collect();
        let (batch, rule, traced) = (Arc::clone(self), rule.clone(), node.inputs().to_vec());
        let batched_rule = move |operands: &[Tensor], value: &Tensor, gradient: &Tensor| {
            let placeholder = stand_in(traced[0].shape(), gradient);
            let gradients = rule.apply(&traced[1..], &traced[0], &placeholder);
            let mut values = FxHashMap::default();
            let given = std::iter::once(value).chain(operands);
            for ((traced, given), &batched) in traced.iter().zip(given).zip(&is_batched) {
                match batched {
                    true => values.insert(traced.id(), Value::Batched(given.clone())),
                    false if given.id() != traced.id() => {
                        values.insert(traced.id(), Value::Single(given.clone()))
                    }
                    false => None,
                };
            }
            values.insert(placeholder.id(), Value::Batched(gradient.clone()));
            let wanted: Vec<Tensor> = gradients.iter().flatten().cloned().collect();
            let mut found = batch.rebuild_with(&wanted, values).into_iter();
            let mut results = Vec::with_capacity(gradients.len());
            for (position, gradient) in gradients.iter().enumerate() {
                let value = gradient.as_ref().and_then(|_| found.next());
                results.push(value.map(|value| match is_batched.get(position + 1) {
                    Some(false) => {
                        sum_of_examples(&value, traced[position + 1].shape(), batch.size)
                    }
                    _ => value.each(batch.size),
                }));
            }
            results
        };
        let op = Op::Custom(CustomGrad::new(Arc::new(batched_rule)));
        Tensor::from_op(op, inputs, shape, node.dtype(), node.device())
    }
}

/// What stands for one example of `like` while a function is traced: tracked as it is, because some who
/// take a tensor make a leaf of it unless it is.
#[track_caller]
pub(crate) fn stand_in(shape: &Shape, like: &Tensor) -> Tensor {
    let placeholder = Tensor::placeholder(*shape, like.dtype(), like.device());
    if like.is_tracked() { placeholder.tracked() } else { placeholder }
}

/// The gradient of what all examples share.
#[track_caller]
fn sum_of_examples(value: &Value, example: &Shape, size: usize) -> Tensor {
    value.each(size).reshape([size, example.count()]).sum(0).reshape(*example)
}

/// The same node on other operands, none of which is batched.
#[track_caller]
fn single(node: &Tensor, operands: &[Value]) -> Tensor {
    if let Op::Detach(_) = node.op() {
        return detached(node, operands[0].tensor());
    }
    let inputs = operands.iter().map(|operand| operand.tensor().clone()).collect();
    Tensor::from_op(node.op().clone(), inputs, *node.shape(), node.dtype(), node.device())
}

#[track_caller]
fn detached(node: &Tensor, source: &Tensor) -> Tensor {
    if node.is_tracked() { source.tracked() } else { source.detach() }
}

/// The node for all examples, of which at least one operand is batched.
#[track_caller]
fn batched(node: &Tensor, operands: &[Value], size: usize) -> Tensor {
    // Most rules have one operand, which is then the batched one.
    let x = operands[0].tensor();
    let tall = tall::is_tall(node);
    match node.op() {
        Op::Buffer
        | Op::Placeholder
        | Op::Constant(_)
        | Op::Argument(_)
        | Op::Iota { .. }
        | Op::Random { .. } => unreachable!("{}: it has no operands", node.op().name()),
        Op::Unary(_) | Op::Binary(_) | Op::Select | Op::Cast | Op::CheckIndex { .. } => {
            elementwise::elementwise(node, operands, size)
        }
        Op::Transfer => x.to_device(node.device()),
        Op::Reshape => axes::reshape(node, x, size),
        Op::Matmul if tall => tall::matmul(node, &operands[0], &operands[1], size),
        Op::Matmul => products::matmul(node, &operands[0], &operands[1], size),
        Op::Concat { axis } if tall => tall::concat(node, *axis, operands, size),
        Op::Concat { axis } => axes::concat(node, *axis, operands, size),
        Op::Permute(order) if tall => tall::permute(node, order, x, size),
        Op::Permute(order) => axes::permute(node, order, x, size),
        Op::Reduce(..)
        | Op::ArgReduce(..)
        | Op::Scan { .. }
        | Op::ArgSort { .. }
        | Op::Expand
        | Op::Slice { .. }
        | Op::Pad { .. }
        | Op::Flip(_)
            if tall =>
        {
            tall::along_axes(node, x, size)
        }
        Op::Reduce(reduction, along) => axes::reduce(node, *reduction, *along, x, size),
        Op::ArgReduce(reduction, axis) => axes::arg_reduce(node, *reduction, *axis, x, size),
        Op::Scan { axis, reverse } => axes::scan(node, *axis, *reverse, x, size),
        Op::ArgSort { axis, descending } => axes::argsort(node, *axis, *descending, x, size),
        Op::Expand => axes::expand(node, x, size),
        Op::Slice { starts, steps } => axes::slice(node, starts, steps, x, size),
        Op::Pad { before } => axes::pad(node, before, x, size),
        Op::Flip(along) => axes::flip(node, *along, x, size),
        Op::Convolution(window, groups) => {
            windows::convolution(node, Family::Forward, (*window, *groups), operands, size)
        }
        Op::ConvolutionInput(window, groups) => {
            windows::convolution(node, Family::Input, (*window, *groups), operands, size)
        }
        Op::ConvolutionWeight(window, groups) => {
            windows::convolution(node, Family::Weight, (*window, *groups), operands, size)
        }
        Op::PoolMax(_)
        | Op::PoolMaxScatter(_)
        | Op::PoolMaxGather(_)
        | Op::PoolSum(_)
        | Op::PoolSumScatter(_) => windows::pooling(node, operands, size),
        Op::Gather { axis } | Op::ScatterAdd { axis } if tall => {
            tall::indexed(node, *axis, operands, size)
        }
        Op::Gather { axis } => indexing::gather(node, *axis, &operands[0], &operands[1], size),
        Op::ScatterAdd { axis } => {
            indexing::scatter_add(node, *axis, &operands[0], &operands[1], size)
        }
        Op::Write { axis } => indexing::write(node, *axis, operands, size),
        Op::Dequantize(format) => panic!(
            "vmap: the words of a matrix in {format} differ between examples; batch what is multiplied \
             with the matrix, or its numbers"
        ),
        Op::Attention(_) => products::attention(node, operands, size),
        Op::Call(call) => {
            let operands: Vec<Tensor> = operands.iter().map(|operand| operand.each(size)).collect();
            // What its rule makes is of the line of the node.
            Origin::scope(Some(node.origin()), || call.batched(&operands, size))
        }
        Op::Loop(_) => unreachable!("scan: its results are made together"),
        Op::Detach(_) => detached(node, x),
        // Without operands after the value no gradient ever asks the rule.
        Op::Custom(_) | Op::Barrier => {
            let mut inputs: Vec<Tensor> =
                operands.iter().map(|operand| operand.tensor().clone()).collect();
            inputs[0] = operands[0].each(size);
            let shape = *inputs[0].shape();
            Tensor::from_op(node.op().clone(), inputs, shape, node.dtype(), node.device())
        }
    }
}
