//! Inputs that share the memory of an output: which may be overwritten while they are read, and which
//! must be copied first.

use gradloom_plan::program::{Level as Rank, Operation};
use gradloom_plan::{Kernel, KernelKind, Plan};

use super::executable::Aliases;
use super::phases;

/// Inputs of a kernel that have the memory of one of its outputs: pairs of input and output.
pub(crate) fn shared(plan: &Plan, kernel: &Kernel) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    for (index, input) in kernel.inputs.iter().enumerate() {
        let block = plan.block(input.buffer);
        let found = kernel.outputs.iter().position(|output| plan.block(output.buffer) == block);
        pairs.extend(found.map(|output| (index, output)));
    }
    pairs
}

/// Decides what to do about inputs that share memory with outputs.
pub(super) fn aliases(kernel: &Kernel, shared: &[(usize, usize)]) -> Aliases {
    let mut aliases = Aliases::default();
    for &(input, output) in shared {
        let written = matches!(kernel.kind, KernelKind::Write { .. }) && input == 0;
        if written || is_in_place(kernel, input, output) {
            aliases.in_place.push((input, output));
        } else {
            aliases.copied.push(input);
        }
    }
    aliases
}

/// True if the program reads every element of the input exactly where it writes the output.
fn is_in_place(kernel: &Kernel, input: usize, output: usize) -> bool {
    let (read, written) = (&kernel.inputs[input], &kernel.outputs[output]);
    let instructions = &kernel.program.instructions;
    let level = instructions[written.value].level;
    let reducing = matches!(kernel.kind, KernelKind::Reduce | KernelKind::Row);
    if input < kernel.kind.operands()
        || read.dtype != written.dtype
        || read.len != written.len
        || (kernel.kind == KernelKind::Reduce && level == Rank::Element)
    {
        return false;
    }
    // Phases before the last would read what a row of the last has overwritten only if the output
    // were written earlier than it is read; an output of elements must come last.
    if reducing && level == Rank::Element && !is_last(kernel, written.value) {
        return false;
    }
    let kept = kernel.space.kept;
    instructions.iter().enumerate().all(|(id, instruction)| match instruction.operation {
        Operation::Load { input: loaded, view } if loaded == input => {
            let view = match (reducing, level) {
                (true, Rank::Row) => phases::kept_view(&view, kept),
                _ => view,
            };
            let same_level = !reducing || instruction.level == level;
            let reduced = reducing && level == Rank::Row && feeds_reduction(kernel, id);
            view.is_contiguous() && view.shape.count() == written.len && same_level && !reduced
        }
        _ => true,
    })
}

/// True if no pass comes after the one in which a value is known.
fn is_last(kernel: &Kernel, value: usize) -> bool {
    let passes = kernel.program.passes();
    passes.iter().all(|&other| other <= passes[value])
}

/// True if a reduction depends on a value.
fn feeds_reduction(kernel: &Kernel, value: usize) -> bool {
    let instructions = &kernel.program.instructions;
    let mut depends = vec![false; instructions.len()];
    depends[value] = true;
    for (id, instruction) in instructions.iter().enumerate() {
        depends[id] |= instruction.operation.operands().any(|operand| depends[operand]);
        if depends[id] && matches!(instruction.operation, Operation::Reduce(..)) {
            return true;
        }
    }
    false
}
