//! `Dequantize` and `QuantizedRows`: the numbers of whole matrices, and of some of their rows.

use gradloom_plan::{Kernel, View};
use gradloom_tensor::blocks::interleave::plain_row;
use gradloom_tensor::{BlockFormat, DType, Result};

use crate::epilogue::{Division, Epilogue};
use crate::kernels::executable::{Context, Executable, InPlace, TASK_MIN};
use crate::parallel;
use crate::scratch::Scratch;
use crate::tile::{Access, copy_tile};

pub(crate) struct Dequantize {
    format: BlockFormat,
    size: [usize; 2],
    epilogue: Epilogue,
}

impl Dequantize {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace, format: BlockFormat) -> Dequantize {
        let size = [kernel.space.shape[0], kernel.space.shape[1]];
        Dequantize { format, size, epilogue: Epilogue::new(kernel, in_place, DType::F32) }
    }
}

impl Executable for Dequantize {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let division = division(context, self.size);
        self.epilogue.run(context, inputs, outputs, division, |rows, out| {
            decode(self.format, inputs[0], self.size[1], rows, out);
        });
        Ok(())
    }
}

pub(crate) struct Rows {
    format: BlockFormat,
    /// Rows of the matrix.
    rows: usize,
    /// Rows and columns of the result.
    size: [usize; 2],
    index: Access,
    epilogue: Epilogue,
}

impl Rows {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        format: BlockFormat,
        rows: usize,
        index: &View,
    ) -> Rows {
        Rows {
            format,
            rows,
            size: [index.shape[0], kernel.space.shape.count() / index.shape[0].max(1)],
            index: Access::new(index),
            epilogue: Epilogue::new(kernel, in_place, DType::F32),
        }
    }
}

impl Executable for Rows {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let division = division(context, self.size);
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            let mut indices = Scratch::take::<i32>(range.len());
            let indices = indices.get_mut::<i32>();
            let bytes = bytemuck::cast_slice_mut(indices);
            copy_tile(context.level, 4, inputs[1], &self.index, range.start, bytes);
            // Checked by an earlier kernel; the clamp keeps a failed check memory-safe.
            let last = self.rows.saturating_sub(1);
            let rows = indices.iter().map(|&index| (index.max(0) as usize).min(last));
            decode(self.format, inputs[0], self.size[1], rows, out);
        });
        Ok(())
    }
}

fn division(context: &Context<'_>, [rows, columns]: [usize; 2]) -> Division {
    let threads = context.threads_for(rows * columns);
    let per_task = parallel::grain(threads, rows, columns, TASK_MIN);
    Division { units: rows, unit_elements: columns, per_task, threads }
}

/// The numbers of some rows, one after another.
fn decode(
    format: BlockFormat,
    groups: &[u8],
    columns: usize,
    rows: impl Iterator<Item = usize>,
    out: &mut [u8],
) {
    if columns == 0 {
        return;
    }
    let mut plain = Scratch::take::<u8>(columns / format.elements() * format.bytes());
    let out: &mut [f32] = bytemuck::cast_slice_mut(out);
    for (row, values) in rows.zip(out.chunks_exact_mut(columns)) {
        plain_row(format, groups, row, plain.get_mut());
        format.decode(plain.get(), values);
    }
}
