//! The loops of a linear graph: what is asked of each, and the part of its body that this needs.

use std::hash::Hasher as _;
use std::sync::Arc;

use gradloom_tensor::op::{Loop, LoopOutput, LoopResult};
use gradloom_tensor::{Op, Retention, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::linear::{Asked, END, LEAF, Linear, Looped, Scratch, operands, passed};

impl Looped {
    fn new(body: &Arc<Loop>) -> Looped {
        Looped {
            body: Arc::clone(body),
            results: Vec::new(),
            stacked: Vec::new(),
            carries: Vec::new(),
            linear: Linear::empty(Retention::Release),
        }
    }

    /// The carries that the results depend on, directly or through others.
    fn live_carries(&self) -> Vec<usize> {
        let mut stops: FxHashMap<u64, Option<usize>> =
            self.body.parameters().map(|parameter| (parameter.id(), None)).collect();
        for (carry, parameter) in self.body.carries().iter().enumerate() {
            stops.insert(parameter.id(), Some(carry));
        }
        let mut live = vec![false; self.body.carries().len()];
        let mut stack: Vec<Tensor> = self.stacked.clone();
        for result in &self.results {
            if let Asked::Carry(carry) = *result {
                live[carry] = true;
                stack.push(self.body.next()[carry].clone());
            }
        }
        let mut seen: FxHashSet<u64> = FxHashSet::default();
        while let Some(tensor) = stack.pop() {
            match stops.get(&tensor.id()) {
                Some(&Some(carry)) if !std::mem::replace(&mut live[carry], true) => {
                    stack.push(self.body.next()[carry].clone());
                }
                Some(_) => {}
                None if seen.insert(tensor.id()) => match tensor.op() {
                    Op::Detach(source) => stack.extend(source.source()),
                    _ => stack.extend(operands(&tensor).iter().cloned()),
                },
                None => {}
            }
        }
        (0..live.len()).filter(|&carry| live[carry]).collect()
    }
}

impl Linear {
    /// Notes what is asked of a loop. Results of one loop on the same operands are computed together.
    pub(crate) fn append_result(&mut self, result: &LoopResult) {
        let start = self.starts[self.starts.len() - 1] as usize;
        let same = (Arc::as_ptr(&result.body) as usize, self.edges[start..].into());
        let next = self.loops.len();
        let position = *self.known_loops.entry(same).or_insert(next);
        if position == next {
            self.loops.push(Looped::new(&result.body));
        }
        let looped = &mut self.loops[position];
        let asked = match &result.output {
            LoopOutput::Carry(carry) => Asked::Carry(*carry),
            LoopOutput::Stacked(node) => {
                let known = looped.stacked.iter().position(|other| other.id() == node.id());
                Asked::Stacked(known.unwrap_or_else(|| {
                    looped.stacked.push(node.clone());
                    looped.stacked.len() - 1
                }))
            }
        };
        let known = looped.results.iter().position(|&other| other == asked);
        let place = known.unwrap_or_else(|| {
            looped.results.push(asked);
            looped.results.len() - 1
        });
        let words = match asked {
            Asked::Carry(carry) => [position as u64, 0, carry as u64],
            Asked::Stacked(node) => [position as u64, 1, node as u64],
        };
        self.key.extend(words);
        self.result_of.insert(self.nodes.len() as u32, (position, place));
    }

    /// The part of a body that some roots need. Its leaves are the step's number and the loop's
    /// parameters, in this order; carries may be overwritten.
    fn of_body(body: &Loop, stacked: &[Tensor], carries: &[usize]) -> Linear {
        let mut linear = Linear::empty(Retention::Release);
        linear.carried = Some(Vec::new());
        let mut scratch = Scratch::default();
        let leaves = body.carries().iter().chain(body.slices());
        let leaves = leaves.chain(body.captured().iter().map(passed));
        for (input, parameter) in std::iter::once(body.index()).chain(leaves).enumerate() {
            linear.input_of.push(Some(input as u32));
            linear.sizes.push((parameter.dtype(), parameter.count()));
            linear.key.extend([LEAF, input as u64]);
            linear.append(parameter.clone(), &mut scratch.index);
        }
        for matrix in body.captured().iter().filter(|captured| captured.is_quantized()) {
            linear.append_computed(matrix.clone(), None, &mut scratch.index);
        }
        let next = carries.iter().map(|&carry| &body.next()[carry]);
        let roots: Vec<&Tensor> = stacked.iter().chain(next).collect();
        linear.visit(roots.iter().copied(), &mut scratch);
        linear.key.push(END);
        linear.enter_loops();
        linear.roots = roots.iter().map(|root| scratch.index[&root.id()]).collect();
        linear.key.extend(linear.roots.iter().map(|&root| u64::from(root)));
        let leaf = |carry: &usize| 1 + carry;
        let next = linear.roots[stacked.len()..].iter().copied();
        linear.carried = Some(next.zip(carries.iter().map(leaf)).collect());
        linear.reusable = vec![false; linear.sizes.len()];
        carries.iter().for_each(|carry| linear.reusable[leaf(carry)] = true);
        linear
    }

    /// Goes through the bodies of all loops, now that it is known what is asked of each. Loops are nested
    /// to a depth that is bounded where they are made.
    pub(crate) fn enter_loops(&mut self) {
        for position in 0..self.loops.len() {
            let Looped { body, stacked, .. } = &self.loops[position];
            let carries = self.loops[position].live_carries();
            let linear = Linear::of_body(body, stacked, &carries);
            self.key.extend([body.length() as u64, u64::from(body.reverse())]);
            self.key.push(carries.len() as u64);
            self.key.extend(carries.iter().map(|&carry| carry as u64));
            self.key.write(linear.key.bytes());
            self.arguments.extend(&linear.arguments);
            self.argument_dtypes.extend(&linear.argument_dtypes);
            let looped = &mut self.loops[position];
            (looped.carries, looped.linear) = (carries, linear);
        }
    }
}
