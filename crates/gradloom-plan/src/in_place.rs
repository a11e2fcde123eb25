//! Results that are written over operands: which operand a kernel reads only where it writes.

use gradloom_tensor::Shape;

use crate::kernel::{BufferRef, Kernel, KernelInput, KernelKind, Plan};
use crate::program::{Level, Operation, Program, Space, ValueId};
use crate::verify::PlanFault;
use crate::view::View;

impl Plan {
    /// Operands and outputs of a kernel that are the same memory, as pairs of positions: the kernel reads
    /// such an operand only where it writes that output, see [`Kernel::may_overwrite`].
    ///
    /// # Errors
    /// When the kernel reads an operand elsewhere than it overwrites it, which no plan that passes
    /// [`Plan::verify`] does.
    pub fn in_place(&self, kernel: usize) -> Result<Vec<(usize, usize)>, PlanFault> {
        let work = &self.kernels[kernel];
        let blocks: Vec<BufferRef> =
            work.outputs.iter().map(|output| self.block(output.buffer)).collect();
        let mut pairs = Vec::new();
        for (input, operand) in work.inputs.iter().enumerate() {
            let block = self.block(operand.buffer);
            let Some(output) = blocks.iter().position(|&written| written == block) else {
                continue;
            };
            if !work.may_overwrite(input, output) {
                let reason = format!("output {output} is written over operand {input}");
                return Err(PlanFault { kernel, reason });
            }
            pairs.push((input, output));
        }
        Ok(pairs)
    }

    /// How many kernels there are up to the last that may fail because of what an index is.
    ///
    /// # Errors
    /// When a kernel before the last that may fail at all writes over the memory of an input: what a failed
    /// evaluation has read must still be there.
    pub fn checked_kernels(&self) -> Result<usize, PlanFault> {
        let up_to = |last: Option<usize>| last.map_or(0, |last| last + 1);
        let failing = up_to(self.kernels.iter().rposition(Kernel::may_fail));
        for (kernel, work) in self.kernels[..failing].iter().enumerate() {
            let mut written = work.outputs.iter().map(|output| self.block(output.buffer));
            if written.any(|block| matches!(block, BufferRef::Input(_))) {
                let reason = "it writes in place before a check that may fail".into();
                return Err(PlanFault { kernel, reason });
            }
        }
        Ok(up_to(self.kernels.iter().rposition(Kernel::checks_indices)))
    }
}

impl Kernel {
    /// True if the kernel reads an operand only where it writes an output, so that both may be the same
    /// memory: executors read it there in the pass over the row that writes the output, or earlier.
    pub fn may_overwrite(&self, input: usize, output: usize) -> bool {
        let KernelInput { dtype, len, .. } = self.inputs[input];
        let written = &self.outputs[output];
        (dtype, len) == (written.dtype, written.len)
            && reads_in_place(&self.kind, &self.program, &self.space, written.value, |operand| {
                operand == input
            })
    }
}

/// True if a kernel reads the operands that `is_read` names only where it writes a value. It never reads
/// what it has written, and nor does another worker:
///
/// - a value of elements is written in the last pass over its row, and the operands are read element by
///   element;
/// - a value of rows is written when all its row is done, and the operands are read row by row, for
///   nothing that elements depend on;
/// - [`KernelKind::Write`] leaves the rest of its data alone, of which the update may not be made.
pub(crate) fn reads_in_place(
    kind: &KernelKind,
    program: &Program,
    space: &Space,
    value: ValueId,
    is_read: impl Fn(usize) -> bool,
) -> bool {
    let is_write = matches!(kind, KernelKind::Write { .. });
    if (usize::from(is_write)..kind.operands()).any(&is_read) {
        return false;
    }
    let instructions = &program.instructions;
    let level = instructions[value].level;
    let reduces = space.kept < space.shape.rank();
    if reduces && level == Level::Element {
        let passes = program.passes();
        if passes.iter().any(|&pass| pass > passes[value]) {
            return false;
        }
    }
    instructions.iter().enumerate().all(|(id, instruction)| match instruction.operation {
        Operation::Load { input, view } if is_read(input) => {
            if is_write {
                return false;
            }
            if !reduces {
                return view.is_contiguous();
            }
            instruction.level == level
                && match level {
                    Level::Element => view.is_contiguous(),
                    Level::Row => {
                        kept(&view, space).is_some_and(|view| view.is_contiguous())
                            && !program.reaches_elements(id)
                    }
                }
        }
        _ => true,
    })
}

impl Program {
    /// True if a value of elements, and so maybe a reduction, depends on a value.
    fn reaches_elements(&self, value: ValueId) -> bool {
        let mut depends = vec![false; self.instructions.len()];
        depends[value] = true;
        for (id, instruction) in self.instructions.iter().enumerate() {
            depends[id] |= instruction.operation.operands().any(|operand| depends[operand]);
            if depends[id] && instruction.level == Level::Element {
                return true;
            }
        }
        false
    }
}

/// A view over the kept axes alone, if it is without mask and the same along the others.
fn kept(view: &View, space: &Space) -> Option<View> {
    let reduced = space.kept..space.shape.rank();
    let same = reduced.into_iter().all(|axis| view.strides[axis] == 0 || view.shape[axis] == 1);
    let shape = Shape::new(&view.shape[..space.kept]);
    (same && view.mask.is_none()).then(|| {
        let mut strides = view.strides;
        strides[space.kept..].fill(0);
        View { shape, strides, ..*view }
    })
}
