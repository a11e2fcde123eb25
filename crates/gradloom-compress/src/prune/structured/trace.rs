//! [`Trace`]: one run of a model, with what each axis of each node is made of.
//!
//! Every index of every axis of a weight begins as an atom of its own. The rules here say of each op which atoms
//! are one channel (they meet in an addition, or one weight makes what another reads), and which must stay (a norm
//! reads all of them, the output consists of them).

use std::rc::Rc;

use super::atoms::{Atoms, Axis};
use gradloom_nn::{Module, Path, Role};
use gradloom_tensor::{Op, Shape, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

/// A weight as the run met it.
pub(super) struct Weight {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// What is no weight but a state, as running statistics are.
    pub(super) is_state: bool,
    /// The atoms of each axis; none of a weight that took no part.
    pub(super) axes: Vec<Rc<[u32]>>,
}

/// A factor of what an op costs.
pub(super) enum Factor {
    Count(f64),
    /// As many as there are of these channels.
    Channels(Rc<[u32]>),
}

/// A node as it is expected again after the removal of channels.
pub(super) struct Step {
    pub(super) op: &'static str,
    pub(super) axes: Vec<Axis>,
    pub(super) shape: Shape,
}

/// What a run of a model is made of.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) atoms: Atoms,
    pub(super) weights: Vec<Weight>,
    /// Multiplications and additions: products of factors, to be added.
    pub(super) costs: Vec<Vec<Factor>>,
    pub(super) steps: Vec<Step>,
    /// Weights by the number of their tensor.
    numbers: FxHashMap<u64, usize>,
    inputs: FxHashSet<u64>,
    axes: FxHashMap<u64, Vec<Axis>>,
    /// Nodes made of nothing but weights.
    pub(super) of_weights: FxHashSet<u64>,
}

/// What is left to do for a node.
enum Visit {
    Reach(Tensor),
    Leave(Tensor),
}

impl Trace {
    pub(super) fn of(
        model: &(impl Module + ?Sized),
        inputs: &[&Tensor],
        outputs: &[Tensor],
    ) -> Trace {
        let inputs = inputs.iter().map(|input| input.id()).collect();
        let mut trace = Trace { inputs, ..Trace::default() };
        model.visit(&mut Path::root(), &mut |name, parameter| {
            let number = trace.weights.len();
            trace.weights.push(Weight {
                name: name.to_owned(),
                shape: *parameter.shape(),
                is_state: parameter.role() == Role::State,
                axes: Vec::new(),
            });
            let id = parameter.tensor().id();
            if let Some(&first) = trace.numbers.get(&id) {
                trace.share(first, number, parameter.tensor());
            } else {
                trace.numbers.insert(id, number);
            }
        });
        let mut visited: FxHashSet<u64> = FxHashSet::default();
        let mut stack: Vec<Visit> = outputs.iter().rev().cloned().map(Visit::Reach).collect();
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Reach(node) if !visited.insert(node.id()) => {}
                Visit::Reach(node) => {
                    let operands = trace.operands(&node);
                    stack.push(Visit::Leave(node));
                    stack.extend(operands.into_iter().rev().map(Visit::Reach));
                }
                Visit::Leave(node) => trace.leave(&node),
            }
        }
        for output in outputs {
            for axis in trace.axes[&output.id()].clone() {
                trace.atoms.keep(&axis, "is a part of the output");
            }
        }
        trace
    }

    /// Two parameters of one tensor: what is removed from one is removed from the other.
    fn share(&mut self, first: usize, second: usize, tensor: &Tensor) {
        let axes = self.atoms_of(first, tensor);
        self.weights[second].axes = axes;
    }

    fn atoms_of(&mut self, weight: usize, tensor: &Tensor) -> Vec<Rc<[u32]>> {
        if self.weights[weight].axes.is_empty() {
            let axes = tensor.shape().iter().map(|&size| self.atoms.fresh(size)).collect();
            self.weights[weight].axes = axes;
        }
        self.weights[weight].axes.clone()
    }

    fn is_leaf(&self, node: &Tensor) -> bool {
        self.inputs.contains(&node.id()) || self.numbers.contains_key(&node.id())
    }

    fn operands(&self, node: &Tensor) -> Vec<Tensor> {
        if self.is_leaf(node) {
            return Vec::new();
        }
        match (node.op(), node.inputs()) {
            (Op::Detach(source), _) => source.source().into_iter().collect(),
            (Op::Custom(_) | Op::Barrier, [value, ..]) => vec![value.clone()],
            (_, operands) => operands.to_vec(),
        }
    }

    fn leave(&mut self, node: &Tensor) {
        let axes = match self.numbers.get(&node.id()) {
            _ if self.inputs.contains(&node.id()) => vec![Axis::Fixed; node.rank()],
            Some(&weight) => {
                self.of_weights.insert(node.id());
                let axes: Vec<Axis> =
                    self.atoms_of(weight, node).into_iter().map(Axis::Channels).collect();
                if node.is_quantized() {
                    axes.iter().for_each(|axis| self.atoms.keep(axis, "is quantized"));
                }
                axes
            }
            None => {
                let operands = self.operands(node);
                let constant = matches!(node.op(), Op::Constant(_) | Op::Argument(_));
                let made = !operands.is_empty()
                    && operands.iter().all(|operand| self.of_weights.contains(&operand.id()));
                if constant || made {
                    self.of_weights.insert(node.id());
                }
                let axes =
                    operands.iter().map(|operand| self.axes[&operand.id()].clone()).collect();
                let axes = self.rule(node, &operands, axes);
                self.steps.push(Step {
                    op: node.op().name(),
                    axes: axes.clone(),
                    shape: *node.shape(),
                });
                axes
            }
        };
        self.axes.insert(node.id(), axes);
    }
}
