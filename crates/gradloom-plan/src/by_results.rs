//! Kernels that are split by their results: each part makes some of them from the start.

use crate::draft::{Draft, program_kind};
use crate::kernel::KernelKind;
use crate::parts::{push, without_rows};
use crate::program::{Instruction, Program, ValueId};

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
    let mut needed = vec![false; instructions.len()];
    for &(_, value) in outputs {
        needed[value] = true;
    }
    for value in (0..instructions.len()).rev() {
        if needed[value] {
            instructions[value].operation.operands().for_each(|operand| needed[operand] = true);
        }
    }
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
