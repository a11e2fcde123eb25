//! Operands that a program reads across their memory (a transposed matrix, channels moved last) are
//! first copied into the order of the space: block by block, instead of one cache line per element.

use std::ops::Range;

use gradloom_plan::program::{Instruction, Level, Operation};
use gradloom_plan::{Kernel, KernelInput, KernelKind, View};
use gradloom_tensor::{DType, Result, Shape};

use super::executable::{Context, Executable, TASK_MIN};
use super::lanes::with_bits;
use crate::memory::Temporary;
use crate::parallel;
use crate::transpose::transpose;

/// Operands of fewer elements stay in the cache anyway.
const ELEMENTS_MIN: usize = 4096;
/// Shorter axes gain nothing from blocks.
const AXIS_MIN: usize = 8;

/// A copy of an operand in the order of the space.
#[derive(Clone, Debug)]
struct Turn {
    input: usize,
    dtype: DType,
    offset: usize,
    /// Size, stride in the operand and stride in the copy of each axis, without repeated ones.
    axes: Vec<[usize; 3]>,
    /// The axis along which the operand is contiguous; the last one is contiguous in the copy.
    along: usize,
    elements: usize,
}

/// A kernel whose turned operands are copied before it runs.
pub(super) struct Turned {
    turns: Vec<Turn>,
    /// Reads the copies as further inputs.
    inner: Box<dyn Executable>,
}

impl Turned {
    pub(super) fn new(turns: Turns, inner: Box<dyn Executable>) -> Turned {
        Turned { turns: turns.0, inner }
    }
}

/// The copies that a kernel needs.
pub(super) struct Turns(Vec<Turn>);

/// The kernel with copies as further inputs, or `None` if it reads everything in order. Reductions are
/// left alone: they choose their own order.
pub(super) fn rewrite(kernel: &Kernel) -> Option<(Kernel, Turns)> {
    if kernel.kind == KernelKind::Reduce {
        return None;
    }
    let mut rewritten = kernel.clone();
    let mut turns: Vec<(View, Turn)> = Vec::new();
    for instruction in &mut rewritten.program.instructions {
        let Instruction {
            operation: Operation::Load { input, view }, level: Level::Element, ..
        } = *instruction
        else {
            continue;
        };
        let dtype = kernel.inputs[input].dtype;
        let Some(turn) = Turn::new(input, dtype, &view) else { continue };
        let known = turns.iter().position(|(other, turn)| turn.input == input && *other == view);
        let position = known.unwrap_or_else(|| {
            turns.push((view, turn));
            turns.len() - 1
        });
        let stored = (0..view.shape.rank()).map(|axis| match view.strides[axis] {
            0 => 1,
            _ => view.shape[axis],
        });
        let stored: Shape = stored.collect();
        let view = View::contiguous(stored).expand(view.shape);
        instruction.operation = Operation::Load { input: kernel.inputs.len() + position, view };
    }
    if turns.is_empty() {
        return None;
    }
    for (_, turn) in &turns {
        let KernelInput { buffer, node, .. } = kernel.inputs[turn.input];
        rewritten.inputs.push(KernelInput { buffer, dtype: turn.dtype, len: turn.elements, node });
    }
    Some((rewritten, Turns(turns.into_iter().map(|(_, turn)| turn).collect())))
}

impl Turn {
    fn new(input: usize, dtype: DType, view: &View) -> Option<Turn> {
        let moving = |axis: &usize| view.shape[*axis] != 1 && view.strides[*axis] != 0;
        let axes: Vec<usize> = (0..view.shape.rank()).filter(moving).collect();
        let straight = axes.iter().all(|&axis| view.strides[axis] > 0);
        if view.mask.is_some() || view.offset < 0 || !straight {
            return None;
        }
        // Axes that act as one in the operand are one: blocks get longer.
        let mut merged: Vec<[usize; 3]> = Vec::new();
        for &axis in &axes {
            let (size, stride) = (view.shape[axis], view.strides[axis] as usize);
            match merged.last_mut() {
                Some(last) if last[1] == stride * size => *last = [last[0] * size, stride, 0],
                _ => merged.push([size, stride, 0]),
            }
        }
        let mut elements = 1;
        for axis in merged.iter_mut().rev() {
            axis[2] = elements;
            elements *= axis[0];
        }
        let along = merged.iter().position(|axis| axis[1] == 1)?;
        let last = merged.len() - 1;
        let long = merged[along][0] >= AXIS_MIN && merged[last][0] >= AXIS_MIN;
        (along != last && long && elements >= ELEMENTS_MIN).then_some(Turn {
            input,
            dtype,
            offset: view.offset as usize,
            axes: merged,
            along,
            elements,
        })
    }

    /// Copies the part of the operand whose coordinates on the first axis are in `range`.
    fn copy<T: bytemuck::Pod>(
        &self,
        context: &Context<'_>,
        values: &[T],
        range: Range<usize>,
        out: &mut [T],
    ) {
        let mut axes = self.axes.clone();
        let mut base = self.offset + range.start * axes[0][1];
        axes[0][0] = range.len();
        let mut out_base = 0;
        let [columns, _, out_step] = axes[self.along];
        let [rows, step, _] = axes[axes.len() - 1];
        let others: Vec<[usize; 3]> =
            (0..axes.len() - 1).filter(|&axis| axis != self.along).map(|axis| axes[axis]).collect();
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

impl Turned {
    /// Runs the inner kernel with copies as further inputs.
    fn with_copies(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        run: impl FnOnce(&[&[u8]]) -> Result<()>,
    ) -> Result<()> {
        let mut copies = Vec::with_capacity(self.turns.len());
        for turn in &self.turns {
            let mut copy = context.pool.temporary(turn.elements * turn.dtype.size())?;
            let [units, _, unit] = turn.axes[0];
            let threads = context.threads_for(turn.elements);
            let per_task = parallel::grain(threads, units, unit, TASK_MIN);
            // Whole cache lines where the first axis is the one that is turned.
            let per_task = if turn.along == 0 { per_task.next_multiple_of(16) } else { per_task };
            let bytes = [unit * turn.dtype.size()];
            let out = copy.get_mut();
            parallel::split(threads, &mut [out], &bytes, units, per_task, |range, parts| {
                with_bits!(turn.dtype, |T| {
                    let values: &[T] = bytemuck::cast_slice(inputs[turn.input]);
                    turn.copy(context, values, range, bytemuck::cast_slice_mut(parts[0]));
                });
            });
            copies.push(copy);
        }
        let mut extended = inputs.to_vec();
        extended.extend(copies.iter().map(|copy| copy.get()));
        run(&extended)
    }
}

impl Executable for Turned {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.with_copies(context, inputs, |inputs| self.inner.run(context, inputs, outputs))
    }

    /// Copies are of the program's operands, not of the kind's.
    fn settle(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        constant: &[bool],
    ) -> Result<Option<Temporary>> {
        self.inner.settle(context, inputs, constant)
    }

    fn run_settled(
        &self,
        context: &Context<'_>,
        settled: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.with_copies(context, inputs, |inputs| {
            self.inner.run_settled(context, settled, inputs, outputs)
        })
    }
}
