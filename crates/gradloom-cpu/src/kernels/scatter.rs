//! `ScatterAdd`: sums of updates at positions that an index gives, in the order of the updates.
//!
//! Each task owns some rows of the result and looks at all indices of its outer coordinates, so no two
//! tasks add to one element and the order never changes. A place with many updates adds them in blocks,
//! which are combined pairwise.

use std::collections::HashMap;

use gradloom_plan::{Kernel, View};
use gradloom_tensor::{DType, Result};

use super::cascade::Cascade;
use super::executable::{Context, Executable, InPlace, TASK_MIN, lane_dtype};
use super::gather::{around, without_constant_axes};
use super::lanes::{Ordered, lanes_of, with_lane};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;
use crate::tile::{Access, Pattern, copy_tile};

pub(crate) struct ScatterAdd {
    /// Sizes of the result before, along and after the axis.
    result: [usize; 3],
    /// Updates per outer coordinate and inner run.
    count: usize,
    /// Neighbouring elements that share an index.
    run: usize,
    index: Access,
    index_elements: usize,
    updates: Access,
    dtype: DType,
    epilogue: Epilogue,
}

impl ScatterAdd {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        axis: usize,
        index: &View,
        updates: &View,
    ) -> ScatterAdd {
        let (short, run) = without_constant_axes(index, axis);
        let dtype = kernel.inputs[1].dtype;
        ScatterAdd {
            result: around(&kernel.space.shape, axis),
            count: updates.shape[axis],
            run,
            index: Access::new(&short),
            index_elements: short.shape.count(),
            updates: Access::new(updates),
            dtype,
            epilogue: Epilogue::new(kernel, in_place, lane_dtype(Lane::of(dtype))),
        }
    }

    fn run_lanes<T: Ordered>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [outer, size, inner] = self.result;
        let elements = outer * self.count * inner;
        let mut indices = context.pool.temporary(self.index_elements * size_of::<i32>())?;
        copy_tile(context.level, 4, inputs[0], &self.index, 0, indices.get_mut());
        let indices: &[i32] = bytemuck::cast_slice(indices.get());
        let stored = lanes_of::<T>(context, inputs[1], self.dtype)?;
        let contiguous = self.updates.pattern == Pattern::Contiguous;
        let mut copy = None;
        if !contiguous {
            let mut gathered = context.pool.temporary(elements * size_of::<T>())?;
            let lanes = bytemuck::cast_slice(stored.get());
            copy_tile(context.level, size_of::<T>(), lanes, &self.updates, 0, gathered.get_mut());
            copy = Some(gathered);
        }
        let updates: &[T] = match &copy {
            Some(copy) => bytemuck::cast_slice(copy.get()),
            None => &stored.get()[self.updates.offset as usize..],
        };
        let rows = outer * size;
        let threads = context.threads_for(elements.max(rows * inner));
        // Each task reads all indices of its rows' outer coordinate, so there are few tasks.
        let per_task = if threads > 1 { rows.div_ceil(threads * 2) } else { rows };
        let per_task = per_task.max(parallel::grain(threads, rows, inner, TASK_MIN / 4).min(rows));
        let division = Division { units: rows, unit_elements: inner, per_task, threads };
        let layout = Layout { size, inner, count: self.count, run: self.run };
        self.epilogue.run(context, inputs, outputs, division, |rows, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            add_updates(context.level, layout, rows, indices, updates, out);
        });
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Layout {
    size: usize,
    inner: usize,
    count: usize,
    run: usize,
}

/// Updates of one place that are added one after another.
const BLOCK: usize = 128;

/// Blocks of updates of the places that have many, beside the one that stands in the result.
struct Blocks {
    /// Updates of each place in its current block; none where no place can have more than a block.
    counts: Vec<u8>,
    full: HashMap<usize, Cascade<Scratch>>,
}

impl Blocks {
    fn new(places: usize, updates: usize) -> Blocks {
        let counts = if updates > BLOCK { vec![0; places] } else { Vec::new() };
        Blocks { counts, full: HashMap::default() }
    }

    /// Counts an update that is about to be added to a place; a full block moves aside.
    #[inline(always)]
    fn count<T: Ordered>(&mut self, place: usize, sums: &mut [T]) {
        let Some(count) = self.counts.get_mut(place) else { return };
        if usize::from(*count) == BLOCK {
            self.full.entry(place).or_default().push_row(sums, add_rows);
            sums.fill(T::ZERO);
            *count = 0;
        }
        *count += 1;
    }

    /// Combines the blocks of each place in the result, in which places are `run` elements each.
    fn finish<T: Ordered>(self, run: usize, out: &mut [T]) {
        for (place, mut blocks) in self.full {
            let sums = &mut out[place * run..(place + 1) * run];
            blocks.push_row(sums, add_rows);
            blocks.write_total(sums, add_rows);
        }
    }
}

/// Adds a row to another.
fn add_rows<T: Ordered>(row: &[T], sums: &mut [T]) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum = value.plus(*sum);
    }
}

vectorized! {
    fn add_updates['a][T: Ordered] wide(false) (
        layout: Layout,
        rows: std::ops::Range<usize>,
        indices: &'a [i32],
        updates: &'a [T],
        out: &'a mut [T],
    ) {
        let Layout { size, inner, count, run } = layout;
        out.fill(T::ZERO);
        if size == 0 || inner == 0 || rows.is_empty() {
            return;
        }
        let runs = inner / run;
        let mut blocks = Blocks::new(rows.len() * runs, count);
        for outer in rows.start / size..=(rows.end - 1) / size {
            // The task's rows of this outer coordinate.
            let low = rows.start.max(outer * size) - outer * size;
            let high = rows.end.min((outer + 1) * size) - outer * size;
            for position in 0..count {
                let first = outer * count + position;
                for part in 0..runs {
                    let index = indices[first * runs + part];
                    if index < 0 || (index as usize) < low || index as usize >= high {
                        continue;
                    }
                    let row = outer * size + index as usize - rows.start;
                    let out = &mut out[row * inner + part * run..][..run];
                    let updates = &updates[first * inner + part * run..][..run];
                    blocks.count(row * runs + part, out);
                    for (slot, &update) in out.iter_mut().zip(updates) {
                        *slot = slot.plus(update);
                    }
                }
            }
        }
        blocks.finish(run, out);
    }
}

impl Executable for ScatterAdd {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        with_lane!(self.dtype, |T| self.run_lanes::<T>(context, inputs, outputs))
    }
}
