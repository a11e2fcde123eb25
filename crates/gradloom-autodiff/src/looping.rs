//! The derivative of a loop is a loop that runs the other way.
//!
//! Cotangents of carries are its carries, those of stacked results its sequences. What it reads of the
//! forward steps are stacked results of the forward loop, asked for only now, or is computed again from
//! the carries. The body is an ordinary graph, so the derivative has derivatives.
//!
//! What a step owes to a captured value is a term of a sum over all steps. Where the term is a product,
//! the sum is one product over all steps at once, after the loop: see `stacked.rs`. Other terms are
//! summed up in a carry.

use std::sync::Arc;

use gradloom_tensor::op::{Loop, LoopOutput, LoopResult};
use gradloom_tensor::{LoopParts, Shape, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::dependents::{Through, dependents};
use crate::stacked::{Residuals, Stacker, divide};

/// Vector-Jacobian products in a body: seeds, inputs, and the body's parameters.
pub(crate) type Pullback<'a> =
    &'a dyn Fn(&[(Tensor, Tensor)], &[&Tensor], &FxHashSet<u64>) -> Vec<Option<Tensor>>;

/// A loop on its operands.
type Application = (usize, Vec<u64>);

fn application(node: &Tensor, result: &LoopResult) -> Application {
    let operands = node.inputs().iter().map(Tensor::id).collect();
    (Arc::as_ptr(&result.body) as usize, operands)
}

/// The loops of a graph, with the cotangents of their results so far.
pub(crate) struct Loops(FxHashMap<Application, Waiting>);

#[derive(Default)]
struct Waiting {
    /// Results whose cotangents are still to come.
    left: usize,
    seeds: Vec<(LoopOutput, Tensor)>,
}

impl Loops {
    /// The loops that have results among some nodes.
    pub(crate) fn new(nodes: &[Tensor]) -> Loops {
        let mut loops: FxHashMap<Application, Waiting> = FxHashMap::default();
        for node in nodes {
            if let gradloom_tensor::Op::Loop(result) = node.op() {
                loops.entry(application(node, result)).or_default().left += 1;
            }
        }
        Loops(loops)
    }

    /// Notes the cotangent of a result. With that of the last one comes the gradient of each operand.
    #[track_caller]
    pub(crate) fn backward(
        &mut self,
        node: &Tensor,
        result: &LoopResult,
        gradient: Option<Tensor>,
        needs: &[bool],
        pullback: Pullback<'_>,
    ) -> Vec<Option<Tensor>> {
        let Some(waiting) = self.0.get_mut(&application(node, result)) else { return Vec::new() };
        waiting.left = waiting.left.saturating_sub(1);
        waiting.seeds.extend(gradient.map(|gradient| (result.output.clone(), gradient)));
        if waiting.left > 0 || waiting.seeds.is_empty() || !needs.contains(&true) {
            return Vec::new();
        }
        let seeds = std::mem::take(&mut waiting.seeds);
        let forward = Forward { body: &result.body, operands: node.inputs(), needs };
        forward.backward(&seeds, pullback)
    }
}

/// A loop that is differentiated.
struct Forward<'a> {
    body: &'a Arc<Loop>,
    operands: &'a [Tensor],
    /// Which operands need a gradient.
    needs: &'a [bool],
}

/// The derivative of one step, with placeholders for cotangents.
struct Step {
    /// Carries that have a cotangent, and what stands for it.
    carries: Vec<(usize, Tensor)>,
    /// What stands for the cotangents of stacked results, and the sequences they are.
    stacked: Vec<(Tensor, Tensor)>,
    /// What the step owes to each parameter.
    gradients: Vec<Option<Tensor>>,
}

