//! `QuantizedMatmul`: rows times the transpose of matrices in blocks, 16 rows of a matrix at a time.
//!
//! Each sum runs over the blocks of a row in order, so its bits depend neither on threads nor on the
//! number of rows.
#![expect(unsafe_code, reason = "blocks are read by pointer, under instructions found at run time")]

use gradloom_plan::{Kernel, View};
use gradloom_tensor::blocks::interleave::{self, GROUP_ROWS};
use gradloom_tensor::{BlockFormat, DType, Result};

use super::activations::{Activations, BLOCK, Row};
use super::formats::{self, Format};
use super::lanes::Lanes;
use crate::epilogue::{Division, Epilogue};
use crate::kernels::executable::{Context, Executable, InPlace};
use crate::parallel;
use crate::simd::Level;

/// Multiplications below which a product stays on one thread.
const SEQUENTIAL_WORK: usize = 64 * 1024;
/// Rows that are multiplied with a block while it is in registers.
const TILE: usize = 8;

/// Which instructions multiply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    #[cfg(not(target_arch = "aarch64"))]
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Instructions {
    /// The best that a level and this processor have.
    pub(super) fn of(level: Level) -> Instructions {
        #[cfg(target_arch = "x86_64")]
        {
            match level.name() {
                "avx512" if is_x86_feature_detected!("avx512vnni") => return Instructions::Vnni,
                "avx512" => return Instructions::Avx512,
                "avx2" if is_x86_feature_detected!("f16c") => return Instructions::Avx2,
                _ => {}
            }
        }
        let _ = level;
        #[cfg(target_arch = "aarch64")]
        return Instructions::Neon;
        #[cfg(not(target_arch = "aarch64"))]
        Instructions::Portable
    }
}

/// A matrix in blocks: some of the columns of the result.
struct Part {
    format: BlockFormat,
    rows: usize,
    /// First column of the result.
    column: usize,
    /// First group of all parts.
    group: usize,
}

pub(crate) struct Product {
    lhs: View,
    parts: Vec<Part>,
    groups: usize,
    columns: usize,
    /// True if groups cover the columns without gaps.
    aligned: bool,
    epilogue: Epilogue,
}

impl Product {
    pub(crate) fn new(
        kernel: &Kernel,
        in_place: &InPlace,
        lhs: &View,
        formats: &[(BlockFormat, usize)],
    ) -> Product {
        let (mut parts, mut column, mut group) = (Vec::new(), 0, 0);
        for &(format, rows) in formats {
            parts.push(Part { format, rows, column, group });
            column += rows;
            group += rows.div_ceil(GROUP_ROWS);
        }
        Product {
            lhs: *lhs,
            groups: group,
            columns: column,
            aligned: column == group * GROUP_ROWS,
            parts,
            epilogue: Epilogue::new(kernel, in_place, DType::F32),
        }
    }

