//! [`Activations`]: rows of the operand that is not in blocks, rounded to 8 bits.

use gradloom_plan::View;
use gradloom_tensor::Result;

use crate::kernels::executable::{Context, TASK_MIN};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 32;

/// Rows of 8-bit numbers in blocks of [`BLOCK`] with a scale each, and the sums of each 16.
pub(super) struct Activations {
    memory: Temporary,
    columns: usize,
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// `round(x / scale)`
    pub(super) numbers: &'a [i8],
    /// Scale of each block.
    pub(super) scales: &'a [f32],
    /// Sum of each 16 numbers, times their scale.
    pub(super) sums: &'a [f32],
    /// -128 times the sum of each block's numbers.
    pub(super) biases: &'a [i32],
}

/// Bytes of a row.
const fn row_bytes(columns: usize) -> usize {
    columns + columns / BLOCK * 16
}

impl Activations {
    /// Rounds the rows of a view `[m, k]`.
    ///
    /// # Errors
    /// When memory runs out.
    pub(super) fn new(context: &Context<'_>, view: &View, values: &[f32]) -> Result<Activations> {
        let (rows, columns) = (view.shape[0], view.shape[1]);
        let bytes = row_bytes(columns);
        let mut memory = context.pool.temporary(rows * bytes)?;
        let threads = context.threads_for(rows * columns);
        let per_task = parallel::grain(threads, rows, columns, TASK_MIN);
        parallel::split(
            threads,
            &mut [memory.get_mut()],
            &[bytes],
            rows,
            per_task,
            |range, out| {
                let mut copy = Scratch::empty();
                for (row, out) in range.zip(out[0].chunks_exact_mut(bytes.max(1))) {
                    let at = view.offset + row as isize * view.strides[0];
                    let source = if view.strides[1] == 1 {
                        &values[at as usize..at as usize + columns]
                    } else {
                        copy = Scratch::take::<f32>(columns);
                        for (column, slot) in copy.get_mut::<f32>().iter_mut().enumerate() {
                            *slot = values[(at + column as isize * view.strides[1]) as usize];
                        }
                        copy.get()
                    };
                    let (numbers, rest) = out.split_at_mut(columns);
                    let (scales, rest) = rest.split_at_mut(columns / BLOCK * 4);
                    let (sums, biases) = rest.split_at_mut(columns / BLOCK * 8);
                    round_row(
                        context.level,
                        source,
                        bytemuck::cast_slice_mut(numbers),
                        bytemuck::cast_slice_mut(scales),
                        bytemuck::cast_slice_mut(sums),
                        bytemuck::cast_slice_mut(biases),
                    );
                }
                drop(copy);
            },
        );
        Ok(Activations { memory, columns })
    }

    /// A row.
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let bytes = row_bytes(self.columns);
        let memory = &self.memory.get()[row * bytes..(row + 1) * bytes];
        let (numbers, rest) = memory.split_at(self.columns);
        let (scales, rest) = rest.split_at(self.columns / BLOCK * 4);
        let (sums, biases) = rest.split_at(self.columns / BLOCK * 8);
        Row {
            numbers: bytemuck::cast_slice(numbers),
            scales: bytemuck::cast_slice(scales),
            sums: bytemuck::cast_slice(sums),
            biases: bytemuck::cast_slice(biases),
        }
    }
}

vectorized! {
    fn round_row['a][](
        values: &'a [f32],
        numbers: &'a mut [i8],
        scales: &'a mut [f32],
        sums: &'a mut [f32],
        biases: &'a mut [i32],
    ) {
        let blocks = values.chunks_exact(BLOCK).zip(numbers.chunks_exact_mut(BLOCK));
        for (index, (values, numbers)) in blocks.enumerate() {
            let mut largest = [0.0f32; 16];
            for half in values.chunks_exact(16) {
                for lane in 0..16 {
                    let size = half[lane].abs();
                    largest[lane] = if size > largest[lane] { size } else { largest[lane] };
                }
            }
            let largest = largest.iter().fold(0.0f32, |a, &b| if b > a { b } else { a });
            // A NaN must not vanish: the scale carries it, as it carries infinity.
            let finite = values.iter().fold(0.0f32, |sum, value| sum + value * 0.0);
            let scale = largest / 127.0 + finite;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let mut total = 0;
            for half in 0..2 {
                let mut sum = 0i32;
                for lane in half * 16..half * 16 + 16 {
                    // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
                    let rounded = (values[lane] * inverse + 12_582_912.0) - 12_582_912.0;
                    let number = rounded as i32;
                    numbers[lane] = number as i8;
                    sum += number;
                }
                sums[2 * index + half] = sum as f32 * scale;
                total += sum;
            }
            scales[index] = scale;
            biases[index] = -128 * total;
        }
    }
}
