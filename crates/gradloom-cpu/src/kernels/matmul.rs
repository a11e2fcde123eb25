//! `Matmul`: batched products of matrices that lie anywhere strides can reach, with the epilogue run
//! on each block of rows while it is in the cache.
//!
//! The sum over the inner axis is never split, and blocks depend on the shapes alone.

use std::ops::Range;

use gradloom_plan::{Kernel, View};
use gradloom_tensor::{DType, Result};

use super::executable::{Aliases, Context, Executable, TASK_MIN, lane_dtype};
use super::lanes::lanes_of;
use super::matrix::Matrix;
use super::product::Number;
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::transpose::transpose;

/// Multiplications below which a product stays on one thread.
const SEQUENTIAL_WORK: usize = 512 * 1024;
/// Least multiplications of a task.
const TASK_WORK: usize = 256 * 1024;
/// Rows of a block of the `gemm` crate, and the most blocks of one product.
const BLOCK: usize = 96;
const BLOCKS_MAX: usize = 16;
/// Rows of a tile of panels, of which a task has whole ones.
const PANEL_ROWS: usize = 6;
/// Elements of the result that one task makes while it reads all panels once.
const BLOCK_ELEMENTS: usize = 64 * 1024;
/// Elements from one column to the next from which rows are turned before they are multiplied, and how
/// many rows at a time.
const FAR: isize = 4096;
const TURNED_ROWS: usize = 48;
/// What it costs to move an element across rows, in elements moved along them.
const TURN_COST: usize = 6;

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

    /// The right matrix in panels, where the product is one that is made of them.
    fn settle_lanes<T: Number>(
        &self,
        context: &Context<'_>,
        rhs: &[u8],
    ) -> Result<Option<Temporary>> {
        if !T::uses_panels(self.size) || self.batch.iter().product::<usize>() != 1 {
            return Ok(None);
        }
        let rhs = lanes_of::<T>(context, rhs, self.dtype)?;
        let (_, right) = self.matrices(0, &[], rhs.get());
        let [_, n, k] = self.size;
        pack(context, right, [k, n]).map(Some)
    }

    fn run_settled_lanes<T: Number>(
        &self,
        context: &Context<'_>,
        packed: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let lhs = lanes_of::<T>(context, inputs[0], self.dtype)?;
        let (left, _) = self.matrices(0, lhs.get(), &[]);
        let [m, n, k] = self.size;
        let threads = if m * n * k <= SEQUENTIAL_WORK { 1 } else { context.threads };
        let per_task = match threads {
            // Panels are read once for all rows whose results fit the cache.
            1 => (BLOCK_ELEMENTS / n.max(1)).max(1).next_multiple_of(PANEL_ROWS),
            _ => rows_per_task([m, n, k], threads),
        };
        let packed: &[T] = bytemuck::cast_slice(packed.get());
        let division = Division { units: m, unit_elements: n, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |rows, out| {
            let size = [rows.len(), n, k];
            let out = bytemuck::cast_slice_mut(out);
            multiply_panels(context, out, size, left.from(rows.start, 0), packed);
        });
        Ok(())
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
        if work <= SEQUENTIAL_WORK || batches >= BLOCKS_MAX {
            // Whole products are the units.
            let per_task = TASK_WORK.div_ceil(work.max(1)).clamp(1, batches.max(1));
            let division = Division { units: batches, unit_elements: m * n, per_task, threads };
            self.epilogue.run(context, inputs, outputs, division, |range, out| {
                let out: &mut [T] = bytemuck::cast_slice_mut(out);
                for (index, batch) in range.enumerate() {
                    let (left, right) = self.matrices(batch, lhs, rhs);
                    let out = &mut out[index * m * n..(index + 1) * m * n];
                    T::multiply(context.level, out, n, self.size, left, right);
                }
            });
            return Ok(());
        }
        if batches == 1 {
            let (left, right) = self.matrices(0, lhs, rhs);
            let product = Product::new(context, self.size, left, right)?;
            if !product.turned || m == 1 {
                let (units, unit_elements) = if product.turned { (n, 1) } else { (m, n) };
                let per_task = product.rows_per_task(context.threads);
                let division = Division { units, unit_elements, per_task, threads };
                self.epilogue.run(context, inputs, outputs, division, |rows, out| {
                    product.rows(context, rows, bytemuck::cast_slice_mut(out));
                });
                return Ok(());
            }
        }
        self.epilogue.run_whole(context, inputs, outputs, batches * m * n, |out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (batch, out) in out.chunks_exact_mut((m * n).max(1)).enumerate() {
                let (left, right) = self.matrices(batch, lhs, rhs);
                Product::new(context, self.size, left, right)?.whole(context, out)?;
            }
            Ok(())
        })
    }
}

