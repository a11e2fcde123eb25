//! Conversions between dtypes, and the generator of random bits.

use bytemuck::Pod;
use gradloom_tensor::DType;
use gradloom_tensor::rounding::{to_odd, whole_to_odd};

use super::operand::Operand;
use super::unary::Lanes;
use crate::convert::{Brain, Convert, Half, Rounded, Same};
use crate::simd::{Level, vectorized};

/// A conversion as a type without size.
trait Apply<A, B>: Copy {
    /// See [`Vectorized::WIDE`](crate::simd::Vectorized::WIDE).
    const WIDE: bool;
    fn apply(a: A) -> B;
}

vectorized! {
    fn map['a][A: Pod, B: Pod, F: Apply<A, B>] wide(F::WIDE) (
        function: F, value: Operand<'a, A>, out: &'a mut [B]
    ) {
        let _ = function;
        match value {
            Operand::Slice(values) => {
                for (slot, &a) in out.iter_mut().zip(values) {
                    *slot = F::apply(a);
                }
            }
            Operand::Scalar(a) => out.fill(F::apply(a)),
        }
    }

    fn threefry_lanes['a][](key: [u32; 2], index: Operand<'a, i32>, out: &'a mut [u32]) {
        match index {
            Operand::Slice(indices) => {
                for (slot, &index) in out.iter_mut().zip(indices) {
                    *slot = threefry_word(key, index as u32);
                }
            }
            Operand::Scalar(index) => out.fill(threefry_word(key, index as u32)),
        }
    }
}

/// The first word of Threefry-2x32-20 for the counter `(index, 0)`, unrolled so that it vectorises;
/// `gradloom_tensor` has the readable form.
#[inline(always)]
fn threefry_word(key: [u32; 2], index: u32) -> u32 {
    let schedule = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
    let (mut a, mut b) = (index.wrapping_add(schedule[0]), schedule[1]);
    macro_rules! rounds {
        ($($rotation:literal),*; $block:literal) => {
            $(
                a = a.wrapping_add(b);
                b = b.rotate_left($rotation) ^ a;
            )*
            a = a.wrapping_add(schedule[($block + 1) % 3]);
            b = b.wrapping_add(schedule[($block + 2) % 3]).wrapping_add($block + 1);
        };
    }
    rounds!(13, 15, 26, 6; 0);
    rounds!(17, 29, 16, 24; 1);
    rounds!(13, 15, 26, 6; 2);
    rounds!(17, 29, 16, 24; 3);
    rounds!(13, 15, 26, 6; 4);
    let _ = b;
    a
}

/// Random words for indices.
pub(super) fn random(level: Level, key: [u32; 2], index: Operand<'_, i32>, out: &mut [u8]) {
    threefry_lanes(level, key, index, bytemuck::cast_slice_mut(out));
}

/// One arm per dtype: defines its conversion and runs the loop.
macro_rules! table {
    ($to:expr, $level:expr, $value:expr, $out:expr, $lane:ty, wide $wide:literal;
     $($variant:ident($a:ident) -> $result:ty = $body:expr;)*) => {
        match $to {
            $(DType::$variant => {
                #[derive(Clone, Copy)]
                struct Function;
                impl Apply<$lane, $result> for Function {
                    const WIDE: bool = $wide;
                    #[inline(always)]
                    fn apply($a: $lane) -> $result {
                        $body
                    }
                }
                map($level, Function, $value, bytemuck::cast_slice_mut::<u8, $result>($out));
            })*
        }
    };
}

#[inline(always)]
fn round_half(value: f32) -> f32 {
    Rounded::<Same, Half>::convert(value)
}

#[inline(always)]
fn round_brain(value: f32) -> f32 {
    Rounded::<Same, Brain>::convert(value)
}

