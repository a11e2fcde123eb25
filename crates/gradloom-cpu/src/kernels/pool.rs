//! Pooling over planes: maxima and sums of windows, and their transposes. Planes run in parallel.
//!
//! Windows of two by two side by side have loops of their own, which vectorise; other windows go
//! through the window's elements outside and along the output's rows inside.

use gradloom_plan::{Kernel, Pool};
use gradloom_tensor::{DType, Result};

use super::executable::{Aliases, Context, Executable, TASK_MIN, lane_dtype};
use super::lanes::{Ordered, lanes_of, with_lane};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::simd::vectorized;

/// Which pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Max,
    MaxScatter,
    MaxGather,
    Sum,
    SumScatter,
}

pub(crate) struct Pooling {
    kind: Kind,
    pool: Pool,
    dtypes: Vec<DType>,
    epilogue: Epilogue,
}

impl Pooling {
    pub(crate) fn new(kernel: &Kernel, aliases: &Aliases, kind: Kind, pool: &Pool) -> Pooling {
        let operands = if matches!(kind, Kind::MaxScatter | Kind::MaxGather) { 2 } else { 1 };
        let dtypes: Vec<DType> =
            kernel.inputs[..operands].iter().map(|input| input.dtype).collect();
        let result = lane_dtype(Lane::of(dtypes[operands - 1]));
        Pooling { kind, pool: *pool, dtypes, epilogue: Epilogue::new(kernel, aliases, result) }
    }

    fn run_lanes<T: Ordered>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let first = lanes_of::<T>(context, inputs[0], self.dtypes[0])?;
        let second = match self.dtypes.get(1) {
            Some(&dtype) => Some(lanes_of::<T>(context, inputs[1], dtype)?),
            None => None,
        };
        let first = first.get();
        let second = second.as_ref().map_or(&[][..], |lanes| lanes.get());
        let pool = &self.pool;
        let (input, output) = (area(pool.input_size), area(pool.output_size));
        let scatters = matches!(self.kind, Kind::MaxScatter | Kind::SumScatter);
        let unit_elements = if scatters { input } else { output };
        let threads = context.threads_for(pool.planes * input.max(output));
        let per_task = parallel::grain(threads, pool.planes, input.max(output), TASK_MIN / 2);
        let division = Division { units: pool.planes, unit_elements, per_task, threads };
        let level = context.level;
        let plane = |index: usize, size: usize| index * size..(index + 1) * size;
        self.epilogue.run(context, inputs, outputs, division, |planes, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (index, out) in planes.zip(out.chunks_exact_mut(unit_elements.max(1))) {
                match self.kind {
                    Kind::Max => max_plane(level, pool, &first[plane(index, input)], out),
                    Kind::Sum => sum_plane(level, pool, &first[plane(index, input)], out),
                    Kind::SumScatter => {
                        sum_scatter_plane(level, pool, &first[plane(index, output)], out);
                    }
                    Kind::MaxScatter => max_scatter_plane(
                        level,
                        pool,
                        &first[plane(index, input)],
                        &second[plane(index, output)],
                        out,
                    ),
                    Kind::MaxGather => max_gather_plane(
                        level,
                        pool,
                        &first[plane(index, input)],
                        &second[plane(index, input)],
                        out,
                    ),
                }
            }
        });
        Ok(())
    }
}

impl Executable for Pooling {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        with_lane!(self.dtypes[0], |T| self.run_lanes::<T>(context, inputs, outputs))
    }
}

fn area(size: [usize; 2]) -> usize {
    size[0] * size[1]
}

/// True for windows of two by two side by side without padding.
fn is_two_by_two(pool: &Pool) -> bool {
    let window = &pool.window;
    window.kernel == [2, 2]
        && window.stride == [2, 2]
        && window.padding == [[0; 2]; 2]
        && window.dilation == [1, 1]
}