/// One large product, split by rows: of the result, or of its transpose if that packs less.
struct Product<'a, T> {
    /// Rows, columns and inner size of what is computed.
    size: [usize; 3],
    lhs: Matrix<'a, T>,
    rhs: Matrix<'a, T>,
    /// The right matrix in panels, if the product is made of them.
    packed: Option<Temporary>,
    /// True if the transpose of the result is computed.
    turned: bool,
}

impl<'a, T: Number> Product<'a, T> {
    /// Decides and packs.
    fn new(
        context: &Context<'_>,
        [m, n, k]: [usize; 3],
        lhs: Matrix<'a, T>,
        rhs: Matrix<'a, T>,
    ) -> Result<Product<'a, T>> {
        let panels = T::uses_panels([m, n, k]);
        let turned = if panels {
            // Packing reads all of one operand; turning it or the result costs several times more.
            let along = |stride: isize| if stride == 1 { 1 } else { TURN_COST };
            let straight = k * n * along(rhs.strides[1]);
            k * m * along(lhs.strides[0]) + m * n * TURN_COST < straight
        } else {
            m < n
        };
        let (size, lhs, rhs) = if turned {
            ([n, m, k], rhs.transposed(), lhs.transposed())
        } else {
            ([m, n, k], lhs, rhs)
        };
        let mut product = Product { size, lhs, rhs, packed: None, turned };
        if panels {
            product.packed = Some(pack(context, rhs, [k, size[1]])?);
        }
        Ok(product)
    }

    /// Rows of a task. The bits of panels do not depend on it; otherwise the shape alone decides.
    fn rows_per_task(&self, threads: usize) -> usize {
        let [rows, columns, inner] = self.size;
        if self.packed.is_none() {
            return rows.div_ceil(BLOCKS_MAX).next_multiple_of(BLOCK);
        }
        rows_per_task([rows, columns, inner], threads)
    }

    /// Computes some rows into `out`, which has them alone.
    fn rows(&self, context: &Context<'_>, rows: Range<usize>, out: &mut [T]) {
        let [_, columns, inner] = self.size;
        let size = [rows.len(), columns, inner];
        let lhs = self.lhs.from(rows.start, 0);
        match &self.packed {
            Some(packed) => {
                multiply_panels(context, out, size, lhs, bytemuck::cast_slice(packed.get()));
            }
            None => T::multiply(context.level, out, columns, size, lhs, self.rhs),
        }
    }

    /// Computes all of the result.
    fn whole(&self, context: &Context<'_>, out: &mut [T]) -> Result<()> {
        let [rows, columns, _] = self.size;
        if !self.turned {
            self.all_rows(context, out);
            return Ok(());
        }
        let mut turned = context.pool.temporary(size_of_val(out))?;
        self.all_rows(context, bytemuck::cast_slice_mut(turned.get_mut()));
        let turned: &[T] = bytemuck::cast_slice(turned.get());
        let threads = context.threads_for(out.len());
        let per_task = parallel::grain(threads, columns, rows, TASK_MIN);
        let bytes = rows * size_of::<T>();
        let out: &mut [u8] = bytemuck::cast_slice_mut(out);
        parallel::split(threads, &mut [out], &[bytes], columns, per_task, |range, parts| {
            let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
            let source = &turned[range.start..];
            let size = [rows, range.len()];
            transpose(context.level, source, columns, size, out, rows);
        });
        Ok(())
    }

    fn all_rows(&self, context: &Context<'_>, out: &mut [T]) {
        let [rows, columns, _] = self.size;
        let bytes = columns * size_of::<T>();
        let per_task = self.rows_per_task(context.threads);
        let out: &mut [u8] = bytemuck::cast_slice_mut(out);
        parallel::split(context.threads, &mut [out], &[bytes], rows, per_task, |range, parts| {
            self.rows(context, range, bytemuck::cast_slice_mut(parts[0]));
        });
    }
}

