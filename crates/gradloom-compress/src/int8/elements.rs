//! Integers of numbers, and sums of integers of two scales.

use gradloom_tensor::custom_op::{CustomOp, HostOperand, HostResult, TensorType, Wgsl, custom_op};
use gradloom_tensor::{DType, Error, Result, Shape, Tensor};
use rayon::prelude::*;

use super::dots::{Dots, Level, Task, dispatch};
use super::finish::{Finish, FinishBits, Finished, Integers, Scaled, literal};
use super::scratch::with_bytes;

/// Elements of a task.
const TASK: usize = 1 << 15;

/// The integers of numbers `x` f32, as [`Finish`] says: between its bounds, u8.
///
/// PyTorch: `torch.quantize_per_tensor`.
///
/// # Panics
/// If `x` is not f32, or the finish has no integers.
#[track_caller]
pub fn quantize(x: &Tensor, finish: Finish) -> Tensor {
    let [y] = custom_op(Quantize { finish: finish.into(), moves: false }, &[x]);
    y
}

/// As [`quantize`], of `[N, C, ..]` to `[N, .., C]`.
///
/// # Panics
/// As [`quantize`], and if `x` has fewer than three axes.
#[track_caller]
pub fn quantize_channels_last(x: &Tensor, finish: Finish) -> Tensor {
    let [y] = custom_op(Quantize { finish: finish.into(), moves: true }, &[x]);
    y
}

/// The sum of integers of the same shape, each as it says, between bounds and as integers again if [`Finish`] says so.
///
/// PyTorch: `torch.ops.quantized.add`.
///
/// # Panics
/// If they are not u8 of one shape.
#[track_caller]
pub fn add([one, other]: [&Tensor; 2], of: [Integers; 2], finish: Finish) -> Tensor {
    let of = of.map(|own| (own.scale.to_bits(), own.zero_point));
    let [y] = custom_op(Add { of, finish: finish.into() }, &[one, other]);
    y
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Quantize {
    finish: FinishBits,
    /// Whether channels become the last axis.
    moves: bool,
}

impl Quantize {
    /// Channels and elements of each that change places; 1 of either if none do.
    fn sizes(&self, shape: &Shape) -> [usize; 2] {
        match self.moves {
            true => [shape[1], shape[2..].iter().product()],
            false => [1, shape.count().max(1)],
        }
    }
}

/// Numbers side by side.
struct Numbers<'a> {
    x: &'a [f32],
    scaled: Scaled,
    out: &'a mut [u8],
}

impl Task for Numbers<'_> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        for (slot, &value) in self.out.iter_mut().zip(self.x) {
            *slot = u8::of(value, self.scaled);
        }
    }
}

impl CustomOp for Quantize {
    fn name(&self) -> &'static str {
        "int8 quantize"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let x = operands[0];
        if (x.dtype, self.finish.dtype()) != (DType::F32, DType::U8) {
            return Err(Error::shape(format!("{} to {}", x.dtype, self.finish.dtype())));
        }
        self.finish.check()?;
        let mut shape = x.shape.to_vec();
        if self.moves {
            if shape.len() < 3 {
                return Err(Error::shape(format!("channels of shape {}", x.shape)));
            }
            shape[1..].rotate_left(1);
        }
        Ok(vec![TensorType::new(&shape[..], DType::U8)])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let [channels, area] = self.sizes(&operands[0].of.shape);
        let (x, out) = (operands[0].elements::<f32>(), results[0].elements::<u8>());
        let (level, scaled) = (Level::best(), self.finish.scaled());
        if channels <= 1 || area <= 1 {
            out.par_chunks_mut(TASK).zip(x.par_chunks(TASK)).for_each(|(out, x)| {
                dispatch(level, Numbers { x, scaled, out });
            });
            return Ok(());
        }
        let size = channels * area;
        out.par_chunks_exact_mut(size).zip(x.par_chunks_exact(size)).for_each(|(out, x)| {
            with_bytes(size, |bytes| {
                dispatch(level, Numbers { x, scaled, out: &mut *bytes });
                for (channel, plane) in bytes.chunks_exact(area).enumerate() {
                    let places = out[channel..].iter_mut().step_by(channels);
                    places.zip(plane).for_each(|(slot, &byte)| *slot = byte);
                }
            });
        });
        Ok(())
    }

    fn wgsl(&self, operands: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let [channels, area] = self.sizes(&operands[0].shape);
        let source = format!(
            "fn element(index: u32) {{
                let picture = index / {size}u * {size}u;
                let inside = index % {size}u;
                let value = read0(picture + inside % {channels}u * {area}u + inside / {channels}u);
                {finish}
            }}",
            size = channels * area,
            finish = self.finish.wgsl("value", "index"),
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Add {
    /// Scales and zero points.
    of: [(u32, u8); 2],
    finish: FinishBits,
}

