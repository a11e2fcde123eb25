//! Pooling over planes: maxima and sums of windows, and their transposes. Planes run in parallel.

use gradloom_plan::{Kernel, Pool};
use gradloom_tensor::{DType, Error, Result};

use super::executable::{Context, Executable, InPlace, TASK_MIN, lane_dtype};
use super::lanes::{Ordered, lanes_of, with_lane};
use super::pool_planes::{
    max_gather_plane, max_plane, max_scatter_plane, sum_plane, sum_scatter_plane,
};
use super::pool_rows::WindowRows;
use crate::convert::Lane;
use crate::epilogue::{Division, Epilogue};
use crate::parallel;

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
    rows: WindowRows,
    dtypes: Vec<DType>,
    epilogue: Epilogue,
}

impl Pooling {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, kind: Kind, pool: &Pool) -> Pooling {
        let operands = if matches!(kind, Kind::MaxScatter | Kind::MaxGather) { 2 } else { 1 };
        let dtypes: Vec<DType> =
            kernel.inputs[..operands].iter().map(|input| input.dtype).collect();
        let result = lane_dtype(Lane::of(dtypes[operands - 1]));
        Pooling {
            kind,
            pool: *pool,
            rows: WindowRows::new(pool),
            dtypes,
            epilogue: Epilogue::new(kernel, in_place, result),
        }
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
        if input >= u32::MAX as usize {
            return Err(Error::unsupported(
                "pooling: a plane has more than 2^32 elements".to_owned(),
            ));
        }
        let scatters = matches!(self.kind, Kind::MaxScatter | Kind::SumScatter);
        let unit_elements = if scatters { input } else { output };
        let threads = context.threads_for(pool.planes * input.max(output));
        let per_task = parallel::grain(threads, pool.planes, input.max(output), TASK_MIN / 2);
        let division = Division { units: pool.planes, unit_elements, per_task, threads };
        let (level, rows) = (context.level, &self.rows);
        let plane = |index: usize, size: usize| index * size..(index + 1) * size;
        self.epilogue.run(context, inputs, outputs, division, |planes, out| {
            let out: &mut [T] = bytemuck::cast_slice_mut(out);
            for (index, out) in planes.zip(out.chunks_exact_mut(unit_elements.max(1))) {
                match self.kind {
                    Kind::Max => max_plane(level, pool, rows, &first[plane(index, input)], out),
                    Kind::Sum => sum_plane(level, pool, rows, &first[plane(index, input)], out),
                    Kind::SumScatter => {
                        sum_scatter_plane(level, pool, rows, &first[plane(index, output)], out);
                    }
                    Kind::MaxScatter => max_scatter_plane(
                        level,
                        pool,
                        rows,
                        &first[plane(index, input)],
                        &second[plane(index, output)],
                        out,
                    ),
                    Kind::MaxGather => max_gather_plane(
                        level,
                        rows,
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

fn area(size: [usize; 3]) -> usize {
    size[0] * size[1] * size[2]
}
