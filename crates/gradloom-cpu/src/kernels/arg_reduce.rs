//! `ArgReduce`: the index of the first largest or smallest element along an axis; NaN wins.

use gradloom_plan::Kernel;
use gradloom_tensor::op::ArgReduction;
use gradloom_tensor::{DType, Result, Shape};

use super::executable::{Context, Executable, InPlace, TASK_MIN};
use super::gather::around;
use super::lanes::{Ordered, lanes_of, with_lane};
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;

pub(crate) struct ArgReduce {
    sizes: [usize; 3],
    reduction: ArgReduction,
    dtype: DType,
    epilogue: Epilogue,
}

impl ArgReduce {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        reduction: ArgReduction,
        input: &Shape,
        axis: usize,
    ) -> ArgReduce {
        ArgReduce {
            sizes: around(input, axis),
            reduction,
            dtype: kernel.inputs[0].dtype,
            epilogue: Epilogue::new(kernel, in_place, DType::I32),
        }
    }

    fn run_lanes<T: Ordered>(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let input = lanes_of::<T>(context, inputs[0], self.dtype)?;
        let input = input.get();
        let [outer, size, inner] = self.sizes;
        let unit = size * inner;
        let threads = context.threads_for(outer * unit);
        let per_task = parallel::grain(threads, outer, unit, TASK_MIN);
        let division = Division { units: outer, unit_elements: inner, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |units, out| {
            let out: &mut [i32] = bytemuck::cast_slice_mut(out);
            let mut best = Scratch::take::<T>(inner);
            for (index, out) in units.zip(out.chunks_exact_mut(inner.max(1))) {
                let input = &input[index * unit..(index + 1) * unit];
                match self.reduction {
                    ArgReduction::Max => largest(context.level, input, best.get_mut(), out),
                    ArgReduction::Min => smallest(context.level, input, best.get_mut(), out),
                }
            }
        });
        Ok(())
    }
}

/// True if `value` is smaller, or the first NaN.
#[inline(always)]
fn below<T: Ordered>(value: T, best: T) -> bool {
    (best.above(value) & !best.is_nan()) | (value.is_nan() & !best.is_nan())
}

/// The first best of a row: the best of each part, then the first element that is as good.
#[inline(always)]
fn search_row<T: Ordered>(values: &[T], better: impl Fn(T, T) -> bool) -> usize {
    /// Independent searches, which keep vectors busy.
    const LANES: usize = 64;
    let mut best = [values[0]; LANES];
    for values in values.chunks(LANES) {
        for (best, &value) in best.iter_mut().zip(values) {
            *best = if better(value, *best) { value } else { *best };
        }
    }
    let mut first = best[0];
    for value in best {
        first = if better(value, first) { value } else { first };
    }
    // Nothing is better than the best, which is better than all but its equals.
    let found = values.iter().position(|&value| !better(first, value));
    found.unwrap_or(0)
}

macro_rules! search {
    ($input:ident, $best:ident, $out:ident, $better:expr) => {{
        let inner = $out.len();
        if inner == 1 {
            $out[0] = search_row($input, $better) as i32;
            return;
        }
        $out.fill(0);
        $best.copy_from_slice(&$input[..inner]);
        for (index, row) in $input.chunks_exact(inner).enumerate().skip(1) {
            for ((slot, best), &value) in $out.iter_mut().zip($best.iter_mut()).zip(row) {
                let better = $better(value, *best);
                *best = if better { value } else { *best };
                *slot = if better { index as i32 } else { *slot };
            }
        }
    }};
}

vectorized! {
    fn largest['a][T: Ordered] wide(T::WIDE) (input: &'a [T], best: &'a mut [T], out: &'a mut [i32]) {
        search!(input, best, out, |value: T, best: T| value.above(best));
    }

    fn smallest['a][T: Ordered] wide(T::WIDE) (input: &'a [T], best: &'a mut [T], out: &'a mut [i32]) {
        search!(input, best, out, |value: T, best: T| below(value, best));
    }
}

impl Executable for ArgReduce {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        with_lane!(self.dtype, |T| self.run_lanes::<T>(context, inputs, outputs))
    }
}
