//! [`Finish`]: what becomes of a sum of integers.

use gradloom_tensor::custom_op::{HostOperand, TensorType};
use gradloom_tensor::{DType, Error, Result};

use super::packed::Layout;

/// How `u8` stand for numbers: `(q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Integers {
    /// The distance of neighbours, positive.
    pub scale: f32,
    /// The integer of zero.
    pub zero_point: u8,
    /// The greatest integer, 255 for 8 bits.
    pub high: u8,
}

/// What becomes of the sum `s` of an output `o`: `s * factor[o] + term[o]` between two bounds, in f32 or as integers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finish {
    /// Least and greatest result, infinite if there is none.
    pub bounds: [f32; 2],
    /// The integers of the result; f32 if none.
    pub to: Option<Integers>,
}

impl Default for Finish {
    fn default() -> Self {
        Finish { bounds: [f32::NEG_INFINITY, f32::INFINITY], to: None }
    }
}

/// A [`Finish`] as numbers that are equal if they do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct FinishBits {
    bounds: [u32; 2],
    to: Option<(u32, u8, u8)>,
}

impl From<Finish> for FinishBits {
    fn from(finish: Finish) -> FinishBits {
        let to = finish.to.map(|to| (to.scale.to_bits(), to.zero_point, to.high));
        FinishBits { bounds: finish.bounds.map(f32::to_bits), to }
    }
}

impl FinishBits {
    fn bounds(self) -> [f32; 2] {
        self.bounds.map(f32::from_bits)
    }

    /// # Errors
    /// If integers have no scale.
    pub(super) fn check(self) -> Result<()> {
        if let Some((scale, _, _)) = self.to {
            let scale = f32::from_bits(scale);
            if !scale.is_normal() || scale < 0.0 {
                return Err(Error::invalid(format!(
                    "integers of scale {scale}; it must be positive"
                )));
            }
        }
        Ok(())
    }

    pub(super) fn dtype(self) -> DType {
        if self.to.is_some() { DType::U8 } else { DType::F32 }
    }

    /// As loops apply it.
    pub(super) fn scaled(self) -> Scaled {
        let [low, high] = self.bounds();
        let Some((scale, zero_point, most)) = self.to else {
            return Scaled { inverse: 1.0, zero_point: 0, low, high };
        };
        let (inverse, zero) = (1.0 / f32::from_bits(scale), f32::from(zero_point));
        let bound = |bound: f32| (bound * inverse).round_ties_even() + zero;
        let low = bound(low).max(0.0).min(f32::from(most));
        let high = bound(high).min(f32::from(most)).max(low);
        Scaled { inverse, zero_point, low: low - zero, high: high - zero }
    }

    /// The text of a shader that finishes `value` as the element `index`.
    pub(super) fn wgsl(self, value: &str, index: &str) -> String {
        let Scaled { inverse, zero_point, low, high } = self.scaled();
        match self.to {
            Some(_) => format!(
                "write0({index}, u32(clamp(round({value} * {}), {}, {}) + {}));",
                literal(inverse),
                literal(low),
                literal(high),
                literal(f32::from(zero_point))
            ),
            None => {
                // Comparisons that are false of NaN keep it.
                let bounds = [("<", low), (">", high)].map(|(beyond, bound)| {
                    let bound = bound.is_finite().then(|| literal(bound));
                    bound.map_or_else(String::new, |bound| {
                        format!("if (finished {beyond} {bound}) {{ finished = {bound}; }}")
                    })
                });
                format!("var finished = {value}; {} write0({index}, finished);", bounds.concat())
            }
        }
    }
}

/// A number as WGSL writes it; infinite ones are the greatest.
pub(super) fn literal(value: f32) -> String {
    format!("bitcast<f32>({}u)", value.clamp(f32::MIN, f32::MAX).to_bits())
}

/// Numbers of a [`Finish`]. Bounds of integers are whole, and from the zero point.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scaled {
    inverse: f32,
    zero_point: u8,
    low: f32,
    high: f32,
}

/// What a finished value is stored as.
pub(super) trait Finished: Copy + Send + Sync + bytemuck::Pod {
    fn of(value: f32, scaled: Scaled) -> Self;
}

impl Finished for f32 {
    #[inline(always)]
    fn of(value: f32, scaled: Scaled) -> f32 {
        // Comparisons that are false of NaN keep it.
        let value = if value < scaled.low { scaled.low } else { value };
        if value > scaled.high { scaled.high } else { value }
    }
}

