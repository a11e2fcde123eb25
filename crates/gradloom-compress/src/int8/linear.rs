//! Matrix products of 8-bit integers.

use std::ops::Range;

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::{DType, Error, Result, Tensor};
use rayon::prelude::*;

use super::dots::{Dots, Level, Task, dispatch};
use super::finish::{Finish, FinishBits, Finished, OfOutputs, check_product, rounded};
use super::packed::{BLOCK, FOUR, Layout, MIDDLE, SIGNS};
use super::rows::{OfRows, Rows};
use super::scratch::with_bytes;

/// Multiplications from which on a part of a product is a task of its own.
const TASK_WORK: usize = 1 << 18;

/// `x [.., K]` u8, a weight of [`pack_linear`](super::pack_linear), and of the `O` outputs the sums of their weights (i32),
/// factors and terms (f32) `-> [.., O]` in f32 or u8, as [`Finish`] says. The sum of an output is that of
/// `(x - zero_point) * weight`.
///
/// PyTorch: `torch.nn.quantized.functional.linear`.
///
/// # Panics
/// If shapes or dtypes do not fit, or a sum has more than 65,536 products.
#[track_caller]
pub fn linear(
    x: &Tensor,
    zero_point: u8,
    packed: &Tensor,
    [sums, factor, term]: [&Tensor; 3],
    finish: Finish,
) -> Tensor {
    let op = Linear { zero_point: Some(zero_point), finish: finish.into() };
    let [y] = custom_op(op, &[x, packed, sums, factor, term]);
    y
}

/// As [`linear`], of `x [.., K]` f32, each row of which is rounded to 8 bits by its own largest magnitude: `s` of
/// [`Finish`] is the sum times the scale of the row. A row with a number that is not finite gives NaN.
///
/// PyTorch: `torch.nn.quantized.dynamic.Linear`, whose inputs have one scale for all rows.
///
/// # Panics
/// As [`linear`].
#[track_caller]
pub fn dynamic_linear(
    x: &Tensor,
    packed: &Tensor,
    [sums, factor, term]: [&Tensor; 3],
    finish: Finish,
) -> Tensor {
    let op = Linear { zero_point: None, finish: finish.into() };
    let [y] = custom_op(op, &[x, packed, sums, factor, term]);
    y
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Linear {
    /// None where rows are f32 and rounded as they come.
    zero_point: Option<u8>,
    finish: FinishBits,
}

/// Sizes of a product.
#[derive(Clone, Copy)]
struct Sizes {
    rows: usize,
    inner: usize,
    outputs: usize,
}

impl Sizes {
    fn of(operands: &[TensorType]) -> Sizes {
        let x = &operands[0].shape;
        let inner = x[x.rank() - 1];
        let rows = x[..x.rank() - 1].iter().product();
        Sizes { rows, inner, outputs: operands[2].shape.count() }
    }

    fn layout(&self) -> Layout {
        Layout::of_matrix(self.outputs, self.inner)
    }
}

/// The product of rows that are `step` bytes apart.
fn compute<T: Finished>(
    level: Level,
    sizes: Sizes,
    (bytes, step, scales): (&[u8], usize, Option<&[f32]>),
    packed: &[i8],
    of_outputs: OfOutputs<'_>,
    out: &mut [T],
) {
    let (layout, weights) = (sizes.layout(), bytemuck::cast_slice::<i8, u8>(packed));
    let Sizes { outputs, .. } = sizes;
    if out.is_empty() {
        return;
    }
    let starts: Vec<usize> = (0..sizes.rows).map(|row| row * step).collect();
    let offsets: Vec<usize> = (0..layout.steps()).map(|four| four * FOUR).collect();
    let rows = |range: Range<usize>| Rows {
        bytes,
        starts: &starts[range.clone()],
        offsets: &offsets,
        scales: scales.map(|scales| &scales[range]),
    };
    let work = (layout.steps() * FOUR * outputs).max(1);
    let rows_of_task = TASK_WORK.div_ceil(work).next_multiple_of(8);
    if sizes.rows <= rows_of_task / 2 || sizes.rows == 1 {
        // Few rows: parts of the outputs, of one row after another.
        let blocks = TASK_WORK.div_ceil((layout.steps() * FOUR * BLOCK).max(1));
        for (row, out) in out.chunks_exact_mut(outputs).enumerate() {
            out.par_chunks_mut(blocks * BLOCK).enumerate().for_each(|(part, out)| {
                let (first, step) = (part * blocks * BLOCK, out.len());
                let weights = &weights[part * blocks * layout.block_bytes()..];
                let of_outputs = of_outputs.part(first, step);
                let rows = rows(row..row + 1);
                dispatch(level, OfRows { rows, weights, of_outputs, out, step });
            });
        }
        return;
    }
    out.par_chunks_mut(rows_of_task * outputs).enumerate().for_each(|(task, out)| {
        let first = task * rows_of_task;
        let rows = rows(first..first + out.len() / outputs);
        dispatch(level, OfRows { rows, weights, of_outputs, out, step: outputs });
    });
}

/// Rounds a row of f32 to integers around [`MIDDLE`], and gives what they are multiplied with.
struct Round<'a> {
    row: &'a [f32],
    out: &'a mut [u8],
    scale: &'a mut f32,
}

