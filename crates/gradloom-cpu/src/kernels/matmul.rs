//! `Matmul`: batched products of matrices that lie anywhere strides can reach, with the epilogue run
//! on each block of rows while it is in the cache.
//!
//! The sum over the inner axis is never split among threads, and its order is the same however a product is
//! made. Products of f16 and
//! bf16 are summed in f32; their operands become f32 block by block, where they are packed or read, and are
//! cast there too where other floats are stored.

use std::ops::Range;

use gradloom_plan::{Factors, Kernel, View};
use gradloom_tensor::{DType, Result};

use super::executable::{Context, Executable, InPlace, TASK_MIN, lane_dtype};
use super::lanes::with_lane;
use super::matmul_panels::{TASK_ROWS, TASK_WORK, pack, rows_per_task};
use super::matrix::Matrix;
use super::product::Number;
use super::reading::Reading;
use super::stored::{StoredMatrix, multiply, multiply_rows};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::kept::Packing;
use crate::memory::Temporary;
use crate::parallel;
use crate::simd::Level;
use crate::transpose::transpose;

/// Multiplications below which a product stays on one thread.
const SEQUENTIAL_WORK: usize = 512 * 1024;
/// Products of a batch from which on each is one unit of work.
const BATCHES_MIN: usize = 16;
/// Rows of a thin product that a task has at least: they are read side by side.
const THIN_ROWS: usize = 64;
/// Elements of the result that one task makes while it reads all panels once.
const BLOCK_ELEMENTS: usize = 64 * 1024;
/// What it costs to transpose an element of a result, which needs memory of its own, in elements packed.
const ACROSS_COST: usize = 8;

/// Rows of a product up to which packing the right matrix takes a share of the time that is worth memory of
/// the same size again.
const KEPT_ROWS: usize = 1024;

pub(crate) struct Matmul {
    lhs: View,
    rhs: View,
    readings: [Reading; 2],
    batch: Vec<usize>,
    /// Rows, columns and inner size of one product.
    size: [usize; 3],
    dtype: DType,
    epilogue: Epilogue,
}

impl Matmul {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        [lhs, rhs]: [&View; 2],
        factors: Factors,
    ) -> Matmul {
        let rank = lhs.shape.rank();
        let dtype = factors.dtype;
        let mut matmul = Matmul {
            lhs: *lhs,
            rhs: *rhs,
            readings: Reading::of_factors(kernel, &factors),
            batch: lhs.shape[..rank - 2].to_vec(),
            size: [lhs.shape[rank - 2], rhs.shape[rank - 1], lhs.shape[rank - 1]],
            dtype,
            epilogue: Epilogue::new(kernel, in_place, lane_dtype(Lane::of(dtype))),
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
    fn matrices<'a>(&self, batch: usize, inputs: &[&'a [u8]]) -> [StoredMatrix<'a>; 2] {
        let axis = self.lhs.shape.rank() - 2;
        let at = |view: &View, bytes: &'a [u8], reading: Reading| {
            let mut rest = batch;
            let mut offset = view.offset;
            for (axis, &size) in self.batch.iter().enumerate().rev() {
                offset += (rest % size) as isize * view.strides[axis];
                rest /= size;
            }
            let strides = [view.strides[axis], view.strides[axis + 1]];
            StoredMatrix { bytes, reading, offset, strides }
        };
        let [left, right] = self.readings;
        [at(&self.lhs, inputs[0], left), at(&self.rhs, inputs[1], right)]
    }

    fn run_panels(
        &self,
        context: &Context<'_>,
        packed: &Temporary,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [left, _] = self.matrices(0, inputs);
        let [m, n, k] = self.size;
        let threads = if m * n * k <= SEQUENTIAL_WORK { 1 } else { context.threads };
        let per_task = match threads {
            // Panels are read once for all rows whose results fit the cache.
            1 => (BLOCK_ELEMENTS / n.max(1)).max(1).next_multiple_of(TASK_ROWS),
            _ => {
                let height = f32::tile_height(context.level);
                rows_per_task([m, n, k], threads, height, !self.epilogue.is_identity())
            }
        };
        let packed: &[f32] = bytemuck::cast_slice(packed.get());
        let division = Division { units: m, unit_elements: n, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |rows, out| {
            let size = [rows.len(), n, k];
            let (out, left) = (bytemuck::cast_slice_mut(out), left.from(rows.start, 0));
            multiply_rows(context.level, out, size, left, |out, size, left| {
                f32::multiply_packed(context.level, out, size, left, packed);
            });
        });
        Ok(())
    }

    fn run_lanes<T: Number>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [m, n, k] = self.size;
        let batches: usize = self.batch.iter().product();
        let work = m * n * k.max(1);
        let threads = if batches * work <= SEQUENTIAL_WORK { 1 } else { context.threads };
        if work <= SEQUENTIAL_WORK || batches >= BATCHES_MIN {
            // Whole products are the units.
            let per_task = TASK_WORK.div_ceil(work.max(1)).clamp(1, batches.max(1));
            let division = Division { units: batches, unit_elements: m * n, per_task, threads };
            self.epilogue.run(context, inputs, outputs, division, |range, out| {
                let out: &mut [T] = bytemuck::cast_slice_mut(out);
                for (index, batch) in range.enumerate() {
                    let [left, right] = self.matrices(batch, inputs);
                    let out = &mut out[index * m * n..(index + 1) * m * n];
                    multiply(context.level, out, self.size, left, right);
                }
            });
            return Ok(());
        }
        if batches == 1 {
            let product = Product::<T>::new(context, self.size, self.matrices(0, inputs))?;
            if !product.transposed || m == 1 {
                let (units, unit_elements) = if product.transposed { (n, 1) } else { (m, n) };
                let per_task = product.rows_per_task(context, !self.epilogue.is_identity());
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
                let product = Product::new(context, self.size, self.matrices(batch, inputs))?;
                product.whole(context, out)?;
            }
            Ok(())
        })
    }
}

