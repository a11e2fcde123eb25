//! Loops as kernels: bodies are planned before the graph around them, and all results of a loop are
//! one kernel.

use std::sync::Arc;

use gradloom_tensor::{DType, Key, Scalar, Shape};

use crate::draft::Draft;
use crate::graph::Graph;
use crate::kernel::{Carry, Kernel, KernelKind, LoopKernel, Plan};
use crate::linear::Asked;
use crate::program::{Operation, Program, Space};

/// The kernel of a loop; `outputs` are its results in the graph, all that its body computes, also what
/// turns out not to be read.
pub(crate) fn lower(graph: &Graph, looped: usize, outputs: &[usize]) -> Draft {
    let own = &graph.loops[looped];
    let entry = &graph.nodes[outputs[0]];
    let [carries, sequences, captured] = own.operands;
    let output_of = |asked: Asked| {
        outputs.iter().position(|&node| {
            graph.nodes[node].result.is_some_and(|(_, place)| own.results[place] == asked)
        })
    };
    let bound =
        |from: usize, count: usize| (from..from + count).map(|operand| (operand, operand + 1));
    let kernel = LoopKernel {
        length: own.length,
        reverse: own.reverse,
        carries: own
            .carries
            .iter()
            .enumerate()
            .map(|(position, &carry)| Carry {
                init: carry,
                input: 1 + carry,
                next: own.stacked + position,
                last: output_of(Asked::Carry(carry)),
            })
            .collect(),
        sequences: bound(carries, sequences).collect(),
        captured: bound(carries + sequences, captured).collect(),
        stacked: (0..own.stacked)
            .filter_map(|root| Some((root, output_of(Asked::Stacked(root))?)))
            .collect(),
        arguments: own.arguments,
        keys: own.body.keys(),
        nodes: own.nodes,
        body: Arc::clone(&own.body),
    };
    let inputs: Vec<usize> = entry.inputs.iter().map(|&input| graph.base(input)).collect();
    let after = entry.inputs.iter().flat_map(|&input| graph.nodes[input].after.clone()).collect();
    Draft {
        kind: KernelKind::Loop(kernel),
        program: Program::default(),
        origins: Vec::new(),
        space: Space::elements(Shape::SCALAR),
        kind_inputs: inputs.len(),
        inputs,
        outputs: outputs.iter().enumerate().map(|(place, &node)| (node, place)).collect(),
        after,
    }
}

impl Plan {
    /// True if some kernel may fail because of what its operands hold.
    pub fn may_fail(&self) -> bool {
        self.kernels.iter().any(Kernel::may_fail)
    }

    /// Pairs of arguments that are keys of random numbers, also of loops inside.
    pub(crate) fn keys(&self) -> Vec<[usize; 2]> {
        let mut keys = Vec::new();
        for kernel in &self.kernels {
            for instruction in &kernel.program.instructions {
                if let Operation::Random { key, .. } = instruction.operation {
                    keys.push(key);
                }
            }
            if let KernelKind::Loop(own) = &kernel.kind {
                keys.extend(own.keys.iter().map(|key| key.map(|word| own.arguments + word)));
            }
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Kernels that one evaluation executes: those of a loop at every step.
    pub fn executions(&self) -> usize {
        let count = |kernel: &Kernel| match &kernel.kind {
            KernelKind::Loop(own) => own.length * own.body.executions(),
            _ => 1,
        };
        self.kernels.iter().map(count).sum()
    }
}

impl Kernel {
    /// True if the kernel may fail because of what an index is.
    pub(crate) fn checks_indices(&self) -> bool {
        match &self.kind {
            KernelKind::Loop(own) => own.body.kernels.iter().any(Kernel::checks_indices),
            _ => self.program.checks_indices(),
        }
    }

    /// True if the kernel may fail because of what its operands hold: an index, or what an op from outside
    /// cannot do.
    pub(crate) fn may_fail(&self) -> bool {
        self.kind.may_fail() || self.program.checks_indices()
    }
}

impl KernelKind {
    /// True if the kind itself may fail.
    pub(crate) fn may_fail(&self) -> bool {
        match self {
            KernelKind::Loop(own) => own.body.may_fail(),
            KernelKind::Call(_) => true,
            _ => false,
        }
    }
}

/// Where each of some parts begins that follow `own` others.
pub(crate) fn offsets(own: usize, bodies: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut next = own;
    bodies
        .map(|count| {
            let first = next;
            next += count;
            first
        })
        .collect()
}

impl LoopKernel {
    /// Writes the arguments of a step: those of the plan from [`LoopKernel::arguments`] on, with the step's
    /// number folded into keys.
    pub fn arguments_at(&self, arguments: &[Scalar], step: usize, at_step: &mut Vec<Scalar>) {
        at_step.clear();
        at_step.extend_from_slice(&arguments[self.arguments..][..self.body.arguments.len()]);
        for key in &self.keys {
            let word = |index: usize| at_step[index].cast(DType::U32).as_f64() as u32;
            let folded = Key::from_words(key.map(word)).fold(step as u32).words();
            for (&index, half) in key.iter().zip(folded) {
                at_step[index] = Scalar::Int(i64::from(half));
            }
        }
    }

    /// The number of the step that runs as the `turn`th.
    pub fn step(&self, turn: usize) -> usize {
        if self.reverse { self.length - 1 - turn } else { turn }
    }
}
