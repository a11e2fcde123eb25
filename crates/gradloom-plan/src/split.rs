//! Kernels with more buffers than a device binds at once become several.
//!
//! A program is cut where few values are alive: the first part stores them, the second reads them. For
//! kinds with work of their own the first part is that work alone.

use gradloom_tensor::DType;

use crate::draft::{Draft, program_kind};
use crate::kernel::KernelKind;
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::view::View;

/// A value that only passes from one part of a kernel to the next: dtype and number of elements. It has
/// the number of a node after those of the graph.
pub(crate) type Passed = (DType, usize);

/// Splits a draft into parts of at most `buffers_max` buffers, as far as that is possible. `nodes` is
/// the number of nodes of the graph.
pub(crate) fn split(
    draft: Draft,
    buffers_max: usize,
    nodes: usize,
    passed: &mut Vec<Passed>,
) -> Vec<Draft> {
    let mut done = Vec::new();
    let mut rest = draft;
    while rest.inputs.len() + rest.outputs.len() > buffers_max {
        let Some(cut) = best_cut(&rest, buffers_max) else { break };
        let (first, second) = cut_at(rest, cut, nodes, passed);
        done.push(first);
        rest = second;
    }
    done.push(rest);
    done
}

/// What a part of a program, instructions `from..to`, needs and gives.
struct Part {
    /// Values of earlier instructions.
    read: Vec<ValueId>,
    /// Inputs that its loads read.
    loaded: Vec<usize>,
    /// Positions of outputs that it stores.
    stored: Vec<usize>,
}

fn part(draft: &Draft, from: usize, to: usize) -> Part {
    let mut part = Part { read: Vec::new(), loaded: Vec::new(), stored: Vec::new() };
    for instruction in &draft.program.instructions[from..to] {
        if let Operation::Load { input, .. } = instruction.operation
            && !part.loaded.contains(&input)
        {
            part.loaded.push(input);
        }
        for operand in instruction.operation.operands() {
            if operand < from && !part.read.contains(&operand) {
                part.read.push(operand);
            }
        }
    }
    for (position, &(_, value)) in draft.outputs.iter().enumerate() {
        // A value that the first part already has is stored there.
        if (from..to).contains(&value) {
            part.stored.push(position);
        }
    }
    part
}

/// True for instructions that a second part makes itself rather than reads.
fn is_free(draft: &Draft, value: ValueId) -> bool {
    matches!(
        draft.program.instructions[value].operation,
        Operation::Constant(_) | Operation::Argument(_) | Operation::Index(_)
    )
}

/// The last place at which the first part fits, with as few values passed on as possible.
fn best_cut(draft: &Draft, buffers_max: usize) -> Option<usize> {
    let instructions = &draft.program.instructions;
    let count = instructions.len();
    let own = draft.kind_inputs;
    if let KernelKind::Write { .. } | KernelKind::Loop(_) = draft.kind {
        return None;
    }
    // The kind's own result is there for the first part alone.
    let earliest = instructions
        .iter()
        .position(|instruction| instruction.operation == Operation::Accumulator)
        .map_or(1, |accumulator| accumulator + 1);
    let reduces = |mut part: std::slice::Iter<'_, Instruction>| {
        part.any(|instruction| matches!(instruction.operation, Operation::Reduce(..)))
    };
    let whole = draft.space.kept == draft.space.shape.rank();
    let at_elements = |value: ValueId| whole || instructions[value].level == Level::Element;
    let fits = |cut: usize| {
        let (first, second) = (part(draft, 0, cut), part(draft, cut, count));
        let passed = second.read.iter().copied().filter(|&value| !is_free(draft, value));
        let passes = passed.clone().count();
        let results = |part: &Part| -> Vec<ValueId> {
            part.stored.iter().map(|&position| draft.outputs[position].1).collect()
        };
        // Values of rows are only made where rows are reduced.
        let mut first_results = results(&first).into_iter().chain(passed);
        let rows = (reduces(instructions[..cut].iter()) || first_results.all(at_elements))
            && (reduces(instructions[cut..].iter())
                || results(&second).into_iter().all(at_elements));
        let buffers = own + first.loaded.len() + first.stored.len() + passes;
        let useful = second.loaded.len() + passes + second.stored.len()
            < draft.inputs.len() + draft.outputs.len();
        (rows && buffers <= buffers_max && useful).then_some(cut)
    };
    (earliest..count).rev().find_map(fits)
}

