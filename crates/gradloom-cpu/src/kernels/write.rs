//! `Write`: an update put into a tensor at places that another operand gives. Where the result has the
//! data's memory, only the update is written.

use gradloom_plan::{Kernel, KernelKind, KernelOutput, View};
use gradloom_tensor::{DType, Result, Shape};

use super::executable::{Context, Executable};
use super::gather::around;
use super::map::Map;
use crate::tile::{Access, copy_tile};

pub(crate) struct Write {
    /// The program of the update, element by element.
    update: Map,
    elements: usize,
    dtype: DType,
    start: Access,
    batches: usize,
    /// Sizes of data before, along and after the axis.
    data: [usize; 3],
    /// Size of the update along the axis.
    count: usize,
}

impl Write {
    pub(crate) fn new(kernel: &Kernel, data: &Shape, axis: usize, start: &View) -> Write {
        let (output, elements) = (kernel.outputs[0], kernel.space.shape.count());
        let mut update = kernel.clone();
        update.kind = KernelKind::Map;
        update.outputs = vec![KernelOutput { len: elements, ..output }];
        let around = around(data, axis);
        Write {
            update: Map::new(&update, &[]),
            elements,
            dtype: output.dtype,
            start: Access::new(start),
            batches: start.shape.count(),
            data: around,
            count: elements / (around[0] * around[2]).max(1),
        }
    }
}

impl Executable for Write {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let [outer, size, inner] = self.data;
        if !inputs[0].is_empty() {
            outputs[0].copy_from_slice(inputs[0]);
        }
        let bytes = self.dtype.size();
        let mut update = context.pool.temporary(self.elements * bytes)?;
        self.update.run(context, inputs, &mut [update.get_mut()])?;
        let mut starts = vec![0i32; self.batches];
        let raw = bytemuck::cast_slice_mut(&mut starts);
        copy_tile(context.level, 4, inputs[1], &self.start, 0, raw);
        let run = self.count * inner * bytes;
        if run == 0 {
            return Ok(());
        }
        for (index, update) in update.get().chunks_exact(run).enumerate() {
            // Checked by an earlier kernel; the clamp keeps a failed check memory-safe.
            let start = starts[index * self.batches / outer].max(0) as usize;
            let first = (index * size + start.min(size - self.count)) * inner * bytes;
            outputs[0][first..first + run].copy_from_slice(update);
        }
        Ok(())
    }
}