impl Forward<'_> {
    #[track_caller]
    fn backward(
        &self,
        seeds: &[(LoopOutput, Tensor)],
        pullback: Pullback<'_>,
    ) -> Vec<Option<Tensor>> {
        let first = Tensor::next_id();
        let step = self.step(seeds, pullback);
        let (carries, slices) = (self.body.carries().len(), self.body.slices().len());
        let captured = carries + slices..self.operands.len();
        let of_sequences = step.gradients[carries..carries + slices].iter().flatten();
        let mut asked: Vec<Tensor> = of_sequences.cloned().collect();
        let of_captured = &step.gradients[captured.clone()];
        let divided = divide(of_captured, self.body.recompute(), &mut asked);
        let of_carry = |&(carry, ref cotangent): &(usize, Tensor)| {
            step.gradients[carry].clone().unwrap_or_else(|| cotangent.zeros_like())
        };
        let mut next: Vec<Tensor> = step.carries.iter().map(of_carry).collect();
        let mut before: Vec<Tensor> =
            step.carries.iter().map(|(_, cotangent)| cotangent.clone()).collect();
        let mut inits: Vec<Tensor> =
            step.carries.iter().map(|&(carry, _)| self.seed(seeds, carry)).collect();
        let mut sums: Vec<Option<usize>> = Vec::with_capacity(divided.len());
        for terms in &divided {
            let Some(term) = &terms.added else {
                sums.push(None);
                continue;
            };
            let sum = Tensor::placeholder(*term.shape(), term.dtype(), term.device());
            sums.push(Some(next.len()));
            next.push(&sum + term);
            inits.push(term.zeros_like());
            before.push(sum);
        }
        let mut roots = next.clone();
        roots.extend(asked.iter().cloned());
        let (mut parts, mut sequences): (Vec<Tensor>, Vec<Tensor>) =
            step.stacked.iter().cloned().unzip();
        let mut residuals = Residuals::new(self.body, self.operands, first);
        for (part, sequence) in residuals.collect(&roots) {
            parts.push(part);
            sequences.push(sequence);
        }
        let parts = LoopParts {
            length: self.body.length(),
            reverse: !self.body.reverse(),
            recompute: self.body.recompute(),
            index: self.body.index().clone(),
            carries: before,
            slices: parts,
            next,
            first: self.body.first(),
        };
        let backward = Arc::new(parts.close(&asked));
        let operands: Vec<Tensor> = inits.into_iter().chain(sequences).collect();
        let mut stacker = Stacker::new(&backward, &operands);
        let mut gradients: Vec<Option<Tensor>> = vec![None; self.operands.len()];
        for (position, &(carry, _)) in step.carries.iter().enumerate() {
            let output = LoopOutput::Carry(position);
            gradients[carry] = Some(Tensor::loop_result(&backward, &operands, output));
        }
        for slice in carries..carries + slices {
            let gradient = step.gradients[slice].as_ref();
            let shape = *self.operands[slice].shape();
            gradients[slice] = gradient.map(|gradient| reshaped(stacker.stack(gradient), shape));
        }
        for ((operand, terms), sum) in captured.zip(&divided).zip(sums) {
            let at_once = stacker.total(terms);
            let of_carry = sum
                .map(|carry| Tensor::loop_result(&backward, &operands, LoopOutput::Carry(carry)));
            let both = at_once.into_iter().chain(of_carry);
            gradients[operand] = both.reduce(|sum, term| &sum + &term);
        }
        gradients
    }

    /// The cotangent of a carry after the last step.
    fn seed(&self, seeds: &[(LoopOutput, Tensor)], carry: usize) -> Tensor {
        let given = seeds.iter().filter_map(|(output, cotangent)| match output {
            LoopOutput::Carry(other) if *other == carry => Some(cotangent.clone()),
            _ => None,
        });
        given
            .reduce(|sum, other| &sum + &other)
            .unwrap_or_else(|| self.operands[carry].zeros_like())
    }

    /// The derivative of one step. Which carries have a cotangent depends on which have: their number
    /// grows until it stays.
    #[track_caller]
    fn step(&self, seeds: &[(LoopOutput, Tensor)], pullback: Pullback<'_>) -> Step {
        let body = &**self.body;
        let parameters: Vec<&Tensor> = body.parameters().collect();
        let mut ends: FxHashSet<u64> = parameters.iter().map(|parameter| parameter.id()).collect();
        ends.insert(body.index().id());
        let active = self.active(&parameters, &ends);
        let wanted: Vec<usize> = (0..parameters.len()).filter(|&at| active[at]).collect();
        let inputs: Vec<&Tensor> = wanted.iter().map(|&at| parameters[at]).collect();
        let mut stacked = Vec::new();
        let mut fixed = Vec::new();
        for (output, cotangent) in seeds {
            if let LoopOutput::Stacked(node) = output {
                let part = Tensor::placeholder(*node.shape(), node.dtype(), node.device());
                fixed.push((node.clone(), part.clone()));
                stacked.push((part, cotangent.clone()));
            }
        }
        let mut seeded: Vec<bool> = (0..body.carries().len())
            .map(|carry| {
                let is_own = |(output, _): &(LoopOutput, Tensor)| {
                    matches!(output, LoopOutput::Carry(other) if *other == carry)
                };
                active[carry] && seeds.iter().any(is_own)
            })
            .collect();
        loop {
            let mut carries = Vec::new();
            let mut all = fixed.clone();
            for carry in (0..seeded.len()).filter(|&carry| seeded[carry]) {
                let like = &body.carries()[carry];
                let part = Tensor::placeholder(*like.shape(), like.dtype(), like.device());
                all.push((body.next()[carry].clone(), part.clone()));
                carries.push((carry, part));
            }
            let mut gradients: Vec<Option<Tensor>> = vec![None; parameters.len()];
            for (&at, gradient) in wanted.iter().zip(pullback(&all, &inputs, &ends)) {
                gradients[at] = gradient;
            }
            let more: Vec<bool> = seeded
                .iter()
                .zip(&gradients)
                .map(|(&seeded, found)| seeded || found.is_some())
                .collect();
            if more == seeded {
                return Step { carries, stacked, gradients };
            }
            seeded = more;
        }
    }

    /// Which parameters need a gradient: those of operands that do, and carries that come to depend on
    /// one.
    fn active(&self, parameters: &[&Tensor], ends: &FxHashSet<u64>) -> Vec<bool> {
        let mut active = self.needs.to_vec();
        loop {
            let asked: FxHashSet<u64> = (0..parameters.len())
                .filter(|&at| active[at])
                .map(|at| parameters[at].id())
                .collect();
            let next: Vec<&Tensor> = self.body.next().iter().collect();
            let found = dependents(&next, &asked, Through::Others, ends);
            let found: FxHashSet<u64> = found.iter().map(Tensor::id).collect();
            let mut more = false;
            for (carry, next) in self.body.next().iter().enumerate() {
                if !active[carry] && next.dtype().is_float() && found.contains(&next.id()) {
                    active[carry] = true;
                    more = true;
                }
            }
            if !more {
                return active;
            }
        }
    }
}

fn reshaped(tensor: Tensor, shape: Shape) -> Tensor {
    if *tensor.shape() == shape { tensor } else { tensor.reshape(shape) }
}
