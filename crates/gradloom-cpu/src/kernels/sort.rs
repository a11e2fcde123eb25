//! `ArgSort`: the permutation that sorts along an axis; stable, NaN counts as largest.

use bytemuck::{Pod, Zeroable};
use gradloom_plan::Kernel;
use gradloom_tensor::{DType, Result};

use super::executable::{Context, Executable, InPlace};
use super::gather::around;
use super::lanes::{Ordered, lanes_of, with_lane};
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
        in_place: &InPlace,
        axis: usize,
        descending: bool,
    ) -> ArgSort {
        ArgSort {
            sizes: around(&kernel.space.shape, axis),
            descending,
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
        let unit_elements = size * inner;
        // A comparison costs more than an addition.
        let threads = context.threads_for(outer * unit_elements * 8);
        let per_task =
            parallel::grain(threads, outer, unit_elements, super::executable::TASK_MIN / 8);
        let division = Division { units: outer, unit_elements, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |units, out| {
            let out: &mut [i32] = bytemuck::cast_slice_mut(out);
            let mut keys = Scratch::take::<Key>(size);
            let keys = keys.get_mut::<Key>();
            for (index, out) in units.zip(out.chunks_exact_mut(unit_elements.max(1))) {
                let input = &input[index * unit_elements..(index + 1) * unit_elements];
                for column in 0..inner {
                    for (position, key) in keys.iter_mut().enumerate() {
                        let rank = input[position * inner + column].rank();
                        let rank = if self.descending { !rank } else { rank };
                        *key = Key { rank, position: position as u64 };
                    }
                    // Positions decide between equals, so an unstable sort gives the stable order.
                    keys.sort_unstable_by_key(|key| (key.rank, key.position));
                    for (row, key) in keys.iter().enumerate() {
                        out[row * inner + column] = key.position as i32;
                    }
                }
            }
        });
        Ok(())
    }
}

/// What is sorted.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Key {
    /// The place of the value among all values of its type.
    rank: u64,
    position: u64,
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
