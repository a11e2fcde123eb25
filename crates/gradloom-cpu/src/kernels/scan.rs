//! `Scan`: running sums along an axis, in parallel over what is before the axis.

use gradloom_plan::Kernel;
use gradloom_tensor::{DType, Result};

use super::executable::{Context, Executable, InPlace, TASK_MIN, lane_dtype};
use super::gather::around;
use super::lanes::{Ordered, lanes_of, with_lane};
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;

pub(crate) struct Scan {
    sizes: [usize; 3],
    reverse: bool,
    dtype: DType,
    epilogue: Epilogue,
}

impl Scan {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, axis: usize, reverse: bool) -> Scan {
        let dtype = kernel.inputs[0].dtype;
        Scan {
            sizes: around(&kernel.space.shape, axis),
            reverse,
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
        let input = lanes_of::<T>(context, inputs[0], self.dtype)?;
        let input = input.get();
        let [outer, size, inner] = self.sizes;
        let unit_elements = size * inner;
        let threads = context.threads_for(outer * unit_elements);
        let per_task = parallel::grain(threads, outer, unit_elements, TASK_MIN);
        let division = Division { units: outer, unit_elements, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |units, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            let input = &input[units.start * unit_elements..units.end * unit_elements];
            let slices = input.chunks_exact(unit_elements.max(1));
            for (input, out) in slices.zip(out.chunks_exact_mut(unit_elements.max(1))) {
                running_sums(context.level, self.reverse, inner, input, out);
            }
        });
        Ok(())
    }
}

/// Terms after which what rounding has cut off goes into the sum.
const TERMS_KEPT: usize = 64;

vectorized! {
    /// Running sums keep what rounding cuts off, so each is as good as if it had been added up alone.
    fn running_sums['a][T: Ordered] wide(T::WIDE) (
        reverse: bool, inner: usize, input: &'a [T], out: &'a mut [T]
    ) {
        let rows = out.len() / inner.max(1);
        if inner == 1 {
            let (mut sum, mut lost) = (T::ZERO, T::ZERO);
            for step in 0..rows {
                let at = if reverse { rows - 1 - step } else { step };
                sum = sum.plus_exactly(input[at], &mut lost);
                out[at] = sum.with_lost(lost);
                if step % TERMS_KEPT == TERMS_KEPT - 1 {
                    sum = sum.settled(&mut lost);
                }
            }
            return;
        }
        let mut memory = Scratch::take::<T>(2 * inner);
        let (sums, lost) = memory.get_mut::<T>().split_at_mut(inner);
        sums.fill(T::ZERO);
        lost.fill(T::ZERO);
        for step in 0..rows {
            let first = if reverse { rows - 1 - step } else { step } * inner;
            let terms = input[first..first + inner].iter().zip(&mut out[first..first + inner]);
            for ((&term, slot), (sum, lost)) in terms.zip(sums.iter_mut().zip(lost.iter_mut())) {
                *sum = sum.plus_exactly(term, lost);
                *slot = sum.with_lost(*lost);
            }
            if step % TERMS_KEPT == TERMS_KEPT - 1 {
                for (sum, lost) in sums.iter_mut().zip(lost.iter_mut()) {
                    *sum = sum.settled(lost);
                }
            }
        }
    }
}

impl Executable for Scan {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        with_lane!(self.dtype, |T| self.run_lanes::<T>(context, inputs, outputs))
    }
}