impl Finished for u8 {
    #[inline(always)]
    fn of(value: f32, scaled: Scaled) -> u8 {
        let value = value * scaled.inverse;
        let value = if value > scaled.low { value } else { scaled.low };
        let value = if value < scaled.high { value } else { scaled.high };
        (rounded(value) as u8).wrapping_add(scaled.zero_point)
    }
}

/// The integer next to a number within -2^22 and 2^22, ties to even, by an addition whose last bit is worth 1: vectors
/// have no conversion that Rust defines for all numbers.
#[inline(always)]
pub(super) fn rounded(value: f32) -> i32 {
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    (value + WHOLE).to_bits() as i32 - WHOLE.to_bits() as i32
}

/// What belongs to the outputs of a product.
#[derive(Clone, Copy)]
pub(super) struct OfOutputs<'a> {
    /// `[O]`: sums of weights, each of which a sum has `zero_point` times too many.
    pub(super) sums: &'a [i32],
    /// `[O]`
    pub(super) factor: &'a [f32],
    /// `[O]`
    pub(super) term: &'a [f32],
    pub(super) zero_point: i32,
    pub(super) scaled: Scaled,
}

impl<'a> OfOutputs<'a> {
    /// Of the operands of a product that follow its input and its weights.
    pub(super) fn of(
        operands: &[HostOperand<'a>],
        zero_point: i32,
        finish: FinishBits,
    ) -> OfOutputs<'a> {
        OfOutputs {
            sums: operands[2].elements(),
            factor: operands[3].elements(),
            term: operands[4].elements(),
            zero_point,
            scaled: finish.scaled(),
        }
    }

    /// Some neighbouring outputs.
    pub(super) fn part(&self, first: usize, count: usize) -> OfOutputs<'a> {
        OfOutputs {
            sums: &self.sums[first..][..count],
            factor: &self.factor[first..][..count],
            term: &self.term[first..][..count],
            ..*self
        }
    }

    /// What sums become that are a row's, one for each output.
    #[inline(always)]
    pub(super) fn finish<T: Finished>(&self, sums: &[i32], scale: f32, out: &mut [T]) {
        let OfOutputs { sums: all, factor, term, zero_point, scaled } = *self;
        let count = out.len();
        let (sums, all) = (&sums[..count], &all[..count]);
        let (factor, term) = (&factor[..count], &term[..count]);
        for index in 0..count {
            let moved = zero_point.wrapping_mul(all[index]);
            let whole = sums[index].wrapping_sub(moved) as f32 * scale;
            out[index] = T::of(whole * factor[index] + term[index], scaled);
        }
    }
}

/// Products up to which sums of u8 times i8 stay within 32 bits, with the correction of the zero point.
pub(super) const INNER_MAX: usize = 1 << 16;

/// Checks the operands of a product: its input of a dtype, weights packed in a layout, and what belongs to its outputs.
/// `sizes` gives the layout, and the products of a sum.
pub(super) fn check_product(
    operands: &[TensorType],
    dtype: DType,
    finish: FinishBits,
    sizes: impl FnOnce() -> Result<(Layout, usize)>,
) -> Result<()> {
    let [x, packed, sums, factor, term] = operands else {
        return Err(Error::shape(format!("{} operands instead of 5", operands.len())));
    };
    if (x.dtype, packed.dtype) != (dtype, DType::I8) {
        return Err(Error::shape(format!(
            "{} and {} instead of {dtype} and i8",
            x.dtype, packed.dtype
        )));
    }
    let (layout, inner) = sizes()?;
    check_outputs(finish, layout.groups * layout.outputs, inner, [sums, factor, term])?;
    let (found, bytes) = (packed.shape.count(), layout.bytes());
    if found != bytes {
        return Err(Error::shape(format!("{found} packed weights instead of {bytes}")));
    }
    Ok(())
}

/// Checks what belongs to the outputs of a product, and what becomes of its sums.
fn check_outputs(
    finish: FinishBits,
    outputs: usize,
    inner: usize,
    [sums, factor, term]: [&TensorType; 3],
) -> Result<()> {
    finish.check()?;
    if inner > INNER_MAX {
        return Err(Error::shape(format!(
            "sums of {inner} products do not fit into 32 bits; split them into parts of at most {INNER_MAX}"
        )));
    }
    for (name, tensor, dtype) in
        [("sums", sums, DType::I32), ("factor", factor, DType::F32), ("term", term, DType::F32)]
    {
        if *tensor != TensorType::new([outputs], dtype) {
            return Err(Error::shape(format!("{name} are {tensor}, not {dtype} [{outputs}]")));
        }
    }
    Ok(())
}
