//! Kernels that are split by their results: each part makes some of them from the start.

use std::cmp::Reverse;

use crate::draft::{Draft, program_kind};
use crate::kernel::KernelKind;
use crate::parts::{push, without_rows};
use crate::program::{Instruction, Level, Operation, Program, ValueId};
use crate::view::View;

/// Two kernels that each make half of the results, and all that these are made of.
pub(crate) fn by_results(draft: &Draft) -> Option<[Draft; 2]> {
    let own = matches!(draft.kind, KernelKind::Map | KernelKind::Reduce | KernelKind::Row);
    let half = draft.outputs.len() / 2;
    (own && half > 0).then(|| {
        let (first, second) = draft.outputs.split_at(half);
        [first, second].map(|outputs| with_results(draft, outputs))
    })
}

/// The part of a kernel that makes some of the values of its program.
pub(crate) fn with_results(draft: &Draft, outputs: &[(usize, ValueId)]) -> Draft {
    let instructions = &draft.program.instructions;
    let needed = needed(draft, outputs.iter().map(|&(_, value)| value), None);
    let (mut program, mut origins) = (Program::default(), Vec::new());
    let mut places = vec![usize::MAX; instructions.len()];
    for value in (0..instructions.len()).filter(|&value| needed[value]) {
        let operation = instructions[value].operation.moved(&places);
        let made = Instruction { operation, ..instructions[value] };
        places[value] = push(&mut program, &mut origins, made, draft.origins[value]);
    }
    let outputs: Vec<(usize, ValueId)> =
        outputs.iter().map(|&(node, value)| (node, places[value])).collect();
    let (space, program) = without_rows(draft.space, program);
    let kind = match &draft.kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => program_kind(&program, &outputs),
        own => own.clone(),
    };
    let (inputs, after) = (draft.inputs.clone(), draft.after.clone());
    let kind_inputs = draft.kind_inputs;
    let mut part = Draft { kind, program, origins, space, inputs, kind_inputs, outputs, after };
    part.keep_read_inputs();
    part
}

/// The value of a map that a kernel can make for itself and that leaves the fewest operands to the rest, the
/// last of several. Each such value is one instruction less, so in the end every result has few operands.
pub(crate) fn separable(draft: &Draft, buffers_max: usize) -> Option<ValueId> {
    if !matches!(draft.kind, KernelKind::Map) {
        return None;
    }
    let results: Vec<ValueId> = draft.outputs.iter().map(|&(_, value)| value).collect();
    let left = |value: ValueId| {
        let instruction = &draft.program.instructions[value];
        let computed = instruction.level == Level::Element
            && !matches!(instruction.operation, Operation::Load { .. } | Operation::Index(_));
        (computed && !results.contains(&value) && operands_of(draft, &[value], None) < buffers_max)
            .then(|| (operands_of(draft, &results, Some(value)), Reverse(value)))
    };
    let best = (0..draft.program.instructions.len()).filter_map(left).min();
    best.map(|(_, Reverse(value))| value)
}

/// How many inputs some values are made of, where another is given.
fn operands_of(draft: &Draft, values: &[ValueId], given: Option<ValueId>) -> usize {
    let needed = needed(draft, values.iter().copied(), given);
    let mut inputs = vec![false; draft.inputs.len()];
    for (value, instruction) in draft.program.instructions.iter().enumerate() {
        if let Operation::Load { input, .. } = instruction.operation {
            inputs[input] |= needed[value] && given != Some(value);
        }
    }
    inputs.into_iter().filter(|&read| read).count()
}

/// Which instructions some values are made of, where another is given.
fn needed(
    draft: &Draft,
    values: impl Iterator<Item = ValueId>,
    given: Option<ValueId>,
) -> Vec<bool> {
    let instructions = &draft.program.instructions;
    let mut needed = vec![false; instructions.len()];
    values.for_each(|value| needed[value] = true);
    for value in (0..instructions.len()).rev() {
        if needed[value] && given != Some(value) {
            instructions[value].operation.operands().for_each(|operand| needed[operand] = true);
        }
    }
    needed
}

/// A map that loads one of its values from a node, and makes its results of that.
pub(crate) fn with_loaded(mut draft: Draft, value: ValueId, node: usize) -> Draft {
    draft.inputs.push(node);
    let view = View::contiguous(draft.space.shape);
    let instruction = &mut draft.program.instructions[value];
    instruction.operation = Operation::Load { input: draft.inputs.len() - 1, view };
    let outputs = std::mem::take(&mut draft.outputs);
    with_results(&draft, &outputs)
}
