//! [`Activations`]: rows of the operand that is not in blocks, as integers of 16 bits in two halves of
//! 8, so that dot products are made of bytes and still agree with those of f32 to about one part in
//! ten thousand.

use gradloom_plan::View;
use gradloom_tensor::Result;

use crate::kernels::executable::{Context, TASK_MIN};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::simd::vectorized;

/// Numbers that share a scale.
pub(super) const BLOCK: usize = 32;

/// Rows of numbers `256 high + low` in blocks of [`BLOCK`] with a scale each, and the sums of each 16.
pub(super) struct Activations {
    memory: Temporary,
    columns: usize,
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    /// `round(x / (256 scale))`, -127 to 127.
    pub(super) high: &'a [i8],
    /// `round(x / scale) - 256 high`, -127 to 127.
    pub(super) low: &'a [i8],
    /// Scale of each block.
    pub(super) scales: &'a [f32],
    /// Sum of each 16 numbers, times their scale.
    pub(super) sums: &'a [f32],
    /// -128 times the sum of each block's numbers, which stays below 2^28.
    pub(super) biases: &'a [i32],
}

/// Bytes of a row.
const fn row_bytes(columns: usize) -> usize {
    2 * columns + columns / BLOCK * 16
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
                    let (high, rest) = out.split_at_mut(columns);
                    let (low, rest) = rest.split_at_mut(columns);
                    let (scales, rest) = rest.split_at_mut(columns / BLOCK * 4);
                    let (sums, biases) = rest.split_at_mut(columns / BLOCK * 8);
                    round_row(
                        context.level,
                        source,
                        [bytemuck::cast_slice_mut(high), bytemuck::cast_slice_mut(low)],
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
        let (high, rest) = memory.split_at(self.columns);
        let (low, rest) = rest.split_at(self.columns);
        let (scales, rest) = rest.split_at(self.columns / BLOCK * 4);
        let (sums, biases) = rest.split_at(self.columns / BLOCK * 8);
        Row {
            high: bytemuck::cast_slice(high),
            low: bytemuck::cast_slice(low),
            scales: bytemuck::cast_slice(scales),
            sums: bytemuck::cast_slice(sums),
            biases: bytemuck::cast_slice(biases),
        }
    }
}

vectorized! {
    fn round_row['a][](
        values: &'a [f32],
        halves: [&'a mut [i8]; 2],
        scales: &'a mut [f32],
        sums: &'a mut [f32],
        biases: &'a mut [i32],
    ) {
        // Adding and taking away 1.5 * 2^23 rounds to the nearest integer.
        const ROUND: f32 = 12_582_912.0;
        let [high, low] = halves;
        let halves = high.chunks_exact_mut(BLOCK).zip(low.chunks_exact_mut(BLOCK));
        for (index, (values, (high, low))) in values.chunks_exact(BLOCK).zip(halves).enumerate() {
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
            let scale = largest / (127.0 * 256.0) + finite;
            let inverse = if largest > 0.0 { 127.0 / largest } else { 0.0 };
            let mut total = 0;
            for half in 0..2 {
                let mut sum = 0i32;
                for lane in half * 16..half * 16 + 16 {
                    let exact = values[lane] * inverse;
                    let rounded = (exact + ROUND) - ROUND;
                    let rest = ((exact - rounded) * 256.0 + ROUND) - ROUND;
                    let rest = rest.clamp(-127.0, 127.0);
                    high[lane] = rounded as i32 as i8;
                    low[lane] = rest as i32 as i8;
                    sum += rounded as i32 * 256 + rest as i32;
                }
                sums[2 * index + half] = sum as f32 * scale;
                total += sum;
            }
            scales[index] = scale;
            biases[index] = -128 * total;
        }
    }
}