fn cut_at(draft: Draft, cut: usize, nodes: usize, passed: &mut Vec<Passed>) -> (Draft, Draft) {
    let second = part(&draft, cut, draft.program.instructions.len());
    let space = draft.space;
    let len = |level: Level| match level {
        Level::Row => space.rows(),
        Level::Element => space.shape.count(),
    };
    let whole = space.kept == space.shape.rank();
    let mut first_outputs: Vec<(usize, ValueId)> =
        draft.outputs.iter().copied().filter(|&(_, value)| value < cut).collect();
    let mut program = Program::default();
    let mut origins = Vec::new();
    let mut inputs: Vec<usize> = Vec::new();
    // Where the values of the old program are in the new one.
    let mut places = vec![usize::MAX; draft.program.instructions.len()];
    for &value in &second.read {
        let instruction = draft.program.instructions[value];
        let made = match is_free(&draft, value) {
            true => instruction,
            false => {
                let level = if whole { Level::Element } else { instruction.level };
                let node = nodes + passed.len();
                passed.push((instruction.dtype, len(level)));
                first_outputs.push((node, value));
                inputs.push(node);
                let view = passed_view(&space, level);
                Instruction {
                    operation: Operation::Load { input: inputs.len() - 1, view },
                    level,
                    ..instruction
                }
            }
        };
        places[value] = push(&mut program, &mut origins, made, draft.origins[value]);
    }
    for value in cut..draft.program.instructions.len() {
        let mut instruction = draft.program.instructions[value];
        instruction.operation = instruction.operation.moved(&places);
        // What is uniform in the first part is read by elements here.
        let at_elements = |operand: ValueId| program.instructions[operand].level == Level::Element;
        if whole && instruction.operation.operands().any(at_elements) {
            instruction.level = Level::Element;
        }
        if let Operation::Load { input, .. } = &mut instruction.operation {
            let base = draft.inputs[*input];
            *input = inputs.iter().position(|&known| known == base).unwrap_or_else(|| {
                inputs.push(base);
                inputs.len() - 1
            });
        }
        places[value] = push(&mut program, &mut origins, instruction, draft.origins[value]);
    }
    let outputs: Vec<(usize, ValueId)> = draft
        .outputs
        .iter()
        .filter(|(_, value)| *value >= cut)
        .map(|&(node, value)| (node, places[value]))
        .collect();
    let (space, program) = without_rows(space, program);
    let rest = Draft {
        kind: program_kind(&program, &outputs),
        space,
        program,
        origins,
        inputs,
        kind_inputs: 0,
        outputs,
        after: draft.after.clone(),
    };
    (first_part(draft, cut, first_outputs), rest)
}

/// The instructions before a cut, with the inputs that they read.
fn first_part(draft: Draft, cut: usize, outputs: Vec<(usize, ValueId)>) -> Draft {
    let mut program = draft.program;
    program.instructions.truncate(cut);
    let (space, program) = without_rows(draft.space, program);
    let kind = match draft.kind {
        KernelKind::Map | KernelKind::Reduce | KernelKind::Row => program_kind(&program, &outputs),
        own => own,
    };
    let mut origins = draft.origins;
    origins.truncate(cut);
    let mut first = Draft { kind, program, origins, space, outputs, ..draft };
    first.keep_read_inputs();
    first
}

/// A part of a reducing program that does not reduce runs over elements.
fn without_rows(space: Space, mut program: Program) -> (Space, Program) {
    if space.kept == space.shape.rank() || program.reductions().next().is_some() {
        return (space, program);
    }
    for instruction in &mut program.instructions {
        let uniform =
            matches!(instruction.operation, Operation::Constant(_) | Operation::Argument(_));
        if !uniform {
            instruction.level = Level::Element;
        }
    }
    (Space::elements(space.shape), program)
}

/// How a passed value is read over the space.
fn passed_view(space: &Space, level: Level) -> View {
    match level {
        Level::Element => View::contiguous(space.shape),
        Level::Row => {
            let mut rows = space.shape;
            for axis in space.kept..rows.rank() {
                rows = rows.with(axis, 1);
            }
            View::contiguous(rows).expand(space.shape)
        }
    }
}

fn push(
    program: &mut Program,
    origins: &mut Vec<usize>,
    instruction: Instruction,
    origin: usize,
) -> ValueId {
    let value = program.push(instruction);
    if value == origins.len() {
        origins.push(origin);
    }
    value
}
