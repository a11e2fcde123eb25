//! `Matmul`: batched products of matrices that lie anywhere strides can reach, with the epilogue run
//! on each block of rows while it is in the cache.
//!
//! The sum over the inner axis is never split, and blocks depend on the shapes alone. Products of f16 and
//! bf16 are summed in f32; their operands become f32 block by block, where they are packed or read.

use std::marker::PhantomData;
use std::ops::Range;

use bytemuck::Pod;
use gradloom_plan::{Kernel, View};
use gradloom_tensor::{DType, Result};

use super::executable::{Context, Executable, InPlace, TASK_MIN, lane_dtype};
use super::matmul_panels::{TASK_ROWS, TASK_WORK, multiply_panels, pack, rows_per_task};
use super::matrix::Matrix;
use super::product::Number;
use super::stored;
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::transpose::transpose;

/// Multiplications below which a product stays on one thread.
const SEQUENTIAL_WORK: usize = 512 * 1024;
/// Rows of a block of the `gemm` crate, and the most blocks of one product.
const BLOCK: usize = 96;
const BLOCKS_MAX: usize = 16;
/// Elements of the result that one task makes while it reads all panels once.
const BLOCK_ELEMENTS: usize = 64 * 1024;
/// What it costs to move an element across rows, in elements moved along them.
const ACROSS_COST: usize = 6;
/// Rows of a left matrix of other elements that become lanes at a time.
const LANE_ROWS: usize = 48;

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
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, lhs: &View, rhs: &View) -> Matmul {
        let rank = lhs.shape.rank();
        let mut matmul = Matmul {
            lhs: *lhs,
            rhs: *rhs,
            batch: lhs.shape[..rank - 2].to_vec(),
            size: [lhs.shape[rank - 2], rhs.shape[rank - 1], lhs.shape[rank - 1]],
            dtype: kernel.inputs[0].dtype,
            epilogue: Epilogue::new(kernel, in_place, lane_dtype(Lane::of(kernel.inputs[0].dtype))),
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
    fn settle_panels(&self, context: &Context<'_>, rhs: &[u8]) -> Result<Option<Temporary>> {
        if !f32::uses_panels(self.size) || self.batch.iter().product::<usize>() != 1 {
            return Ok(None);
        }
        let (_, right) = self.matrices::<f32>(0, &[], bytemuck::cast_slice(rhs));
        let [_, n, k] = self.size;
        pack::<f32, f32>(context, self.dtype, right, [k, n]).map(Some)
    }

    fn run_panels(
        &self,
        context: &Context<'_>,
        packed: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let (left, _) = self.matrices::<f32>(0, bytemuck::cast_slice(inputs[0]), &[]);
        let [m, n, k] = self.size;
        let threads = if m * n * k <= SEQUENTIAL_WORK { 1 } else { context.threads };
        let per_task = match threads {
            // Panels are read once for all rows whose results fit the cache.
            1 => (BLOCK_ELEMENTS / n.max(1)).max(1).next_multiple_of(TASK_ROWS),
            _ => rows_per_task([m, n, k], threads, !self.epilogue.is_identity()),
        };
        let packed: &[f32] = bytemuck::cast_slice(packed.get());
        let division = Division { units: m, unit_elements: n, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |rows, out| {
            let size = [rows.len(), n, k];
            let out = bytemuck::cast_slice_mut(out);
            multiply_panels(context, out, size, left.from(rows.start, 0), packed);
        });
        Ok(())
    }

    /// `S` is as wide as stored elements, `T` what they are computed in.
    fn run_lanes<S: Pod + Sync, T: Number>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let lhs: &[S] = bytemuck::cast_slice(inputs[0]);
        let rhs: &[S] = bytemuck::cast_slice(inputs[1]);
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
                    stored::multiply(context.level, self.dtype, out, self.size, left, right);
                }
            });
            return Ok(());
        }
        if batches == 1 {
            let (left, right) = self.matrices(0, lhs, rhs);
            let product = Product::<S, T>::new(context, self.dtype, self.size, left, right)?;
            if !product.transposed || m == 1 {
                let (units, unit_elements) = if product.transposed { (n, 1) } else { (m, n) };
                let per_task = product.rows_per_task(context.threads, !self.epilogue.is_identity());
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
                let product = Product::new(context, self.dtype, self.size, left, right)?;
                product.whole(context, out)?;
            }
            Ok(())
        })
    }
}