/// The outputs whose window element `offset` (in elements from the window's start) lies in the input,
/// along one axis.
fn outputs_inside(pool: &Pool, axis: usize, element: usize) -> std::ops::Range<usize> {
    let window = &pool.window;
    let (stride, before) = (window.stride[axis], window.padding[axis][0]);
    let offset = element * window.dilation[axis];
    // Input coordinate of output `o`: `o * stride + offset - before`.
    let first = before.saturating_sub(offset).div_ceil(stride);
    let end = (pool.input_size[axis] + before).saturating_sub(offset).div_ceil(stride);
    let end = end.min(pool.output_size[axis]);
    first.min(end)..end
}

/// Calls `visit` with each row of outputs and the input row and columns that one window element meets:
/// `(output row, outputs along it, input row, input column of the first)`.
#[inline(always)]
fn for_each_row(pool: &Pool, mut visit: impl FnMut(usize, std::ops::Range<usize>, usize, usize)) {
    let window = &pool.window;
    for output_row in 0..pool.output_size[0] {
        for row in 0..window.kernel[0] {
            if !outputs_inside(pool, 0, row).contains(&output_row) {
                continue;
            }
            let input_row =
                output_row * window.stride[0] + row * window.dilation[0] - window.padding[0][0];
            for column in 0..window.kernel[1] {
                let outputs = outputs_inside(pool, 1, column);
                if !outputs.is_empty() {
                    let input_column = outputs.start * window.stride[1]
                        + column * window.dilation[1]
                        - window.padding[1][0];
                    visit(output_row, outputs, input_row, input_column);
                }
            }
        }
    }
}

vectorized! {
    fn max_plane['a][T: Ordered](pool: &'a Pool, input: &'a [T], out: &'a mut [T]) {
        let (width, out_width) = (pool.input_size[1], pool.output_size[1]);
        if is_two_by_two(pool) {
            for (rows, out) in input.chunks_exact(2 * width).zip(out.chunks_exact_mut(out_width)) {
                let (upper, lower) = rows.split_at(width);
                let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
                for (slot, (upper, lower)) in out.iter_mut().zip(pairs) {
                    let upper = upper[0].or_larger(upper[1]);
                    *slot = upper.or_larger(lower[0].or_larger(lower[1]));
                }
            }
            return;
        }
        out.fill(T::LEAST);
        let stride = pool.window.stride[1];
        for_each_row(pool, |output_row, outputs, row, column| {
            let out = &mut out[output_row * out_width..][outputs];
            let input = &input[row * width + column..(row + 1) * width];
            for (slot, values) in out.iter_mut().zip(input.chunks(stride)) {
                *slot = slot.or_larger(values[0]);
            }
        });
    }

    fn sum_plane['a][T: Ordered](pool: &'a Pool, input: &'a [T], out: &'a mut [T]) {
        let (width, out_width) = (pool.input_size[1], pool.output_size[1]);
        out.fill(T::ZERO);
        let stride = pool.window.stride[1];
        for_each_row(pool, |output_row, outputs, row, column| {
            let out = &mut out[output_row * out_width..][outputs];
            let input = &input[row * width + column..(row + 1) * width];
            for (slot, values) in out.iter_mut().zip(input.chunks(stride)) {
                *slot = slot.plus(values[0]);
            }
        });
    }

    fn sum_scatter_plane['a][T: Ordered](pool: &'a Pool, values: &'a [T], out: &'a mut [T]) {
        let (width, out_width) = (pool.input_size[1], pool.output_size[1]);
        out.fill(T::ZERO);
        let stride = pool.window.stride[1];
        for_each_row(pool, |output_row, outputs, row, column| {
            let values = &values[output_row * out_width..][outputs];
            let out = &mut out[row * width + column..(row + 1) * width];
            for (&value, slots) in values.iter().zip(out.chunks_mut(stride)) {
                slots[0] = slots[0].plus(value);
            }
        });
    }

    fn max_scatter_plane['a][T: Ordered](
        pool: &'a Pool, input: &'a [T], values: &'a [T], out: &'a mut [T]
    ) {
        let (width, out_width) = (pool.input_size[1], pool.output_size[1]);
        if is_two_by_two(pool) {
            let covered = 2 * width * pool.output_size[0];
            out[covered..].fill(T::ZERO);
            let rows = input.chunks_exact(2 * width).zip(values.chunks_exact(out_width));
            for ((input, values), out) in rows.zip(out.chunks_exact_mut(2 * width)) {
                let (upper, lower) = input.split_at(width);
                let (out_upper, out_lower) = out.split_at_mut(width);
                for first in (0..out_width).step_by(COLUMNS) {
                    let count = COLUMNS.min(out_width - first);
                    let columns = 2 * first..2 * (first + count);
                    let best = first_of_four(&upper[columns.clone()], &lower[columns.clone()]);
                    let values = &values[first..first + count];
                    scatter_row(values, &best, 0, &mut out_upper[columns.clone()]);
                    scatter_row(values, &best, 2, &mut out_lower[columns]);
                }
                if width % 2 == 1 {
                    out_upper[width - 1] = T::ZERO;
                    out_lower[width - 1] = T::ZERO;
                }
            }
            return;
        }
        out.fill(T::ZERO);
        for (output, &value) in values.iter().enumerate() {
            if let Some(position) = first_maximum(pool, input, output) {
                out[position] = out[position].plus(value);
            }
        }
    }

    fn max_gather_plane['a][T: Ordered](
        pool: &'a Pool, input: &'a [T], source: &'a [T], out: &'a mut [T]
    ) {
        for (output, slot) in out.iter_mut().enumerate() {
            let position = first_maximum(pool, input, output);
            *slot = position.map_or(T::ZERO, |position| source[position]);
        }
    }
}