/// Packs a right matrix of so many rows and columns in panels.
fn pack<T: Number>(
    context: &Context<'_>,
    rhs: Matrix<'_, T>,
    [k, n]: [usize; 2],
) -> Result<Temporary> {
    let width = T::panel_width(context.level);
    let count = n.div_ceil(width);
    let bytes = width * k * size_of::<T>();
    let mut packed = context.pool.temporary(count * bytes)?;
    let threads = context.threads_for(count * width * k);
    let per_task = parallel::grain(threads, count, width * k, TASK_MIN);
    parallel::split(threads, &mut [packed.get_mut()], &[bytes], count, per_task, |range, parts| {
        let columns = range.start * width..(range.end * width).min(n);
        let packed = bytemuck::cast_slice_mut(parts[0]);
        T::pack_columns(context.level, rhs, k, columns, packed);
    });
    Ok(packed)
}

/// Rows of a task of panels, whose bits do not depend on it.
fn rows_per_task([rows, columns, inner]: [usize; 3], threads: usize) -> usize {
    let enough = TASK_WORK.div_ceil((columns * inner).max(1));
    rows.div_ceil(threads * 4).max(enough).next_multiple_of(PANEL_ROWS)
}

fn multiply_panels<T: Number>(
    context: &Context<'_>,
    out: &mut [T],
    size: [usize; 3],
    lhs: Matrix<'_, T>,
    packed: &[T],
) {
    if lhs.strides[0] == 1 && lhs.strides[1] > FAR {
        multiply_turned(context, out, size, lhs, packed);
    } else {
        T::multiply_packed(context.level, out, size, lhs, packed);
    }
}

/// A product whose left matrix lies in columns so far apart that each would be in another page: some
/// rows at a time are turned first.
fn multiply_turned<T: Number>(
    context: &Context<'_>,
    out: &mut [T],
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    packed: &[T],
) {
    lhs.check(rows, inner);
    let mut turned = Scratch::take::<T>(TURNED_ROWS.min(rows) * inner);
    let outs = out[..rows * columns].chunks_mut((TURNED_ROWS * columns).max(1));
    for (index, out) in outs.enumerate() {
        let first = index * TURNED_ROWS;
        let count = TURNED_ROWS.min(rows - first);
        let source = &lhs.values[(lhs.offset + first as isize) as usize..];
        let step = lhs.strides[1] as usize;
        transpose(context.level, source, step, [inner, count], turned.get_mut(), inner);
        let lhs = Matrix { values: turned.get(), offset: 0, strides: [inner as isize, 1] };
        T::multiply_packed(context.level, out, [count, columns, inner], lhs, packed);
    }
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

    fn settle(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        constant: &[bool],
    ) -> Result<Option<Temporary>> {
        match Lane::of(self.dtype) {
            Lane::F32 if constant[1] => self.settle_lanes::<f32>(context, inputs[1]),
            _ => Ok(None),
        }
    }

    fn run_settled(
        &self,
        context: &Context<'_>,
        settled: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        self.run_settled_lanes::<f32>(context, settled, inputs, outputs)
    }
}