/// One large product, split by rows: of the result, or of its transpose if that packs less.
struct Product<'a, T> {
    /// Rows, columns and inner size of what is computed.
    size: [usize; 3],
    lhs: StoredMatrix<'a>,
    rhs: Right<'a, T>,
    /// True if the transpose of the result is computed.
    transposed: bool,
}

/// The right matrix of a product.
enum Right<'a, T> {
    /// In panels.
    Panels(Temporary),
    /// As lanes, row by row, that were not stored as such: it is narrow, or small.
    Lanes(Temporary),
    /// As it is stored.
    Plain(Matrix<'a, T>),
}

/// True if a product of panels is the transpose of one that packs the left matrix. What is packed goes through
/// memory once more than what is not, which is copied block by block.
fn packs_left([m, n, k]: [usize; 3]) -> bool {
    k * m + m * n * ACROSS_COST < k * n
}

impl<'a, T: Number> Product<'a, T> {
    /// Decides and packs.
    fn new(
        context: &Context<'_>,
        [m, n, k]: [usize; 3],
        [lhs, rhs]: [StoredMatrix<'a>; 2],
    ) -> Result<Product<'a, T>> {
        let panels = T::uses_panels([m, n, k]);
        let transposed = if panels { packs_left([m, n, k]) } else { m < n };
        let (size, lhs, rhs) = if transposed {
            ([n, m, k], rhs.transposed(), lhs.transposed())
        } else {
            ([m, n, k], lhs, rhs)
        };
        let columns = size[1];
        let rhs = match rhs.plain() {
            _ if panels => Right::Panels(pack::<T>(context, rhs, [k, columns])?),
            Some(rhs) => Right::Plain(rhs),
            None => {
                let mut lanes = context.pool.temporary(k * columns * size_of::<T>())?;
                rhs.load::<T>(
                    context.level,
                    [k, columns],
                    bytemuck::cast_slice_mut(lanes.get_mut()),
                );
                Right::Lanes(lanes)
            }
        };
        Ok(Product { size, lhs, rhs, transposed })
    }

    /// Rows of a task.
    fn rows_per_task(&self, context: &Context<'_>, epilogue: bool) -> usize {
        let threads = context.threads;
        match self.rhs {
            Right::Panels(_) => {
                rows_per_task(self.size, threads, T::tile_height(context.level), epilogue)
            }
            _ => {
                let [rows, columns, inner] = self.size;
                let enough = TASK_WORK.div_ceil((columns * inner).max(1));
                rows.div_ceil(threads * 2).max(enough).next_multiple_of(THIN_ROWS)
            }
        }
    }

    /// Computes some rows into `out`, which has them alone.
    fn rows(&self, context: &Context<'_>, rows: Range<usize>, out: &mut [T]) {
        let ([_, columns, inner], level) = (self.size, context.level);
        let size = [rows.len(), columns, inner];
        let lhs = self.lhs.from(rows.start, 0);
        multiply_rows(level, out, size, lhs, |out, size, lhs| match &self.rhs {
            Right::Panels(packed) => {
                T::multiply_packed(level, out, size, lhs, bytemuck::cast_slice(packed.get()));
            }
            Right::Lanes(lanes) => {
                let values = bytemuck::cast_slice(lanes.get());
                let rhs = Matrix { values, offset: 0, strides: [columns as isize, 1] };
                T::multiply(level, out, columns, size, lhs, rhs);
            }
            Right::Plain(rhs) => T::multiply(level, out, columns, size, lhs, *rhs),
        });
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
        let per_task = self.rows_per_task(context, false);
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
        with_lane!(self.dtype, |T| self.run_lanes::<T>(context, inputs, outputs))
    }

    fn packing(&self, level: Level) -> Option<(usize, Packing)> {
        let [m, n, k] = self.size;
        let own = self.batch.iter().all(|&size| size == 1) && m <= KEPT_ROWS;
        let panels = Lane::of(self.dtype) == Lane::F32 && f32::uses_panels(self.size);
        if !own || !panels || packs_left(self.size) {
            return None;
        }
        let Reading { stored, dtype } = self.readings[1];
        let axis = self.rhs.shape.rank() - 2;
        let [row, column] = [self.rhs.strides[axis], self.rhs.strides[axis + 1]];
        let sizes = [k as isize, n as isize, self.rhs.offset, row, column];
        let packing = Packing { by: "matmul", level: level.name(), dtypes: [stored, dtype], sizes };
        Some((1, packing))
    }

    fn settle(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        constant: &[bool],
    ) -> Result<Option<Temporary>> {
        // The right matrix in panels, where the product is one that is made of them.
        let panels = Lane::of(self.dtype) == Lane::F32 && f32::uses_panels(self.size);
        if !constant[1] || !panels || self.batch.iter().product::<usize>() != 1 {
            return Ok(None);
        }
        let [_, right] = self.matrices(0, inputs);
        let [_, n, k] = self.size;
        pack::<f32>(context, right, [k, n]).map(Some)
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
