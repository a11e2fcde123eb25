//! [`Draft`]: a kernel before its memory is known, and [`Fault`], what is wrong with a plan.

use crate::kernel::KernelKind;
use crate::program::{Level, Operation, Program, Space, ValueId};

/// A kernel before its memory is known: operands and results are nodes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) kind: KernelKind,
    pub(crate) program: Program,
    /// For each instruction the node it was made for.
    pub(crate) origins: Vec<usize>,
    pub(crate) space: Space,
    /// Stored bases that are read, first those of the kind.
    pub(crate) inputs: Vec<usize>,
    /// How many of them the kind itself reads.
    pub(crate) kind_inputs: usize,
    /// Stored members and the values they are.
    pub(crate) outputs: Vec<(usize, ValueId)>,
    /// Bases that must exist before though they are not read.
    pub(crate) after: Vec<usize>,
}

impl Draft {
    /// Drops inputs that nothing reads any more. Those of the kind stay, and come first.
    pub(crate) fn keep_read_inputs(&mut self) {
        let mut inputs = self.inputs[..self.kind_inputs].to_vec();
        for instruction in &mut self.program.instructions {
            if let Operation::Load { input, .. } = &mut instruction.operation {
                let base = self.inputs[*input];
                let known = inputs.iter().position(|&known| known == base);
                *input = known.unwrap_or_else(|| {
                    inputs.push(base);
                    inputs.len() - 1
                });
            }
        }
        self.inputs = inputs;
    }

    /// Drops what the kernel makes itself from what it waits for: it is there where it is read, and if the
    /// kernel is split, no part waits for a later one.
    pub(crate) fn wait_for_others(&mut self, base: impl Fn(usize) -> usize) {
        let outputs = &self.outputs;
        self.after.retain(|&node| outputs.iter().all(|&(own, _)| own != base(node)));
    }

    /// True if the kernel may fail, as [`Kernel::may_fail`](crate::Kernel::may_fail) says.
    pub(crate) fn may_fail(&self) -> bool {
        self.kind.may_fail() || self.program.checks_indices()
    }
}

/// What the planner found wrong with a plan of its own. It names the node and is never the caller's
/// fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) node: usize,
    pub(crate) reason: &'static str,
}

/// The kind of a kernel that is its program: map, reduce or row.
pub(crate) fn program_kind(program: &Program, outputs: &[(usize, ValueId)]) -> KernelKind {
    let per_element =
        |&(_, value): &(usize, ValueId)| program.instructions[value].level == Level::Element;
    match program.passes().into_iter().max() {
        None | Some(0) => KernelKind::Map,
        Some(1) if !outputs.iter().any(per_element) => KernelKind::Reduce,
        Some(_) => KernelKind::Row,
    }
}