    /// Results of some groups for all rows: `[group][row][16]`.
    fn groups(
        &self,
        instructions: Instructions,
        activations: &Activations,
        blocks: &[&[u8]],
        range: std::ops::Range<usize>,
        out: &mut [f32],
    ) {
        let (rows, inner) = (self.lhs.shape[0], self.lhs.shape[1]);
        for (group, out) in range.zip(out.chunks_exact_mut(rows * GROUP_ROWS)) {
            let part = self.parts.partition_point(|part| part.group <= group) - 1;
            let (blocks, part) = (blocks[part], &self.parts[part]);
            let bytes = interleave::bytes(part.format, GROUP_ROWS, inner);
            let blocks = &blocks[(group - part.group) * bytes..][..bytes];
            let mut row = 0;
            while row < rows {
                let count = if rows - row >= TILE { TILE } else { 1 };
                let tile: [Row<'_>; TILE] =
                    std::array::from_fn(|index| activations.row(row + index.min(count - 1)));
                let out = &mut out[row * GROUP_ROWS..(row + count) * GROUP_ROWS];
                Task { blocks, inner, rows: &tile[..count], out }.run(part.format, instructions);
                row += count;
            }
        }
    }
}

impl Executable for Product {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let (rows, inner) = (self.lhs.shape[0], self.lhs.shape[1]);
        let activations = Activations::new(context, &self.lhs, bytemuck::cast_slice(inputs[0]))?;
        let instructions = Instructions::of(context.level);
        let blocks = &inputs[1..=self.parts.len()];
        let work = rows * inner * self.columns;
        let threads = if work <= SEQUENTIAL_WORK { 1 } else { context.threads };
        // Few, equal tasks where a thread's share is small: each costs a few microseconds.
        let tasks = if work < 64 * SEQUENTIAL_WORK { threads } else { 4 * threads };
        let per_task = self.groups.div_ceil(tasks);
        if rows == 1 && self.aligned {
            let division =
                Division { units: self.groups, unit_elements: GROUP_ROWS, per_task, threads };
            self.epilogue.run(context, inputs, outputs, division, |range, out| {
                let out = bytemuck::cast_slice_mut(out);
                self.groups(instructions, &activations, blocks, range, out);
            });
            return Ok(());
        }
        let unit = rows * GROUP_ROWS;
        let mut columns = context.pool.temporary(self.groups * unit * 4)?;
        let whole = &mut [columns.get_mut()];
        parallel::split(threads, whole, &[unit * 4], self.groups, per_task, |range, parts| {
            let out = bytemuck::cast_slice_mut(parts[0]);
            self.groups(instructions, &activations, blocks, range, out);
        });
        let columns: &[f32] = bytemuck::cast_slice(columns.get());
        let per_task = parallel::grain(threads, rows, self.columns, 16 * 1024);
        let division = Division { units: rows, unit_elements: self.columns, per_task, threads };
        self.epilogue.run(context, inputs, outputs, division, |range, out| {
            let out: &mut [f32] = bytemuck::cast_slice_mut(out);
            for (row, out) in range.zip(out.chunks_exact_mut(self.columns.max(1))) {
                for part in &self.parts {
                    let out = &mut out[part.column..part.column + part.rows];
                    for (group, out) in out.chunks_mut(GROUP_ROWS).enumerate() {
                        let at = (part.group + group) * unit + row * GROUP_ROWS;
                        out.copy_from_slice(&columns[at..at + out.len()]);
                    }
                }
            }
        });
        Ok(())
    }
}

/// Some rows times one group of a matrix.
pub(super) struct Task<'a> {
    /// The group's blocks.
    pub(super) blocks: &'a [u8],
    /// Numbers of a row.
    pub(super) inner: usize,
    /// One row or [`TILE`].
    pub(super) rows: &'a [Row<'a>],
    /// 16 results of each row.
    pub(super) out: &'a mut [f32],
}