impl Task for Round<'_> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        let Round { row, out, scale } = self;
        let mut largest = [f32::MIN_POSITIVE; 16];
        // Zero times a number is NaN if the number is not finite.
        let mut zero = [0.0f32; 16];
        let chunks = row.chunks_exact(16);
        for &value in chunks.remainder() {
            largest[0] = if value.abs() > largest[0] { value.abs() } else { largest[0] };
            zero[0] += value * 0.0;
        }
        for chunk in chunks {
            for index in 0..16 {
                let value = chunk[index].abs();
                largest[index] = if value > largest[index] { value } else { largest[index] };
                zero[index] += value * 0.0;
            }
        }
        let bound = largest.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        *scale = bound * (1.0 / 127.0) + zero.iter().sum::<f32>();
        let inverse = 1.0 / *scale;
        for (slot, &value) in out.iter_mut().zip(row) {
            let value = value * inverse;
            let value = if value > -127.0 { value } else { -127.0 };
            let value = if value < 127.0 { value } else { 127.0 };
            *slot = (rounded(value) + MIDDLE) as u8;
        }
    }
}

/// Bytes from which on rows are rounded by several threads.
const ROUNDED_TOGETHER: usize = 1 << 16;

impl Linear {
    fn run_as<T: Finished>(
        &self,
        level: Level,
        sizes: Sizes,
        operands: &[HostOperand<'_>],
        out: &mut [T],
    ) {
        let packed = operands[1].elements::<i8>();
        let zero_point = self.zero_point.map_or(MIDDLE, i32::from);
        let of_outputs = OfOutputs::of(operands, zero_point, self.finish);
        let Sizes { rows, inner, .. } = sizes;
        let step = inner.next_multiple_of(FOUR);
        if self.zero_point.is_some() {
            let x = operands[0].elements::<u8>();
            if step == inner {
                return compute(level, sizes, (x, step, None), packed, of_outputs, out);
            }
            return with_bytes(rows * step, |bytes| {
                for (to, from) in bytes.chunks_exact_mut(step).zip(x.chunks_exact(inner)) {
                    to[..inner].copy_from_slice(from);
                    to[inner..].fill(0);
                }
                compute(level, sizes, (bytes, step, None), packed, of_outputs, out);
            });
        }
        let x = operands[0].elements::<f32>();
        let mut scales = vec![0.0f32; rows];
        with_bytes(rows * step, |bytes| {
            let round = |((to, from), scale): ((&mut [u8], &[f32]), &mut f32)| {
                to[inner..].fill(MIDDLE as u8);
                dispatch(level, Round { row: from, out: &mut to[..inner], scale });
            };
            match rows * step < ROUNDED_TOGETHER {
                true => {
                    let pairs = bytes.chunks_exact_mut(step).zip(x.chunks_exact(inner));
                    pairs.zip(&mut scales).for_each(round);
                }
                false => {
                    let pairs = bytes.par_chunks_exact_mut(step).zip(x.par_chunks_exact(inner));
                    pairs.zip(&mut scales).with_min_len(16).for_each(round);
                }
            }
            compute(level, sizes, (bytes, step, Some(&scales)), packed, of_outputs, out);
        });
    }
}

impl CustomOp for Linear {
    fn name(&self) -> &'static str {
        if self.zero_point.is_some() { "int8 linear" } else { "int8 dynamic linear" }
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let expected = if self.zero_point.is_some() { DType::U8 } else { DType::F32 };
        check_product(operands, expected, self.finish, || {
            let shape = operands[0].shape;
            if shape.rank() == 0 || shape[shape.rank() - 1] == 0 {
                return Err(Error::shape(format!("rows of an input of shape {shape}")));
            }
            let sizes = Sizes::of(operands);
            Ok((sizes.layout(), sizes.inner))
        })?;
        let (x, sizes) = (&operands[0], Sizes::of(operands));
        let shape = x.shape.with(x.shape.rank() - 1, sizes.outputs);
        Ok(vec![TensorType { shape, dtype: self.finish.dtype() }])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let types: Vec<TensorType> = operands.iter().map(|operand| operand.of).collect();
        let (level, sizes) = (Level::best(), Sizes::of(&types));
        match self.finish.dtype() {
            DType::U8 => self.run_as(level, sizes, operands, results[0].elements::<u8>()),
            _ => self.run_as(level, sizes, operands, results[0].elements::<f32>()),
        }
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let sizes = Sizes::of(operands);
        let Sizes { inner, outputs, .. } = sizes;
        let block_bytes = sizes.layout().block_bytes();
        let zero = self.zero_point.map_or(MIDDLE, i32::from);
        if self.zero_point.is_some() && inner.is_multiple_of(FOUR) {
            let source = format!(
                "fn element(index: u32) {{
                    let output = index % {outputs}u;
                    let row = index / {outputs}u * {steps}u;
                    let block = output / {BLOCK}u * {block_words}u + output % {BLOCK}u;
                    var sum = 0;
                    for (var step = 0u; step < {steps}u; step++) {{
                        sum += dot_bytes(word0(row + step) ^ {SIGNS}u, word1(block + step * {BLOCK}u));
                    }}
                    let whole = f32(sum - {moved} * read2(output));
                    let value = whole * read3(output) + read4(output);
                    {finish}
                }}",
                steps = inner / FOUR,
                block_words = block_bytes / FOUR,
                moved = zero - MIDDLE,
                finish = self.finish.wgsl("value", "index"),
            );
            return Some(Wgsl::elements(source, results[0].shape.count()));
        }
        let (prepare, value) = match self.zero_point {
            Some(_) => ("var scale = 1.0;".to_owned(), "i32(read0(row + k))".to_owned()),
            None => (
                format!(
                    "var bound = bitcast<f32>({min}u);
                    var nan = 0u;
                    for (var k = 0u; k < {inner}u; k++) {{
                        let value = read0(row + k);
                        bound = max(bound, abs(value));
                        if ((bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u) {{ nan = 0x7fc00000u; }}
                    }}
                    var scale = bound * bitcast<f32>({share}u);
                    if (nan != 0u) {{ scale = bitcast<f32>(nan); }}
                    let inverse = 1.0 / scale;",
                    min = f32::MIN_POSITIVE.to_bits(),
                    share = (1.0f32 / 127.0).to_bits(),
                ),
                format!("(i32(clamp(round(read0(row + k) * inverse), -127.0, 127.0)) + {MIDDLE})"),
            ),
        };
        let source = format!(
            "fn element(index: u32) {{
                let output = index % {outputs}u;
                let row = index / {outputs}u * {inner}u;
                let block = output / {BLOCK}u * {block_bytes}u + output % {BLOCK}u * {FOUR}u;
                {prepare}
                var sum = 0;
                for (var k = 0u; k < {inner}u; k++) {{
                    let weight = read1(block + k / {FOUR}u * {step}u + k % {FOUR}u);
                    sum += {value} * weight;
                }}
                let whole = f32(sum - {zero} * read2(output)) * scale;
                let value = whole * read3(output) + read4(output);
                {finish}
            }}",
            step = BLOCK * FOUR,
            finish = self.finish.wgsl("value", "index"),
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}
