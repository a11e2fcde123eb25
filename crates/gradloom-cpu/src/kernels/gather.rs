//! `Gather`: elements of one operand at positions that another gives. Where the index is the same
//! along the trailing axes (an embedding), whole rows are copied.

use gradloom_plan::{Kernel, View};
use gradloom_tensor::{DType, Result, Shape};

use super::executable::{Context, Executable, InPlace, TASK_MIN};
use super::lanes::with_bits;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;
use crate::tile::{Access, copy_tile};

pub(crate) struct Gather {
    /// Sizes of the data before, along and after the axis.
    data: [usize; 3],
    /// Positions per outer coordinate: the index's size along the axis.
    count: usize,
    /// Neighbouring elements that share an index: a divisor of the data's inner size.
    run: usize,
    index: Access,
    dtype: DType,
    epilogue: Epilogue,
}

/// Sizes of a shape before, along and after an axis.
pub(super) fn around(shape: &Shape, axis: usize) -> [usize; 3] {
    [shape[..axis].iter().product(), shape[axis], shape[axis + 1..].iter().product()]
}

/// The innermost axes after `axis` along which a view is constant: the view without them, and the
/// number of elements that share a value.
pub(super) fn without_constant_axes(view: &View, axis: usize) -> (View, usize) {
    let mut rank = view.shape.rank();
    let mut run = 1;
    while rank > axis + 1 {
        let last = rank - 1;
        let whole = view.mask.is_none_or(|mask| mask[last] == (0, view.shape[last]));
        if !whole || (view.strides[last] != 0 && view.shape[last] != 1) {
            break;
        }
        run *= view.shape[last];
        rank = last;
    }
    let mut short = *view;
    short.shape = Shape::new(&view.shape[..rank]);
    for dropped in rank..gradloom_tensor::RANK_MAX {
        short.strides[dropped] = 0;
        if let Some(mask) = &mut short.mask {
            mask[dropped] = (0, 0);
        }
    }
    (short, run)
}

impl Gather {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        data: &Shape,
        axis: usize,
        index: &View,
    ) -> Gather {
        let (short, run) = without_constant_axes(index, axis);
        let dtype = kernel.inputs[0].dtype;
        Gather {
            data: around(data, axis),
            count: index.shape[axis],
            run,
            index: Access::new(&short),
            dtype,
            epilogue: Epilogue::new(kernel, in_place, dtype),
        }
    }
}

impl Executable for Gather {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [outer, size, inner] = self.data;
        let run = self.run;
        let runs = outer * self.count * inner / run.max(1);
        let threads = context.threads_for(runs * run);
        let per_task = parallel::grain(threads, runs, run, TASK_MIN);
        let division = Division { units: runs, unit_elements: run, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            if size == 0 || run == 0 {
                return out.fill(0);
            }
            let mut indices = Scratch::take::<i32>(range.len());
            let indices = indices.get_mut::<i32>();
            let bytes = bytemuck::cast_slice_mut(indices);
            copy_tile(context.level, 4, inputs[1], &self.index, range.start, bytes);
            // Runs of one position: together they are the data's inner size.
            let per_position = inner / run;
            with_bits!(self.dtype, |T| {
                let data: &[T] = bytemuck::cast_slice(inputs[0]);
                let out: &mut [T] = bytemuck::cast_slice_mut(out);
                for ((unit, out), &index) in range.zip(out.chunks_exact_mut(run)).zip(&*indices) {
                    // Checked by an earlier kernel; the clamp keeps a failed check memory-safe.
                    let index = (index.max(0) as usize).min(size - 1);
                    let outer = unit / per_position / self.count;
                    let first = (outer * size + index) * inner + unit % per_position * run;
                    if run == 1 {
                        out[0] = data[first];
                    } else {
                        out.copy_from_slice(&data[first..first + run]);
                    }
                }
            });
        });
        Ok(())
    }
}
