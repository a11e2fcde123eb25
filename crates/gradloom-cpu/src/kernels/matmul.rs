//! `Matmul`: batched products of matrices that lie anywhere strides can reach, with the epilogue run
//! on each block of rows while it is in the cache.
//!
//! The sum over the inner axis is never split, and blocks depend on the shapes alone.

use std::ops::Range;

use gradloom_plan::{Kernel, View};
use gradloom_tensor::{DType, Result};

use super::lanes::lanes_of;
use super::product::{Matrix, Number, multiply_columns};
use super::{Aliases, Context, Executable, lane_dtype};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};

/// Multiplications below which a product stays on one thread.
const SEQUENTIAL_WORK: usize = 512 * 1024;
/// Least multiplications of a task.
const TASK_WORK: usize = 256 * 1024;
/// Rows or columns of a block, of which the kernels' tiles are divisors.
const BLOCK: usize = 96;
/// Most blocks of one product.
const BLOCKS_MAX: usize = 16;

pub(crate) struct Matmul {
    lhs: View,
    rhs: View,
    batch: Vec<usize>,
    /// Rows, columns and inner size of one product.
    size: [usize; 3],
    dtype: DType,
    epilogue: Epilogue,
}

impl Matmul {
    pub(crate) fn new(kernel: &Kernel, aliases: &Aliases, lhs: &View, rhs: &View) -> Matmul {
        let rank = lhs.shape.rank();
        let mut matmul = Matmul {
            lhs: *lhs,
            rhs: *rhs,
            batch: lhs.shape[..rank - 2].to_vec(),
            size: [lhs.shape[rank - 2], rhs.shape[rank - 1], lhs.shape[rank - 1]],
            dtype: kernel.inputs[0].dtype,
            epilogue: Epilogue::new(kernel, aliases, lane_dtype(Lane::of(kernel.inputs[0].dtype))),
        };
        matmul.merge_rows();
        matmul
    }

    /// Batches that share the right matrix and continue the left one's rows are one taller product.
    fn merge_rows(&mut self) {
        let axis = self.lhs.shape.rank() - 2;
        while let Some(&size) = self.batch.last() {
            let last = self.batch.len() - 1;
            let continues = self.size[0] == 1
                || self.lhs.strides[last] == self.lhs.strides[axis] * self.size[0] as isize;
            if size != 1 && (self.rhs.strides[last] != 0 || !continues) {
                return;
            }
            if size != 1 && self.size[0] == 1 {
                self.lhs.strides[axis] = self.lhs.strides[last];
            }
            self.size[0] *= size;
            self.batch.pop();
        }
    }

    /// The two matrices of a batch element.
    fn matrices<'a, T>(
        &self,
        batch: usize,
        lhs: &'a [T],
        rhs: &'a [T],
    ) -> (Matrix<'a, T>, Matrix<'a, T>) {
        let axis = self.lhs.shape.rank() - 2;
        let at = |view: &View| {
            let mut rest = batch;
            let mut offset = view.offset;
            for (axis, &size) in self.batch.iter().enumerate().rev() {
                offset += (rest % size) as isize * view.strides[axis];
                rest /= size;
            }
            (offset, [view.strides[axis], view.strides[axis + 1]])
        };
        let ((left, left_strides), (right, right_strides)) = (at(&self.lhs), at(&self.rhs));
        (
            Matrix { values: lhs, offset: left, strides: left_strides },
            Matrix { values: rhs, offset: right, strides: right_strides },
        )
    }

    fn run_lanes<T: Number>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let lhs = lanes_of::<T>(context, inputs[0], self.dtype)?;
        let rhs = lanes_of::<T>(context, inputs[1], self.dtype)?;
        let (lhs, rhs) = (lhs.get(), rhs.get());
        let [m, n, k] = self.size;
        let batches: usize = self.batch.iter().product();
        let work = m * n * k.max(1);
        let threads = if batches * work <= SEQUENTIAL_WORK { 1 } else { context.threads };
        if batches > 1 && (work <= SEQUENTIAL_WORK || batches >= 2 * BLOCKS_MAX) {
            // Whole products are the units.
            let per_task = TASK_WORK.div_ceil(work.max(1)).clamp(1, batches);
            let division = Division { units: batches, unit_elements: m * n, per_task, threads };
            self.epilogue.run(context, inputs, outputs, division, |range, out| {
                let out: &mut [T] = bytemuck::cast_slice_mut(out);
                for (index, batch) in range.enumerate() {
                    let (left, right) = self.matrices(batch, lhs, rhs);
                    let out = &mut out[index * m * n..(index + 1) * m * n];
                    T::multiply(out, n, self.size, left, right, false);
                }
            });
            return Ok(());
        }
        if batches == 1 && (m >= n || work <= SEQUENTIAL_WORK) {
            let (left, right) = self.matrices(0, lhs, rhs);
            let block = if work <= SEQUENTIAL_WORK { m } else { block_of(m) };
            let division = Division { units: m, unit_elements: n, per_task: block, threads };
            self.epilogue.run(context, inputs, outputs, division, |rows: Range<usize>, out| {
                let out = bytemuck::cast_slice_mut(out);
                T::multiply(out, n, [rows.len(), n, k], left.from(rows.start, 0), right, false);
            });
            return Ok(());
        }
        self.epilogue.run_whole(context, inputs, outputs, batches * m * n, |out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (batch, out) in out.chunks_exact_mut((m * n).max(1)).enumerate() {
                let (left, right) = self.matrices(batch, lhs, rhs);
                if m >= n {
                    let block = block_of(m);
                    let bytes = n * size_of::<T>();
                    let out: &mut [u8] = bytemuck::cast_slice_mut(out);
                    crate::parallel::split(
                        threads,
                        &mut [out],
                        &[bytes],
                        m,
                        block,
                        |rows, parts| {
                            let size = [rows.len(), n, k];
                            let out = bytemuck::cast_slice_mut(parts[0]);
                            T::multiply(out, n, size, left.from(rows.start, 0), right, false);
                        },
                    );
                } else {
                    multiply_columns(threads, out, self.size, block_of(n), left, right);
                }
            }
            Ok(())
        })
    }
}

/// Rows or columns of a block of a product that has `count` of them.
fn block_of(count: usize) -> usize {
    count.div_ceil(BLOCKS_MAX).next_multiple_of(BLOCK)
}

impl Executable for Matmul {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        match Lane::of(self.dtype) {
            Lane::F32 => self.run_lanes::<f32>(context, inputs, outputs),
            Lane::F64 => self.run_lanes::<f64>(context, inputs, outputs),
            Lane::I32 => self.run_lanes::<i32>(context, inputs, outputs),
            Lane::U32 => self.run_lanes::<u32>(context, inputs, outputs),
        }
    }
}