/// Sums of integers side by side.
struct Sums<'a, T> {
    terms: [&'a [u8]; 2],
    /// Scales and zero points.
    of: [(f32, f32); 2],
    scaled: Scaled,
    out: &'a mut [T],
}

impl<T: Finished> Task for Sums<'_, T> {
    #[inline(always)]
    fn run<D: Dots, const ROWS: usize, const COLUMNS: usize>(self) {
        let Sums { terms: [one, other], of, scaled, out } = self;
        let value = |integer: u8, (scale, zero): (f32, f32)| (f32::from(integer) - zero) * scale;
        for ((slot, &one), &other) in out.iter_mut().zip(one).zip(other) {
            *slot = T::of(value(one, of[0]) + value(other, of[1]), scaled);
        }
    }
}

impl Add {
    fn numbers(&self) -> [(f32, f32); 2] {
        self.of.map(|(scale, zero)| (f32::from_bits(scale), f32::from(zero)))
    }

    fn compute<T: Finished>(&self, terms: [&[u8]; 2], out: &mut [T]) {
        let (level, of, scaled) = (Level::best(), self.numbers(), self.finish.scaled());
        let [one, other] = terms.map(|term| term.par_chunks(TASK));
        out.par_chunks_mut(TASK).zip(one).zip(other).for_each(|((out, one), other)| {
            dispatch(level, Sums { terms: [one, other], of, scaled, out });
        });
    }
}

impl CustomOp for Add {
    fn name(&self) -> &'static str {
        "int8 add"
    }

    fn results(&self, operands: &[TensorType]) -> Result<Vec<TensorType>> {
        let [one, other] = [&operands[0], &operands[1]];
        if one != other || one.dtype != DType::U8 {
            return Err(Error::shape(format!("{one} and {other}, not u8 of one shape")));
        }
        self.finish.check()?;
        Ok(vec![TensorType { shape: one.shape, dtype: self.finish.dtype() }])
    }

    fn run(&self, operands: &[HostOperand<'_>], results: &mut [HostResult<'_>]) -> Result<()> {
        let terms = [0, 1].map(|index| operands[index].elements::<u8>());
        match self.finish.dtype() {
            DType::U8 => self.compute(terms, results[0].elements::<u8>()),
            _ => self.compute(terms, results[0].elements::<f32>()),
        }
        Ok(())
    }

    fn wgsl(&self, _: &[TensorType], results: &[TensorType]) -> Option<Wgsl> {
        let numbers = self.numbers();
        let [one, other] = [0, 1].map(|index| {
            let (scale, zero) = numbers[index];
            format!("(f32(read{index}(index)) - {}) * {}", literal(zero), literal(scale))
        });
        let source = format!(
            "fn element(index: u32) {{
                let one = {one};
                let other = {other};
                {finish}
            }}",
            finish = self.finish.wgsl("(one + other)", "index"),
        );
        Some(Wgsl::elements(source, results[0].shape.count()))
    }
}
