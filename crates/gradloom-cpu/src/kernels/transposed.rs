//! [`Transposed`]: a `Map` that copies an operand that lies across its order, block by block instead of
//! one cache line per element. The planner makes such copies for kernels that read operands across.

use std::ops::Range;

use gradloom_plan::program::Operation;
use gradloom_plan::{Kernel, TransposedCopies, Transposition};
use gradloom_tensor::{DType, Result};

use super::executable::{Context, Executable, TASK_MIN};
use super::lanes::with_bits;
use crate::parallel;
use crate::transpose::transpose;

/// Where the planner has transposed operands copied.
pub(crate) const COPIES: TransposedCopies = TransposedCopies { elements_min: 4096, axis_min: 8 };

pub(super) struct Transposed {
    transposition: Transposition,
    dtype: DType,
}

impl Transposed {
    /// The executable of a kernel that is one such copy.
    pub(super) fn new(kernel: &Kernel) -> Option<Transposed> {
        let [instruction] = &kernel.program.instructions[..] else { return None };
        let Operation::Load { view, .. } = &instruction.operation else { return None };
        // What is repeated is not copied once.
        let transposition = COPIES.copy_of(view)?;
        let whole = transposition.elements == view.shape.count() && kernel.outputs.len() == 1;
        whole.then_some(Transposed { transposition, dtype: instruction.dtype })
    }

    /// Copies the part of the operand whose coordinates on the first axis are in `range`.
    fn copy<T: bytemuck::Pod>(
        &self,
        context: &Context<'_>,
        values: &[T],
        range: Range<usize>,
        out: &mut [T],
    ) {
        let Transposition { along, offset, .. } = self.transposition;
        let mut axes = self.transposition.axes.clone();
        let mut base = offset + range.start * axes[0][1];
        axes[0][0] = range.len();
        let mut out_base = 0;
        let [columns, _, out_step] = axes[along];
        let [rows, step, _] = axes[axes.len() - 1];
        let others: Vec<[usize; 3]> =
            (0..axes.len() - 1).filter(|&axis| axis != along).map(|axis| axes[axis]).collect();
        let mut coordinates = vec![0; others.len()];
        loop {
            let (values, out) = (&values[base..], &mut out[out_base..]);
            transpose(context.level, values, step, [rows, columns], out, out_step);
            let mut moved = false;
            for (coordinate, &[size, stride, out_stride]) in
                coordinates.iter_mut().zip(&others).rev()
            {
                *coordinate += 1;
                base += stride;
                out_base += out_stride;
                if *coordinate < size {
                    moved = true;
                    break;
                }
                base -= stride * size;
                out_base -= out_stride * size;
                *coordinate = 0;
            }
            if !moved {
                return;
            }
        }
    }
}

impl Executable for Transposed {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let Transposition { along, elements, .. } = self.transposition;
        let [units, _, unit] = self.transposition.axes[0];
        let threads = context.threads_for(elements);
        let per_task = parallel::grain(threads, units, unit, TASK_MIN);
        // Whole cache lines where the first axis is the one that is contiguous in the operand.
        let per_task = if along == 0 { per_task.next_multiple_of(16) } else { per_task };
        let bytes = [unit * self.dtype.size()];
        parallel::split(threads, outputs, &bytes, units, per_task, |range, parts| {
            with_bits!(self.dtype, |T| {
                let values: &[T] = bytemuck::cast_slice(inputs[0]);
                self.copy(context, values, range, bytemuck::cast_slice_mut(parts[0]));
            });
        });
        Ok(())
    }
}
