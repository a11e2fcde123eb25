//! What is improved in a compiled program: outputs written in place of registers, results read where
//! they are, registers reused.

use gradloom_plan::KernelInput;

use super::ahead::{Ahead, Read};
use super::step::{Source, Step, Store, Target, TileProgram, Work, operands, operands_mut};
use crate::convert::Lane;

/// Notes which values of blocks are read element by element. Steps for blocks find them in their own registers.
pub(super) fn mark_read_blocks(program: &mut TileProgram) {
    for operand in program.block_steps.iter_mut().flat_map(|step| operands_mut(&mut step.work)) {
        if let Source::Block(block) = *operand {
            *operand = Source::Register(block);
        }
    }
    let read = program.steps.iter().flat_map(|step| operands(&step.work));
    let kept = program.stores.iter().map(|(source, ..)| *source);
    for source in read.chain(kept).chain(program.exports.iter().copied()) {
        if let Source::Block(block) = source {
            program.blocks[block].1 = true;
        }
    }
}

/// Lets the step that computes a stored value write the output itself. The first `hoisted` steps read
/// outputs and keep their registers.
pub(super) fn write_outputs_directly(program: &mut TileProgram, hoisted: usize) {
    for index in 0..program.stores.len() {
        let (source, lane, store) = program.stores[index];
        if !Lane::stores(store.dtype) || Lane::of(store.dtype) != lane {
            continue;
        }
        let Some(step) = program.steps[hoisted..].iter_mut().find(|step| is_made(step, source))
        else {
            continue;
        };
        let replaced = Source::Output(store.output);
        step.target = Target::Output(store.output);
        let operands = program.steps.iter_mut().flat_map(|step| operands_mut(&mut step.work));
        let stored = program.stores.iter_mut().map(|(source, ..)| source);
        for reader in operands.chain(stored).chain(&mut program.exports) {
            if *reader == source {
                *reader = replaced;
            }
        }
    }
    // What stands in its output already needs no store.
    program.stores.retain(|(source, _, store)| *source != Source::Output(store.output));
}

/// Lets steps read an output's first contents where they are, if all who read them come before the
/// step that writes the output.
pub(super) fn read_outputs_directly(program: &mut TileProgram) {
    let mut index = 0;
    while index < program.steps.len() {
        let Step {
            work: Work::LoadOutput { output, dtype },
            target: Target::Register(register),
            ..
        } = program.steps[index]
        else {
            index += 1;
            continue;
        };
        let (loaded, found) = (Source::Register(register), Source::Output(output));
        let writer = program
            .steps
            .iter()
            .position(|step| step.target == Target::Output(output))
            .unwrap_or(program.steps.len());
        let read_late = program.steps[writer..]
            .iter()
            .any(|step| operands(&step.work).any(|source| source == loaded));
        // What is stored or exported later would find the new contents.
        let kept = program.stores.iter().any(|(source, ..)| *source == loaded)
            || program.exports.contains(&loaded);
        if read_late || kept || !Lane::stores(dtype) {
            index += 1;
            continue;
        }
        for step in &mut program.steps {
            for operand in operands_mut(&mut step.work) {
                if *operand == loaded {
                    *operand = found;
                }
            }
        }
        program.steps.remove(index);
    }
}

fn is_made(step: &Step, source: Source) -> bool {
    matches!((step.target, source), (Target::Register(a), Source::Register(b)) if a == b)
}

/// Reuses registers whose last reader has run.
pub(super) fn allocate_registers(program: &mut TileProgram) {
    let mut last_use = vec![0usize; program.registers];
    for (index, step) in program.steps.iter().enumerate() {
        for source in operands(&step.work) {
            if let Source::Register(register) = source {
                last_use[register] = index;
            }
        }
        if let Target::Register(register) = step.target {
            last_use[register] = last_use[register].max(index);
        }
    }
    let kept = program.stores.iter().map(|(source, ..)| *source).chain(program.exports.clone());
    for source in kept {
        if let Source::Register(register) = source {
            last_use[register] = usize::MAX;
        }
    }
    let mut assigned = vec![usize::MAX; program.registers];
    let mut free: Vec<usize> = Vec::new();
    let mut used = 0;
    for index in 0..program.steps.len() {
        if let Target::Register(register) = program.steps[index].target {
            let physical = free.pop().unwrap_or_else(|| {
                used += 1;
                used - 1
            });
            assigned[register] = physical;
            program.steps[index].target = Target::Register(physical);
        }
        let mut ended: Vec<usize> = Vec::new();
        for operand in operands_mut(&mut program.steps[index].work) {
            if let Source::Register(register) = *operand {
                *operand = Source::Register(assigned[register]);
                if last_use[register] == index && !ended.contains(&register) {
                    ended.push(register);
                }
            }
        }
        free.extend(ended.into_iter().map(|register| assigned[register]));
    }
    let rename = |source: &mut Source| {
        if let Source::Register(register) = *source {
            *source = Source::Register(assigned[register]);
        }
    };
    program.stores.iter_mut().for_each(|(source, ..)| rename(source));
    program.exports.iter_mut().for_each(rename);
    program.registers = used;
}

/// Bytes of an operand up to which it stays in the first-level cache by itself.
const SMALL: usize = 8 * 1024;

/// Finds what tiles read in order of operands that are not small, and what they write.
pub(super) fn look_ahead(program: &mut TileProgram, inputs: &[KernelInput], stores: &[Store]) {
    let size = |input: usize| inputs[input].dtype.size();
    let read = program.steps.iter().flat_map(|step| operands(&step.work));
    let kept = program.stores.iter().map(|(source, ..)| *source);
    let direct = read.chain(kept).chain(program.exports.iter().copied());
    let direct = direct.filter_map(|source| match source {
        Source::Input { input, offset } => {
            Some((input, Read::neighbours(input, size(input), offset)))
        }
        _ => None,
    });
    let loaded = program.steps.iter().filter_map(|step| match &step.work {
        Work::Load { input, access, .. } => {
            Some((*input, Read::runs(*input, size(*input), access)?))
        }
        _ => None,
    });
    let mut in_order: Vec<Read> = Vec::new();
    for (input, one) in direct.chain(loaded) {
        if inputs[input].len * size(input) > SMALL && !in_order.iter().any(|known| known.same(&one))
        {
            in_order.push(one);
        }
    }
    let written = stores.iter().map(|store| (store.output, store.dtype.size())).collect();
    program.ahead = Ahead { read: in_order, written };
}