impl Task<'_> {
    pub(super) fn run(self, format: BlockFormat, instructions: Instructions) {
        match format {
            BlockFormat::Q4_0 => self.with::<formats::Q4_0>(instructions),
            BlockFormat::Q4_1 => self.with::<formats::Q4_1>(instructions),
            BlockFormat::Q5_0 => self.with::<formats::Q5_0>(instructions),
            BlockFormat::Q5_1 => self.with::<formats::Q5_1>(instructions),
            BlockFormat::Q8_0 => self.with::<formats::Q8_0>(instructions),
            BlockFormat::Q2_K => self.with::<formats::Q2_K>(instructions),
            BlockFormat::Q3_K => self.with::<formats::Q3_K>(instructions),
            BlockFormat::Q4_K => self.with::<formats::Q4_K>(instructions),
            BlockFormat::Q5_K => self.with::<formats::Q5_K>(instructions),
            BlockFormat::Q6_K => self.with::<formats::Q6_K>(instructions),
        }
    }

    fn with<F: Format>(self, instructions: Instructions) {
        let bytes = interleave::bytes(F::FORMAT, GROUP_ROWS, self.inner);
        assert!(self.blocks.len() >= bytes, "quantized product: blocks of {} numbers", self.inner);
        assert!(self.rows.len() * GROUP_ROWS <= self.out.len(), "quantized product: results");
        for row in self.rows {
            let blocks = self.inner / BLOCK;
            assert!(
                row.high.len() >= self.inner
                    && row.low.len() >= self.inner
                    && row.scales.len() >= blocks
                    && row.sums.len() >= 2 * blocks
                    && row.biases.len() >= blocks,
                "quantized product: rows of {} numbers",
                self.inner
            );
        }
        match instructions {
            #[cfg(not(target_arch = "aarch64"))]
            // SAFETY: the assertions above; the instructions were found on this processor.
            Instructions::Portable => unsafe { self.multiply::<F, super::lanes::Portable>() },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the assertions above; the instructions were found on this processor.
            Instructions::Neon => unsafe { self.multiply::<F, super::neon::Neon>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the assertions above; the instructions were found on this processor.
            Instructions::Avx2 => unsafe { self.avx2::<F>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the assertions above; the instructions were found on this processor.
            Instructions::Avx512 => unsafe { self.avx512::<F>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the assertions above; the instructions were found on this processor.
            Instructions::Vnni => unsafe { self.vnni::<F>() },
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma,f16c")]
    unsafe fn avx2<F: Format>(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { self.multiply::<F, super::x86::Avx2>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c")]
    unsafe fn avx512<F: Format>(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { self.multiply::<F, super::x86::Avx512>() }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
    unsafe fn vnni<F: Format>(self) {
        // SAFETY: the caller vouches for the same.
        unsafe { self.multiply::<F, super::x86::Vnni>() }
    }

    /// # Safety
    /// Blocks, rows and results have the sizes that [`Task::with`] checks; the lanes' instructions
    /// exist.
    #[inline(always)]
    unsafe fn multiply<F: Format, L: Lanes>(self) {
        // SAFETY: the caller vouches for the same.
        unsafe {
            match self.rows.len() {
                1 => self.tile::<F, L, 1>(),
                _ => self.tile::<F, L, TILE>(),
            }
        }
    }

    /// # Safety
    /// As [`Task::multiply`], and there are `M` rows.
    #[inline(always)]
    unsafe fn tile<F: Format, L: Lanes, const M: usize>(self) {
        let elements = 4 * F::WORDS;
        let mut sums = [L::splat_float(0.0); M];
        let (mut high, mut low) = ([std::ptr::null::<i8>(); M], [std::ptr::null::<i8>(); M]);
        let (mut scales, mut totals) = ([std::ptr::null::<f32>(); M], [std::ptr::null::<f32>(); M]);
        let mut biases = [std::ptr::null::<i32>(); M];
        for row in 0..M {
            let activations = &self.rows[row];
            high[row] = activations.high.as_ptr();
            low[row] = activations.low.as_ptr();
            scales[row] = activations.scales.as_ptr();
            totals[row] = activations.sums.as_ptr();
            biases[row] = activations.biases.as_ptr();
        }
        for block in 0..self.inner / F::FORMAT.elements() {
            // Blocks, numbers, scales, sums and biases of this block exist: the caller vouches for it.
            let pointer =
                // SAFETY: as above.
                unsafe { self.blocks.as_ptr().add(block * GROUP_ROWS * F::FORMAT.bytes()) };
            for index in 0..F::COUNT {
                let first = block * F::FORMAT.elements() + index * elements;
                // SAFETY: as above.
                let sub = unsafe { F::sub_block::<L>(pointer, index) };
                for row in 0..M {
                    // SAFETY: as above.
                    unsafe {
                        let mut dot = L::splat(0);
                        let numbers = high[row].add(first).cast::<u32>();
                        for word in 0..F::WORDS {
                            let four = numbers.add(word).read_unaligned();
                            dot = dot_of::<F, L>(dot, sub.words[word], four);
                        }
                        dot = L::shift_left(dot, 8);
                        if F::SIGNED && L::BIASED {
                            dot = L::add(dot, L::splat(*biases[row].add(first / BLOCK) as u32));
                        }
                        let numbers = low[row].add(first).cast::<u32>();
                        for word in 0..F::WORDS {
                            let four = numbers.add(word).read_unaligned();
                            dot = dot_of::<F, L>(dot, sub.words[word], four);
                        }
                        let scaled = L::scale(L::floats(dot), sub.scale);
                        let scale = L::splat_float(*scales[row].add(first / BLOCK));
                        sums[row] = L::multiply_add(scaled, scale, sums[row]);
                        if !F::SIGNED {
                            let total = totals[row].add(first / 16);
                            let total = match elements {
                                32 => *total + *total.add(1),
                                _ => *total,
                            };
                            let total = L::splat_float(total);
                            sums[row] = L::multiply_add(sub.shift, total, sums[row]);
                        }
                    }
                }
            }
        }
        for (row, sum) in sums.into_iter().enumerate() {
            // SAFETY: the caller vouches for 16 results of each row.
            unsafe { L::store(sum, self.out.as_mut_ptr().add(row * GROUP_ROWS)) };
        }
    }
}

#[inline(always)]
fn dot_of<F: Format, L: Lanes>(sum: L::Words, bytes: L::Words, numbers: u32) -> L::Words {
    match F::SIGNED {
        true => L::dot_signed(sum, bytes, numbers),
        false => L::dot(sum, bytes, numbers),
    }
}
