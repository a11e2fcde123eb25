//! Results that are written over operands: which operand a kernel reads only where it writes.

use gradloom_tensor::Shape;

use crate::kernel::{Kernel, KernelInput, KernelKind, Plan};
use crate::program::{Level, Operation, Program, Space, ValueId};
use crate::view::View;

impl Plan {
    /// Operands and outputs of a kernel that are the same memory, as pairs of positions. A plan that
    /// passes [`Plan::verify`] reads such an operand only where it writes that output.
    pub fn in_place(&self, kernel: &Kernel) -> Vec<(usize, usize)> {
        let blocks: Vec<_> =
            kernel.outputs.iter().map(|output| self.block(output.buffer)).collect();
        let pair = |(position, input): (usize, &KernelInput)| {
            let block = self.block(input.buffer);
            Some((position, blocks.iter().position(|&written| written == block)?))
        };
        kernel.inputs.iter().enumerate().filter_map(pair).collect()
    }
}

impl Kernel {
    /// True if the kernel reads an operand only where it writes an output, so that both may be the same
    /// memory.
    pub(crate) fn may_overwrite(&self, input: usize, output: usize) -> bool {
        if let KernelKind::Write { .. } = self.kind {
            // The update may not be made of what it is written over.
            let mut instructions = self.program.instructions.iter();
            return input == 0
                && !instructions.any(|instruction| {
                    matches!(instruction.operation, Operation::Load { input: 0, .. })
                });
        }
        let KernelInput { dtype, len, .. } = self.inputs[input];
        let written = &self.outputs[output];
        input >= self.kind.operands()
            && (dtype, len) == (written.dtype, written.len)
            && self.program.reads_in_place(&self.space, |loaded| loaded == input)
    }
}

impl Program {
    /// True if the inputs that `is_read` names are read in the order of the results: element by element,
    /// or, in a program that reduces, row by row and for no reduction. Rows are written when all their
    /// reductions are done, and other rows are read by nobody.
    pub(crate) fn reads_in_place(&self, space: &Space, is_read: impl Fn(usize) -> bool) -> bool {
        let whole = space.kept == space.shape.rank();
        self.instructions.iter().enumerate().all(|(id, instruction)| {
            let Operation::Load { input, view } = instruction.operation else { return true };
            if !is_read(input) {
                return true;
            }
            if whole {
                return view.is_contiguous();
            }
            instruction.level == Level::Row
                && kept(&view, space).is_some_and(|view| view.is_contiguous())
                && !self.is_reduced(id)
        })
    }

    /// True if a value of elements, and so maybe a reduction, depends on a value.
    fn is_reduced(&self, value: ValueId) -> bool {
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