/// Windows of two by two that are looked at together.
const COLUMNS: usize = 64;

/// Which of its four elements, in row-major order, is the first maximum of each window.
#[inline(always)]
fn first_of_four<T: Ordered>(upper: &[T], lower: &[T]) -> [u32; COLUMNS] {
    let mut best = [0; COLUMNS];
    for (best, (upper, lower)) in
        best.iter_mut().zip(upper.chunks_exact(2).zip(lower.chunks_exact(2)))
    {
        let (right_above, right_below) = (upper[1].above(upper[0]), lower[1].above(lower[0]));
        let below = upper[0].or_larger(upper[1]);
        let below = lower[0].or_larger(lower[1]).above(below);
        let (above, below_index) = (u32::from(right_above), 2 + u32::from(right_below));
        *best = if below { below_index } else { above };
    }
    best
}

/// Puts each value in one of its two columns if `best` says so (`first` or the one after), zero in the
/// others.
#[inline(always)]
fn scatter_row<T: Ordered>(values: &[T], best: &[u32; COLUMNS], first: u32, out: &mut [T]) {
    for ((&value, &best), out) in values.iter().zip(best).zip(out.chunks_exact_mut(2)) {
        out[0] = if best == first { value } else { T::ZERO };
        out[1] = if best == first + 1 { value } else { T::ZERO };
    }
}

/// Where the first maximum of an output's window is, `None` if the window is all padding.
#[inline(always)]
fn first_maximum<T: Ordered>(pool: &Pool, input: &[T], output: usize) -> Option<usize> {
    let window = &pool.window;
    let (height, width) = (pool.input_size[0], pool.input_size[1]);
    let (row, column) = (output / pool.output_size[1], output % pool.output_size[1]);
    let mut best: Option<usize> = None;
    for y in 0..window.kernel[0] {
        let y =
            (row * window.stride[0] + y * window.dilation[0]).wrapping_sub(window.padding[0][0]);
        if y >= height {
            continue;
        }
        for x in 0..window.kernel[1] {
            let x = (column * window.stride[1] + x * window.dilation[1])
                .wrapping_sub(window.padding[1][0]);
            if x >= width {
                continue;
            }
            let position = y * width + x;
            if best.is_none_or(|best| input[position].above(input[best])) {
                best = Some(position);
            }
        }
    }
    best
}
