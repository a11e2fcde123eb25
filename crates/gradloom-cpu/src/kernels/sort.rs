//! `ArgSort`: the permutation that sorts along an axis; stable, NaN counts as largest.

use std::cmp::Ordering;

use gradloom_plan::Kernel;
use gradloom_tensor::{DType, Result};

use super::gather::around;
use super::lanes::{Ordered, lanes_of, with_lane};
use super::{Aliases, Context, Executable};
use crate::epilogue::{Division, Epilogue};
use crate::parallel;
use crate::scratch::Scratch;

pub(crate) struct ArgSort {
    sizes: [usize; 3],
    descending: bool,
    dtype: DType,
    epilogue: Epilogue,
}

impl ArgSort {
    pub(crate) fn new(
        kernel: &Kernel,
        aliases: &Aliases,
        axis: usize,
        descending: bool,
    ) -> ArgSort {
        ArgSort {
            sizes: around(&kernel.space.shape, axis),
            descending,
            dtype: kernel.inputs[0].dtype,
            epilogue: Epilogue::new(kernel, aliases, DType::I32),
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
        // A comparison costs more than an addition.
        let threads = context.threads_for(outer * unit_elements * 8);
        let per_task = parallel::grain(threads, outer, unit_elements, super::TASK_MIN / 8);
        let division = Division { units: outer, unit_elements, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |units, out| {
            let out: &mut [i32] = bytemuck::cast_slice_mut(out);
            let mut order = Scratch::take::<i32>(size);
            let order = order.get_mut::<i32>();
            for (index, out) in units.zip(out.chunks_exact_mut(unit_elements.max(1))) {
                let input = &input[index * unit_elements..(index + 1) * unit_elements];
                for column in 0..inner {
                    let key = |position: i32| input[position as usize * inner + column];
                    for (position, slot) in order.iter_mut().enumerate() {
                        *slot = position as i32;
                    }
                    // Positions decide between equals, so an unstable sort gives the stable order.
                    order.sort_unstable_by(|&a, &b| {
                        let order = compare(key(a), key(b));
                        let order = if self.descending { order.reverse() } else { order };
                        order.then(a.cmp(&b))
                    });
                    for (row, &position) in order.iter().enumerate() {
                        out[row * inner + column] = position;
                    }
                }
            }
        });
        Ok(())
    }
}

/// The order in which NaN comes last and equals any other NaN.
fn compare<T: Ordered>(a: T, b: T) -> Ordering {
    match (a.above(b), b.above(a)) {
        (true, _) => Ordering::Greater,
        (_, true) => Ordering::Less,
        _ => Ordering::Equal,
    }
}

impl Executable for ArgSort {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        with_lane!(self.dtype, |T| self.run_lanes::<T>(context, inputs, outputs))
    }
}
