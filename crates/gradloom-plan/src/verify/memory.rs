//! All kernels in order: what is in each piece of memory when it is read and when it is written.

use std::ops::Range;

use super::fault::PlanFault;
use crate::kernel::{BufferRef, Kernel, Plan};

/// What a piece of memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Nothing,
    /// What it held before the plan.
    Leaf,
    /// The elements of a node.
    Node(usize),
}

/// The memory of a plan while its kernels are gone through.
struct State<'a> {
    plan: &'a Plan,
    inputs: Vec<Content>,
    outputs: Vec<Content>,
    slots: Vec<Content>,
}

pub(super) fn check(plan: &Plan) -> Result<(), PlanFault> {
    let end = plan.kernels.len();
    check_outputs(plan).map_err(|reason| PlanFault { kernel: end, reason })?;
    let mut state = State {
        plan,
        inputs: vec![Content::Leaf; plan.inputs.len()],
        outputs: vec![Content::Nothing; plan.outputs.len()],
        slots: vec![Content::Nothing; plan.slots.len()],
    };
    plan.checked_kernels()?;
    for own in &plan.together {
        check_together(plan, own).map_err(|reason| PlanFault { kernel: own.start, reason })?;
    }
    for (position, kernel) in plan.kernels.iter().enumerate() {
        state.run(kernel).map_err(|reason| PlanFault { kernel: position, reason })?;
        plan.in_place(position)?;
    }
    for position in 0..plan.outputs.len() {
        let block = plan.block(BufferRef::Output(position));
        // An output may share the memory of another that takes over an input's.
        let owner = plan.owner(BufferRef::Output(position));
        let leaf = state.content(block) == Content::Leaf;
        let overwritten = matches!(owner, BufferRef::Input(_)) && !leaf;
        let missing = state.content(block) == Content::Nothing
            || (matches!(owner, BufferRef::Output(_)) && leaf);
        if overwritten || missing {
            let what = if missing { "is never written" } else { "is overwritten" };
            return Err(PlanFault { kernel: end, reason: format!("output {position} {what}") });
        }
    }
    Ok(())
}

/// Kernels that may run at the same time: none writes what another reads or writes.
fn check_together(plan: &Plan, own: &Range<usize>) -> Result<(), String> {
    let Some(kernels) = plan.kernels.get(own.clone()) else {
        return Err(format!("there are no kernels {own:?} to run at the same time"));
    };
    for (position, kernel) in kernels.iter().enumerate() {
        let written: Vec<BufferRef> =
            kernel.outputs.iter().map(|output| plan.block(output.buffer)).collect();
        let others = kernels.iter().enumerate().filter(|&(other, _)| other != position);
        let mut touched = others.flat_map(|(_, other)| {
            let read = other.inputs.iter().map(|input| input.buffer);
            read.chain(other.outputs.iter().map(|output| output.buffer))
        });
        if let Some(shared) = touched.find(|&buffer| written.contains(&plan.block(buffer))) {
            return Err(format!("it runs together with another that uses {shared}"));
        }
    }
    Ok(())
}

/// Outputs as a list: aliases lead somewhere of the same size, no input is taken over twice.
fn check_outputs(plan: &Plan) -> Result<(), String> {
    let mut taken = vec![false; plan.inputs.len()];
    for (position, output) in plan.outputs.iter().enumerate() {
        let size = match (output.alias, output.reuses) {
            (Some(BufferRef::Input(input)), None) => plan.inputs.get(input).copied(),
            (Some(BufferRef::Output(other)), None) if other < position => {
                Some((plan.outputs[other].dtype, plan.outputs[other].len))
            }
            (None, Some(input)) => {
                let size = plan.inputs.get(input).copied();
                if size.is_some() && std::mem::replace(&mut taken[input], true) {
                    return Err(format!("input {input} is taken over twice"));
                }
                size
            }
            (None, None) => Some((output.dtype, output.len)),
            _ => None,
        };
        if size != Some((output.dtype, output.len)) {
            return Err(format!("output {position} has the memory of something else"));
        }
    }
    Ok(())
}

impl State<'_> {
    fn content(&self, block: BufferRef) -> Content {
        match block {
            BufferRef::Input(input) => self.inputs[input],
            BufferRef::Output(output) => self.outputs[output],
            BufferRef::Slot(slot) => self.slots[slot],
        }
    }

    fn run(&mut self, kernel: &Kernel) -> Result<(), String> {
        let plan = self.plan;
        for (position, input) in kernel.inputs.iter().enumerate() {
            let block = plan.block(input.buffer);
            let expected = match (input.buffer, self.content(block)) {
                (BufferRef::Input(_), Content::Leaf) => true,
                (_, content) => content == Content::Node(input.node),
            };
            if !expected {
                return Err(format!(
                    "operand {position} reads {} for node {}, where {:?} is",
                    input.buffer,
                    input.node,
                    self.content(block)
                ));
            }
            if let BufferRef::Input(leaf) = input.buffer
                && plan.inputs[leaf] != (input.dtype, input.len)
            {
                return Err(format!("operand {position} is not what input {leaf} is"));
            }
        }
        let blocks: Vec<BufferRef> =
            kernel.outputs.iter().map(|output| plan.block(output.buffer)).collect();
        for (position, output) in kernel.outputs.iter().enumerate() {
            let block = blocks[position];
            if blocks[..position].contains(&block) {
                return Err(format!("output {position} has the memory of another"));
            }
            let fits = match output.buffer {
                BufferRef::Slot(slot) => {
                    let slot = plan.slots[slot];
                    output.len <= slot.elements_max
                        && output.len * output.dtype.size() <= slot.bytes
                }
                BufferRef::Output(index) => {
                    let known = &plan.outputs[index];
                    (known.dtype, known.len) == (output.dtype, output.len)
                }
                BufferRef::Input(_) => false,
            };
            if !fits {
                return Err(format!("output {position} does not fit {}", output.buffer));
            }
        }
        for (output, block) in kernel.outputs.iter().zip(blocks) {
            let content = Content::Node(output.node);
            match block {
                BufferRef::Input(input) => self.inputs[input] = content,
                BufferRef::Output(output) => self.outputs[output] = content,
                BufferRef::Slot(slot) => self.slots[slot] = content,
            }
        }
        Ok(())
    }
}
