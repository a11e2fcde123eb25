//! Between stored elements and lanes, the types that arithmetic is done in: f16 and bf16 become f32,
//! i8 becomes i32, u8 and bool become u32 (truth values are 0 and 1).
//!
//! The half-precision conversions are bit arithmetic without branches, so loops over them vectorise on
//! every level.

use bytemuck::Pod;
use gradloom_tensor::DType;

/// A type that arithmetic is done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    F32,
    F64,
    I32,
    I64,
    U32,
}

impl Lane {
    /// The lane that values of `dtype` are computed in.
    pub(crate) fn of(dtype: DType) -> Lane {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Lane::F32,
            DType::F64 => Lane::F64,
            DType::I32 | DType::I8 => Lane::I32,
            DType::I64 => Lane::I64,
            DType::U32 | DType::U8 | DType::Bool => Lane::U32,
        }
    }

    /// Bytes of one value.
    pub(crate) fn size(self) -> usize {
        match self {
            Lane::F64 | Lane::I64 => 8,
            Lane::F32 | Lane::I32 | Lane::U32 => 4,
        }
    }

    /// True if stored elements of `dtype` are lanes already.
    pub(crate) fn stores(dtype: DType) -> bool {
        matches!(dtype, DType::F32 | DType::F64 | DType::I32 | DType::I64 | DType::U32)
    }
}

/// A conversion of one value, by a type without size so that loops over it are compiled for it.
pub(crate) trait Convert<A, B>: Copy {
    fn convert(value: A) -> B;
}

/// No change.
#[derive(Clone, Copy, Default)]
pub(crate) struct Same;

impl<T: Pod> Convert<T, T> for Same {
    #[inline(always)]
    fn convert(value: T) -> T {
        value
    }
}

/// f16 bits to f32 and back, to nearest even.
#[derive(Clone, Copy, Default)]
pub(crate) struct Half;

impl Convert<u16, f32> for Half {
    #[inline(always)]
    fn convert(value: u16) -> f32 {
        let magnitude = u32::from(value & 0x7fff) << 13;
        // 2^112 moves the exponent's bias and makes numbers below the normal range normal.
        let scaled = f32::from_bits(magnitude) * f32::from_bits(0x7780_0000);
        let special = magnitude | 0x7f80_0000;
        let bits = if magnitude >= 0x0f80_0000 { special } else { scaled.to_bits() };
        f32::from_bits(bits | u32::from(value & 0x8000) << 16)
    }
}

impl Convert<f32, u16> for Half {
    #[inline(always)]
    fn convert(value: f32) -> u16 {
        let bits = value.to_bits();
        let magnitude = bits & 0x7fff_ffff;
        // Normal results: rounds the 13 bits that go, and moves the bias.
        let odd = magnitude >> 13 & 1;
        let normal =
            magnitude.wrapping_add(0x0fff).wrapping_add(odd).wrapping_sub(0x3800_0000) >> 13;
        // Below the normal range: adding 1/2 leaves multiples of 2^-24 in the low bits.
        let small = (f32::from_bits(magnitude) + 0.5).to_bits().wrapping_sub(0x3f00_0000);
        let result = if magnitude < 0x3880_0000 { small } else { normal };
        let result = if magnitude >= 0x4780_0000 { 0x7c00 } else { result };
        let result = if magnitude > 0x7f80_0000 { 0x7e00 } else { result };
        result as u16 | (bits >> 16 & 0x8000) as u16
    }
}

/// bf16 bits to f32 and back, to nearest even.
#[derive(Clone, Copy, Default)]
pub(crate) struct Brain;

impl Convert<u16, f32> for Brain {
    #[inline(always)]
    fn convert(value: u16) -> f32 {
        f32::from_bits(u32::from(value) << 16)
    }
}

impl Convert<f32, u16> for Brain {
    #[inline(always)]
    fn convert(value: f32) -> u16 {
        let bits = value.to_bits();
        let rounded = bits.wrapping_add(0x7fff).wrapping_add(bits >> 16 & 1) >> 16;
        let quiet = bits >> 16 | 0x40;
        (if bits & 0x7fff_ffff > 0x7f80_0000 { quiet } else { rounded }) as u16
    }
}

/// What another conversion gives, rounded to the halves of a second one.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rounded<C, H>(C, H);

impl<S, C: Convert<S, f32>, H: Convert<f32, u16> + Convert<u16, f32>> Convert<S, f32>
    for Rounded<C, H>
{
    #[inline(always)]
    fn convert(value: S) -> f32 {
        H::convert(<H as Convert<f32, u16>>::convert(C::convert(value)))
    }
}

