//! Which values an evaluation keeps on its way, which it computes beside what is asked for, and which leaves
//! it may overwrite: those that nobody but its graph holds.

use std::sync::Arc;

use gradloom_tensor::op::{Loop, LoopOutput};
use gradloom_tensor::{Op, State, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::linear::{Linear, operands};

/// Ops in a row behind a node that are better kept than computed again and again.
const HISTORY_LONG: usize = 32;

/// Nodes that a loss may need beyond those of its gradient, to be computed with it.
const COMPANION_NODES_MAX: usize = 256;

impl Linear {
    /// Tensors that somebody holds and whose gradients are computed here: losses of the step that is
    /// committed. What they are made of is computed anyway, so they get their values too.
    pub(crate) fn companions(&self, index: &FxHashMap<u64, u32>) -> Vec<Tensor> {
        let held = self.nodes.iter().filter_map(Tensor::companion);
        held.filter(|companion| companion.value().is_none() && is_near(companion, index)).collect()
    }

    /// Nodes that an earlier evaluation has computed on its way, with a long history, and that new nodes
    /// read again: they keep their value this time, so that no history is computed at every step.
    pub(crate) fn kept_at_last(&self) -> Vec<u32> {
        if !self.nodes.iter().any(Tensor::was_passed) {
            return Vec::new();
        }
        let mut height = vec![0usize; self.nodes.len()];
        let mut kept = Vec::new();
        for node in 0..self.nodes.len() {
            if self.input_of[node].is_some() {
                continue;
            }
            let new = !self.nodes[node].was_passed();
            for operand in self.operands(node) {
                height[node] = height[node].max(height[operand] + 1);
                if new && height[operand] >= HISTORY_LONG && self.nodes[operand].was_passed() {
                    kept.push(operand as u32);
                }
            }
        }
        kept
    }

    /// Keeps every input as it is.
    pub(crate) fn forbid_reuse(&mut self) {
        let count = self.reusable.len();
        self.reusable.fill(false);
        self.key.clear_flags(count);
    }

    /// Which inputs only this graph holds, given that the roots will be cut from it and that companions
    /// will have values.
    ///
    /// A node that somebody outside holds (other than a root, by its one owner) may be evaluated again
    /// later, so nothing that it depends on may be overwritten.
    ///
    /// Other threads go on meanwhile. They come from a user to its operands, so users are looked at first:
    /// whoever has left one by then is seen at the operand. And a detached node may give its source up, so
    /// it is asked again after the handles on the source were counted.
    pub(crate) fn find_reusable(
        &self,
        roots: &[Tensor],
        companions: &[u32],
        index: &FxHashMap<u64, u32>,
    ) -> Vec<bool> {
        let count = self.nodes.len();
        let mut handles = vec![0; count];
        for i in (0..count).rev() {
            handles[i] = self.nodes[i].handles();
        }
        let mut references = vec![1usize; count];
        for node in 0..count {
            let holds = match self.nodes[node].op() {
                Op::Detach(source) => source.source().is_some(),
                _ => true,
            };
            for edge in self.operands(node).filter(|_| holds) {
                references[edge] += 1;
            }
        }
        for node in self.nodes.iter().filter(|node| node.value().is_none()) {
            if let (Op::Custom(_), [_, operands @ ..]) = (node.op(), node.inputs()) {
                for position in operands.iter().filter_map(|operand| index.get(&operand.id())) {
                    references[*position as usize] += 1;
                }
            }
        }
        for root in roots {
            // The slice of roots, and the owner whose handle is about to be cut. One that has its value
            // already is a leaf here, whose value its owner wants.
            if let Some(&position) = index.get(&root.id())
                && self.input_of[position as usize].is_none()
            {
                references[position as usize] += 2;
            }
        }
        self.count_in_bodies(index, &mut references);
        let mut held: Vec<bool> = (0..count).map(|i| handles[i] > references[i]).collect();
        for &companion in companions {
            held[companion as usize] = false;
        }
        for i in (0..count).rev() {
            if held[i] {
                for edge in self.operands(i) {
                    held[edge] = true;
                }
            }
        }
        let mut holders = vec![0usize; self.inputs.len()];
        let mut reusable = vec![true; self.inputs.len()];
        for (node, input) in self.input_of.iter().enumerate() {
            if let Some(input) = input.map(|input| input as usize) {
                holders[input] += 1;
                reusable[input] &= !held[node];
            }
        }
        for (input, buffer) in self.inputs.iter().enumerate() {
            // One holder per leaf node, one in this list.
            reusable[input] &= buffer.is_held_only_by(holders[input] + 1);
        }
        reusable
    }

    /// Adds the handles that the bodies of loops have on nodes of this graph. Whoever reads a value in a
    /// body has it among the operands of the loop, so a body that somebody outside holds matters only by
    /// the results of the loop.
    fn count_in_bodies(&self, index: &FxHashMap<u64, u32>, references: &mut [usize]) {
        let mut count = |tensor: &Tensor| {
            if let Some(&position) = index.get(&tensor.id()) {
                references[position as usize] += 1;
            }
        };
        let mut loops: Vec<&Linear> = vec![self];
        let mut bodies: Vec<Arc<Loop>> = Vec::new();
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        let mut stack: Vec<Tensor> = Vec::new();
        while let Some(linear) = loops.pop() {
            for looped in &linear.loops {
                looped.linear.nodes.iter().chain(&looped.stacked).for_each(&mut count);
                stack.extend(looped.stacked.iter().cloned());
                loops.push(&looped.linear);
                if !bodies.iter().any(|body| Arc::ptr_eq(body, &looped.body)) {
                    bodies.push(Arc::clone(&looped.body));
                }
            }
        }
        let mut next = 0;
        while let Some(body) = bodies.get(next).cloned() {
            next += 1;
            body.parameters().chain(body.next()).chain([body.index()]).for_each(&mut count);
            stack.extend(body.next().iter().cloned());
            while let Some(tensor) = stack.pop() {
                if index.contains_key(&tensor.id()) || !seen.insert(tensor.id()) {
                    continue;
                }
                tensor.inputs().iter().for_each(&mut count);
                stack.extend(tensor.inputs().iter().cloned());
                match tensor.op() {
                    Op::Detach(source) => {
                        source.source().iter().for_each(&mut count);
                        stack.extend(source.source());
                    }
                    Op::Loop(result) => {
                        if let LoopOutput::Stacked(node) = &result.output {
                            stack.push(node.clone());
                        }
                        if !bodies.iter().any(|body| Arc::ptr_eq(body, &result.body)) {
                            bodies.push(Arc::clone(&result.body));
                        }
                    }
                    _ => {}
                }
            }
        }
    }
}

/// True if few nodes are missing to compute a tensor, all of which can be computed.
fn is_near(tensor: &Tensor, index: &FxHashMap<u64, u32>) -> bool {
    let mut seen: FxHashSet<u64> = FxHashSet::default();
    let mut stack = vec![tensor.clone()];
    while let Some(tensor) = stack.pop() {
        if index.contains_key(&tensor.id()) || !seen.insert(tensor.id()) {
            continue;
        }
        let elsewhere =
            matches!(tensor.op(), Op::Placeholder | Op::Transfer) && tensor.value().is_none();
        if seen.len() > COMPANION_NODES_MAX || elsewhere {
            return false;
        }
        match tensor.state() {
            State::Value(_) if tensor.is_overwritten() => return false,
            State::Value(_) => {}
            State::Detached(source) => stack.push(source),
            State::Node => stack.extend(operands(&tensor).iter().cloned()),
        }
    }
    true
}