/// One large product, split by rows: of the result, or of its transpose if that packs less.
struct Product<'a, S, T> {
    /// Rows, columns and inner size of what is computed.
    size: [usize; 3],
    dtype: DType,
    lhs: Matrix<'a, S>,
    rhs: Matrix<'a, S>,
    /// The right matrix in panels, if the product is made of them.
    packed: Option<Temporary>,
    /// The right matrix as lanes, if it is neither packed nor stored as such: it is narrow then, or small.
    narrow: Option<Temporary>,
    /// True if the transpose of the result is computed.
    transposed: bool,
    lanes: PhantomData<T>,
}

impl<'a, S: Pod + Sync, T: Number> Product<'a, S, T> {
    /// Decides and packs.
    fn new(
        context: &Context<'_>,
        dtype: DType,
        [m, n, k]: [usize; 3],
        lhs: Matrix<'a, S>,
        rhs: Matrix<'a, S>,
    ) -> Result<Product<'a, S, T>> {
        let panels = T::uses_panels([m, n, k]);
        let transposed = if panels {
            // Packing reads all of one operand; transposing it or the result costs several times more.
            let along = |stride: isize| if stride == 1 { 1 } else { ACROSS_COST };
            let straight = k * n * along(rhs.strides[1]);
            k * m * along(lhs.strides[0]) + m * n * ACROSS_COST < straight
        } else {
            m < n
        };
        let (size, lhs, rhs) = if transposed {
            ([n, m, k], rhs.transposed(), lhs.transposed())
        } else {
            ([m, n, k], lhs, rhs)
        };
        let (packed, narrow, lanes) = (None, None, PhantomData);
        let mut product = Product { size, dtype, lhs, rhs, packed, narrow, transposed, lanes };
        if panels {
            product.packed = Some(pack::<S, T>(context, dtype, rhs, [k, size[1]])?);
        } else if !Lane::stores(dtype) {
            let mut narrow = context.pool.temporary(k * size[1] * size_of::<T>())?;
            let lanes: &mut [T] = bytemuck::cast_slice_mut(narrow.get_mut());
            stored::load_block(context.level, dtype, rhs, [k, size[1]], lanes);
            product.narrow = Some(narrow);
        }
        Ok(product)
    }

    /// Rows of a task. The bits of panels do not depend on it; otherwise the shape alone decides.
    fn rows_per_task(&self, threads: usize, epilogue: bool) -> usize {
        let [rows, columns, inner] = self.size;
        if self.packed.is_none() {
            return rows.div_ceil(BLOCKS_MAX).next_multiple_of(BLOCK);
        }
        rows_per_task([rows, columns, inner], threads, epilogue)
    }

    /// Computes some rows into `out`, which has them alone.
    fn rows(&self, context: &Context<'_>, rows: Range<usize>, out: &mut [T]) {
        let [_, columns, inner] = self.size;
        let size = [rows.len(), columns, inner];
        let lhs = self.lhs.from(rows.start, 0);
        let (Some(lhs), rhs) = (stored::plain(self.dtype, lhs), self.rhs) else {
            return self.stored_rows(context, out, size, lhs);
        };
        match &self.packed {
            Some(packed) => {
                multiply_panels(context, out, size, lhs, bytemuck::cast_slice(packed.get()));
            }
            None => {
                if let Some(rhs) = stored::plain(self.dtype, rhs) {
                    T::multiply(context.level, out, columns, size, lhs, rhs);
                }
            }
        }
    }

    /// As [`Product::rows`] where the left matrix is not stored as lanes: some rows at a time become such.
    fn stored_rows(
        &self,
        context: &Context<'_>,
        out: &mut [T],
        [rows, columns, inner]: [usize; 3],
        lhs: Matrix<'_, S>,
    ) {
        let level = context.level;
        let mut lanes = Scratch::take::<T>(LANE_ROWS.min(rows) * inner);
        let outs = out[..rows * columns].chunks_mut((LANE_ROWS * columns).max(1));
        for (index, out) in outs.enumerate() {
            let first = index * LANE_ROWS;
            let count = LANE_ROWS.min(rows - first);
            stored::load_block(
                level,
                self.dtype,
                lhs.from(first, 0),
                [count, inner],
                lanes.get_mut::<T>(),
            );
            let lhs = Matrix { values: lanes.get(), offset: 0, strides: [inner as isize, 1] };
            let size = [count, columns, inner];
            match (&self.packed, &self.narrow) {
                (Some(packed), _) => {
                    T::multiply_packed(level, out, size, lhs, bytemuck::cast_slice(packed.get()));
                }
                (None, narrow) => {
                    let values = narrow.as_ref().map_or(&[][..], |narrow| narrow.get());
                    let values = bytemuck::cast_slice(values);
                    let rhs = Matrix { values, offset: 0, strides: [columns as isize, 1] };
                    T::multiply(level, out, columns, size, lhs, rhs);
                }
            }
        }
    }

    /// Computes all of the result.
    fn whole(&self, context: &Context<'_>, out: &mut [T]) -> Result<()> {
        let [rows, columns, _] = self.size;
        if !self.transposed {
            self.all_rows(context, out);
            return Ok(());
        }
        let mut transposed = context.pool.temporary(size_of_val(out))?;
        self.all_rows(context, bytemuck::cast_slice_mut(transposed.get_mut()));
        let transposed: &[T] = bytemuck::cast_slice(transposed.get());
        let threads = context.threads_for(out.len());
        let per_task = parallel::grain(threads, columns, rows, TASK_MIN);
        let bytes = rows * size_of::<T>();
        let out: &mut [u8] = bytemuck::cast_slice_mut(out);
        parallel::split(threads, &mut [out], &[bytes], columns, per_task, |range, parts| {
            let out: &mut [T] = bytemuck::cast_slice_mut(parts[0]);
            let source = &transposed[range.start..];
            let size = [rows, range.len()];
            transpose(context.level, source, columns, size, out, rows);
        });
        Ok(())
    }

    fn all_rows(&self, context: &Context<'_>, out: &mut [T]) {
        let [rows, columns, _] = self.size;
        let bytes = columns * size_of::<T>();
        let per_task = self.rows_per_task(context.threads, false);
        let out: &mut [u8] = bytemuck::cast_slice_mut(out);
        parallel::split(context.threads, &mut [out], &[bytes], rows, per_task, |range, parts| {
            self.rows(context, range, bytemuck::cast_slice_mut(parts[0]));
        });
    }
}

impl Executable for Matmul {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        match self.dtype {
            DType::F32 => self.run_lanes::<f32, f32>(context, inputs, outputs),
            DType::F64 => self.run_lanes::<f64, f64>(context, inputs, outputs),
            DType::F16 | DType::BF16 => self.run_lanes::<u16, f32>(context, inputs, outputs),
            DType::I32 => self.run_lanes::<i32, i32>(context, inputs, outputs),
            DType::I64 => self.run_lanes::<i64, i64>(context, inputs, outputs),
            DType::I8 => self.run_lanes::<i8, i32>(context, inputs, outputs),
            DType::U32 => self.run_lanes::<u32, u32>(context, inputs, outputs),
            DType::U8 | DType::Bool => self.run_lanes::<u8, u32>(context, inputs, outputs),
        }
    }

    fn settle(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        constant: &[bool],
    ) -> Result<Option<Temporary>> {
        match self.dtype {
            DType::F32 if constant[1] => self.settle_panels(context, inputs[1]),
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
        self.run_panels(context, settled, inputs, outputs)
    }
}
