//! Kernels with more buffers than a device binds at once become several.
//!
//! A program is cut where few values are alive: the first part stores them, the second reads them. For
//! kinds with work of their own the first part is that work alone. Where too many values are alive
//! everywhere, each part makes some of the results from the start; where one result has too many operands, a value
//! that alone needs some of them is made before.

use gradloom_tensor::DType;

use crate::by_results::{by_results, separable, with_loaded, with_results};
use crate::draft::{Draft, program_kind};
use crate::kernel::KernelKind;
use crate::parts::{is_of_rows, passed_view, push, without_rows};
use crate::program::{Instruction, Level, Operation, Program, Space, ValueId};
use crate::rounding::stays_in_range;
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
    if rest.inputs.len() + rest.outputs.len() > buffers_max {
        rest.accumulator_first();
        while rest.kind_inputs >= buffers_max
            && joins(&mut rest, buffers_max, nodes, passed, &mut done)
        {}
        if let KernelKind::Write { .. } = rest.kind {
            let (update, write) = update_and_write(rest, nodes, passed);
            done.extend(split(update, buffers_max, nodes, passed));
            done.push(write);
            return done;
        }
    }
    while rest.inputs.len() + rest.outputs.len() > buffers_max {
        let Some(cut) = best_cut(&rest, buffers_max) else {
            if let Some(halves) = by_results(&rest) {
                let halves = halves.into_iter();
                done.extend(halves.flat_map(|half| split(half, buffers_max, nodes, passed)));
                return done;
            }
            let Some(value) = separable(&rest, buffers_max) else { break };
            let node = nodes + passed.len();
            passed.push((rest.program.instructions[value].dtype, rest.space.shape.count()));
            done.push(with_results(&rest, &[(node, value)]));
            rest = with_loaded(rest, value, node);
            continue;
        };
        let (first, second) = cut_at(rest, cut, nodes, passed);
        done.push(first);
        rest = second;
    }
    done.push(rest);
    done
}

/// Joins as many parts of a concatenation as a device binds in one kernel each, so that fewer are left.
/// False for other kinds.
fn joins(
    draft: &mut Draft,
    buffers_max: usize,
    nodes: usize,
    passed: &mut Vec<Passed>,
    done: &mut Vec<Draft>,
) -> bool {
    let KernelKind::Concat { axis, parts } = &mut draft.kind else { return false };
    let accumulator = |instruction: &Instruction| instruction.operation == Operation::Accumulator;
    let Some(own) = draft.program.instructions.iter().position(accumulator) else { return false };
    let dtype = draft.program.instructions[own].dtype;
    let most = buffers_max.saturating_sub(1).max(2);
    let (mut inputs, mut shapes) = (Vec::new(), Vec::new());
    for (bases, group) in draft.inputs[..draft.kind_inputs].chunks(most).zip(parts.chunks(most)) {
        let sizes = group.iter().map(|part| part[*axis]);
        let shape = group[0].with(*axis, sizes.sum());
        let mut program = Program::default();
        let level = Level::Element;
        let operation = Operation::Accumulator;
        let mut value = program.push(Instruction { operation, dtype, level });
        if !stays_in_range(&operation, dtype) {
            let operation = Operation::Cast(value);
            value = program.push(Instruction { operation, dtype, level });
        }
        let node = nodes + passed.len();
        passed.push((dtype, shape.count()));
        done.push(Draft {
            kind: KernelKind::Concat { axis: *axis, parts: group.to_vec() },
            origins: vec![draft.origins[own]; program.instructions.len()],
            program,
            space: Space::elements(shape),
            inputs: bases.to_vec(),
            kind_inputs: bases.len(),
            outputs: vec![(node, value)],
            after: draft.after.clone(),
        });
        inputs.push(node);
        shapes.push(shape);
    }
    *parts = shapes;
    let joined = inputs.len();
    for instruction in &mut draft.program.instructions {
        if let Operation::Load { input, .. } = &mut instruction.operation {
            let base = draft.inputs[*input];
            *input = inputs.iter().position(|&known| known == base).unwrap_or_else(|| {
                inputs.push(base);
                inputs.len() - 1
            });
        }
    }
    draft.inputs = inputs;
    draft.kind_inputs = joined;
    true
}

/// A write whose update is computed before it, by a kernel that can be cut.
fn update_and_write(draft: Draft, nodes: usize, passed: &mut Vec<Passed>) -> (Draft, Draft) {
    let (written, value) = draft.outputs[0];
    let Instruction { dtype, level, .. } = draft.program.instructions[value];
    let node = nodes + passed.len();
    passed.push((dtype, draft.space.shape.count()));
    let mut inputs = draft.inputs[..draft.kind_inputs].to_vec();
    inputs.push(node);
    let view = View::contiguous(draft.space.shape);
    let operation = Operation::Load { input: draft.kind_inputs, view };
    let write = Draft {
        kind: draft.kind.clone(),
        program: Program { instructions: vec![Instruction { operation, dtype, level }] },
        origins: vec![draft.origins[value]],
        inputs,
        outputs: vec![(written, 0)],
        after: draft.after.clone(),
        ..draft
    };
    let outputs = vec![(node, value)];
    let mut update =
        Draft { kind: program_kind(&draft.program, &outputs), kind_inputs: 0, outputs, ..draft };
    update.keep_read_inputs();
    (update, write)
}