/// Converts a tile to the lanes of `to`. Floats become integers by truncation and saturate; NaN gives
/// zero. Wider integers wrap.
pub(super) fn cast(level: Level, value: Lanes<'_>, to: DType, out: &mut [u8]) {
    match value {
        Lanes::F32(value) => table! { to, level, value, out, f32, wide true;
            F32(a) -> f32 = a;
            F64(a) -> f64 = f64::from(a);
            F16(a) -> f32 = round_half(a);
            BF16(a) -> f32 = round_brain(a);
            I32(a) -> i32 = a as i32;
            I64(a) -> i64 = a as i64;
            I8(a) -> i32 = (a as i32).clamp(-128, 127);
            U32(a) -> u32 = a as u32;
            U8(a) -> u32 = (a as u32).min(255);
            Bool(a) -> u32 = u32::from(a != 0.0);
        },
        Lanes::F64(value) => table! { to, level, value, out, f64, wide false;
            F32(a) -> f32 = a as f32;
            F64(a) -> f64 = a;
            F16(a) -> f32 = round_half(to_odd(a));
            BF16(a) -> f32 = round_brain(to_odd(a));
            I32(a) -> i32 = a as i32;
            I64(a) -> i64 = a as i64;
            I8(a) -> i32 = (a as i32).clamp(-128, 127);
            U32(a) -> u32 = a as u32;
            U8(a) -> u32 = (a as u32).min(255);
            Bool(a) -> u32 = u32::from(a != 0.0);
        },
        Lanes::I32(value) => table! { to, level, value, out, i32, wide false;
            F32(a) -> f32 = a as f32;
            F64(a) -> f64 = f64::from(a);
            F16(a) -> f32 = round_half(a as f32);
            BF16(a) -> f32 = round_brain(to_odd(f64::from(a)));
            I32(a) -> i32 = a;
            I64(a) -> i64 = i64::from(a);
            I8(a) -> i32 = i32::from(a as i8);
            U32(a) -> u32 = a as u32;
            U8(a) -> u32 = u32::from(a as u8);
            Bool(a) -> u32 = u32::from(a != 0);
        },
        Lanes::I64(value) => table! { to, level, value, out, i64, wide false;
            F32(a) -> f32 = a as f32;
            F64(a) -> f64 = a as f64;
            F16(a) -> f32 = round_half(a as f32);
            BF16(a) -> f32 = round_brain(to_odd(whole_to_odd(a)));
            I32(a) -> i32 = a as i32;
            I64(a) -> i64 = a;
            I8(a) -> i32 = i32::from(a as i8);
            U32(a) -> u32 = a as u32;
            U8(a) -> u32 = u32::from(a as u8);
            Bool(a) -> u32 = u32::from(a != 0);
        },
        Lanes::U32(value) => table! { to, level, value, out, u32, wide false;
            F32(a) -> f32 = a as f32;
            F64(a) -> f64 = f64::from(a);
            F16(a) -> f32 = round_half(a as f32);
            BF16(a) -> f32 = round_brain(to_odd(f64::from(a)));
            I32(a) -> i32 = a as i32;
            I64(a) -> i64 = i64::from(a);
            I8(a) -> i32 = i32::from(a as i8);
            U32(a) -> u32 = a;
            U8(a) -> u32 = u32::from(a as u8);
            Bool(a) -> u32 = u32::from(a != 0);
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gradloom_tensor::Key;

    #[test]
    fn halves_of_wide_numbers_are_rounded_once() {
        let wide = [1.0 + 2f64.powi(-8) + 2f64.powi(-22), 1.0 + 2f64.powi(-8) + 2f64.powi(-40)];
        let whole = [(1 << 30) + (1 << 22) + 1, -(1 << 30) - (1 << 22) - 1];
        for level in Level::available() {
            let mut out = [0.0f32; 2];
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
            cast(level, Lanes::F64(Operand::Slice(&wide)), DType::BF16, bytes);
            assert_eq!(out, [1.007_812_5; 2]);
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut out);
            cast(level, Lanes::I32(Operand::Slice(&whole)), DType::BF16, bytes);
            assert_eq!(out, [1.082_130_4e9, -1.082_130_4e9]);
        }
    }

    #[test]
    fn random_words_are_those_of_the_reference() {
        let key = Key::new(0x1234_5678_9abc_def0).words();
        // Folding uses the same generator with another counter, so the vectors come from its source.
        let reference = |index: u32| {
            const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
            let schedule = [key[0], key[1], 0x1BD1_1BDA ^ key[0] ^ key[1]];
            let mut x = [index.wrapping_add(schedule[0]), schedule[1]];
            for block in 0..5 {
                for rotation in ROTATIONS[block % 2] {
                    x[0] = x[0].wrapping_add(x[1]);
                    x[1] = x[1].rotate_left(rotation) ^ x[0];
                }
                x[0] = x[0].wrapping_add(schedule[(block + 1) % 3]);
                x[1] = x[1].wrapping_add(schedule[(block + 2) % 3]).wrapping_add(block as u32 + 1);
            }
            x[0]
        };
        for level in Level::available() {
            let indices: Vec<i32> = (0..100).chain([-1, i32::MAX]).collect();
            let mut out = vec![0u32; indices.len()];
            let bytes = bytemuck::cast_slice_mut(&mut out);
            random(level, key, Operand::Slice(&indices), bytes);
            let expected: Vec<u32> = indices.iter().map(|&index| reference(index as u32)).collect();
            assert_eq!(out, expected);
        }
        assert_eq!(threefry_word([0, 0], 0), 0x6b20_0159);
    }
}