/// Bytes as integers, wrapped when stored.
#[derive(Clone, Copy, Default)]
pub(crate) struct Byte;

impl Convert<u8, u32> for Byte {
    #[inline(always)]
    fn convert(value: u8) -> u32 {
        u32::from(value)
    }
}

impl Convert<u32, u8> for Byte {
    #[inline(always)]
    fn convert(value: u32) -> u8 {
        value as u8
    }
}

/// Signed bytes as integers, wrapped when stored.
#[derive(Clone, Copy, Default)]
pub(crate) struct SignedByte;

impl Convert<i8, i32> for SignedByte {
    #[inline(always)]
    fn convert(value: i8) -> i32 {
        i32::from(value)
    }
}

impl Convert<i32, i8> for SignedByte {
    #[inline(always)]
    fn convert(value: i32) -> i8 {
        value as i8
    }
}

/// Bytes as truth values.
#[derive(Clone, Copy, Default)]
pub(crate) struct Truth;

impl Convert<u8, u32> for Truth {
    #[inline(always)]
    fn convert(value: u8) -> u32 {
        u32::from(value != 0)
    }
}

impl Convert<u32, u8> for Truth {
    #[inline(always)]
    fn convert(value: u32) -> u8 {
        u8::from(value != 0)
    }
}

/// Calls a generic function with the stored type, the lane type and the conversion of a dtype:
/// `with_storage!(dtype, |S, L, C| expression)`.
macro_rules! with_storage {
    ($dtype:expr, |$stored:ident, $lane:ident, $convert:ident| $body:expr) => {{
        use $crate::convert::{Brain, Byte, Half, Same, SignedByte, Truth};
        macro_rules! arm {
            ($s:ty, $l:ty, $c:ty) => {{
                type $stored = $s;
                type $lane = $l;
                type $convert = $c;
                $body
            }};
        }
        match $dtype {
            gradloom_tensor::DType::F32 => arm!(f32, f32, Same),
            gradloom_tensor::DType::F64 => arm!(f64, f64, Same),
            gradloom_tensor::DType::I32 => arm!(i32, i32, Same),
            gradloom_tensor::DType::I64 => arm!(i64, i64, Same),
            gradloom_tensor::DType::I8 => arm!(i8, i32, SignedByte),
            gradloom_tensor::DType::U32 => arm!(u32, u32, Same),
            gradloom_tensor::DType::F16 => arm!(u16, f32, Half),
            gradloom_tensor::DType::BF16 => arm!(u16, f32, Brain),
            gradloom_tensor::DType::U8 => arm!(u8, u32, Byte),
            gradloom_tensor::DType::Bool => arm!(u8, u32, Truth),
        }
    }};
}
pub(crate) use with_storage;

#[cfg(test)]
mod tests {
    use super::*;
    use gradloom_tensor::{bf16, f16};

    #[test]
    fn half_precision_agrees_with_the_half_crate_on_every_bit_pattern() {
        for bits in 0..=u16::MAX {
            let (ours, exact): (f32, f32) = (Half::convert(bits), f16::from_bits(bits).to_f32());
            assert!(ours == exact || (ours.is_nan() && exact.is_nan()), "f16 {bits:#x}");
            assert_eq!(ours.is_sign_negative(), exact.is_sign_negative());
            let (ours, exact): (f32, f32) = (Brain::convert(bits), bf16::from_bits(bits).to_f32());
            assert!(ours == exact || (ours.is_nan() && exact.is_nan()), "bf16 {bits:#x}");
        }
        let mut bits = 0u32;
        loop {
            let value = f32::from_bits(bits);
            let half = f16::from_bits(<Half as Convert<f32, u16>>::convert(value));
            let exact = f16::from_f32(value);
            assert!(half == exact || (half.is_nan() && exact.is_nan()), "{value:e} {half} {exact}");
            let brain = bf16::from_bits(<Brain as Convert<f32, u16>>::convert(value));
            let exact = bf16::from_f32(value);
            assert!(brain == exact || (brain.is_nan() && exact.is_nan()), "{value:e}");
            // Visits halfway cases too: their low 13 bits are 0x1000.
            let Some(next) = bits.checked_add(if bits & 0xfff == 0 { 1 } else { 0xfff }) else {
                break;
            };
            bits = next;
        }
    }
}