impl Draft {
    /// Moves the kind's own result to the front of the program: what does not need it can then be cut off.
    fn accumulator_first(&mut self) {
        let instructions = &self.program.instructions;
        let is_own = |instruction: &Instruction| instruction.operation == Operation::Accumulator;
        let Some(own) = instructions.iter().position(is_own) else { return };
        let mut order: Vec<ValueId> = (0..instructions.len()).collect();
        order[..=own].rotate_right(1);
        let mut places = vec![0; order.len()];
        for (place, &value) in order.iter().enumerate() {
            places[value] = place;
        }
        let moved = |&value: &ValueId| {
            let instruction = instructions[value];
            Instruction { operation: instruction.operation.moved(&places), ..instruction }
        };
        let moved = order.iter().map(moved).collect();
        self.origins = order.iter().map(|&value| self.origins[value]).collect();
        self.program.instructions = moved;
        for (_, value) in &mut self.outputs {
            *value = places[*value];
        }
    }
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
    let instructions = &draft.program.instructions;
    let mut part = Part { read: Vec::new(), loaded: Vec::new(), stored: Vec::new() };
    let mut used = Vec::new();
    for instruction in &instructions[from..to] {
        for operand in instruction.operation.operands() {
            used.push(operand);
            if operand < from && !part.read.contains(&operand) {
                part.read.push(operand);
            }
        }
    }
    for (position, &(_, value)) in draft.outputs.iter().enumerate() {
        // A value that the first part already has is stored there.
        if (from..to).contains(&value) {
            part.stored.push(position);
            used.push(value);
        }
    }
    for value in used {
        if let Operation::Load { input, .. } = instructions[value].operation
            && !part.loaded.contains(&input)
        {
            part.loaded.push(input);
        }
    }
    part
}

/// True for instructions that a second part makes itself rather than reads.
fn is_free(draft: &Draft, value: ValueId) -> bool {
    matches!(
        draft.program.instructions[value].operation,
        Operation::Constant(_)
            | Operation::Argument(_)
            | Operation::Index(_)
            | Operation::Load { .. }
    )
}

/// The last place at which the first part fits, with as few values passed on as possible.
fn best_cut(draft: &Draft, buffers_max: usize) -> Option<usize> {
    let instructions = &draft.program.instructions;
    let count = instructions.len();
    let own = draft.kind_inputs;
    if let KernelKind::Loop(_) = draft.kind {
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
        // Values of rows are made where rows are reduced, or where there is nothing but rows.
        let mut first_results = results(&first).into_iter().chain(passed.clone());
        let rows = (reduces(instructions[..cut].iter()) || first_results.all(at_elements))
            && (reduces(instructions[cut..].iter())
                || results(&second).into_iter().all(at_elements)
                || (!whole && is_of_rows(&instructions[cut..])));
        // What is stored anyway is read from there.
        let stored = passed.clone().filter(|&value| result(draft, value).is_some()).count();
        let buffers = own + first.loaded.len() + first.stored.len() + passes - stored;
        let useful = second.loaded.len() + passes + second.stored.len()
            < draft.inputs.len() + draft.outputs.len();
        (rows && buffers <= buffers_max && useful).then_some(cut)
    };
    (earliest..count).rev().find_map(fits)
}

/// The node of a result that is this value.
fn result(draft: &Draft, value: ValueId) -> Option<usize> {
    draft.outputs.iter().find(|&&(_, stored)| stored == value).map(|&(node, _)| node)
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
            true => reloaded(&draft, instruction, &mut inputs),
            false => {
                let level = if whole { Level::Element } else { instruction.level };
                let node = result(&draft, value).unwrap_or_else(|| {
                    passed.push((instruction.dtype, len(level)));
                    first_outputs.push((nodes + passed.len() - 1, value));
                    nodes + passed.len() - 1
                });
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
        let instruction = reloaded(&draft, instruction, &mut inputs);
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
    (with_results(&draft, &first_outputs), rest)
}

/// An instruction of a draft, as a load from one of these inputs if it is a load.
fn reloaded(draft: &Draft, mut instruction: Instruction, inputs: &mut Vec<usize>) -> Instruction {
    if let Operation::Load { input, .. } = &mut instruction.operation {
        let base = draft.inputs[*input];
        *input = inputs.iter().position(|&known| known == base).unwrap_or_else(|| {
            inputs.push(base);
            inputs.len() - 1
        });
    }
    instruction
}
