//! [`Lanes`] of NEON: four registers of four words.
#![expect(unsafe_code, reason = "intrinsics; NEON is part of the architecture")]

use std::arch::aarch64::*;

use super::lanes::{Lanes, Portable};

/// NEON.
#[derive(Clone, Copy)]
pub(super) struct Neon;

// SAFETY of all intrinsics below: every processor of this architecture has NEON.

impl Neon {
    /// Products of 16 signed bytes with four numbers over and over, summed by fours.
    #[inline(always)]
    fn dot16(sum: uint32x4_t, bytes: uint32x4_t, numbers: u32) -> uint32x4_t {
        // SAFETY: see above. A product of signed bytes fits 16 bits.
        unsafe {
            let numbers = vreinterpretq_s8_u32(vdupq_n_u32(numbers));
            let bytes = vreinterpretq_s8_u32(bytes);
            let low = vmull_s8(vget_low_s8(bytes), vget_low_s8(numbers));
            let high = vmull_s8(vget_high_s8(bytes), vget_high_s8(numbers));
            let fours = vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high));
            vaddq_u32(sum, vreinterpretq_u32_s32(fours))
        }
    }
}

type Quad = [uint32x4_t; 4];

#[inline(always)]
fn both(a: Quad, b: Quad, change: impl Fn(uint32x4_t, uint32x4_t) -> uint32x4_t) -> Quad {
    std::array::from_fn(|index| change(a[index], b[index]))
}

impl Lanes for Neon {
    type Words = Quad;
    type Floats = [float32x4_t; 4];
    const BIASED: bool = false;

    #[inline(always)]
    unsafe fn load(pointer: *const u8) -> Quad {
        // SAFETY: the caller vouches for 64 bytes.
        std::array::from_fn(|index| unsafe {
            vreinterpretq_u32_u8(vld1q_u8(pointer.add(16 * index)))
        })
    }

    #[inline(always)]
    unsafe fn load_halves(pointer: *const u8) -> [float32x4_t; 4] {
        // SAFETY: the caller vouches for 32 bytes.
        let floats = unsafe { Portable::load_halves(pointer) };
        // SAFETY: the array has 16 floats.
        std::array::from_fn(|index| unsafe { vld1q_f32(floats.as_ptr().add(4 * index)) })
    }

    #[inline(always)]
    unsafe fn store(floats: [float32x4_t; 4], pointer: *mut f32) {
        for (index, four) in floats.into_iter().enumerate() {
            // SAFETY: the caller vouches for 16 floats.
            unsafe { vst1q_f32(pointer.add(4 * index), four) };
        }
    }

    #[inline(always)]
    fn splat(word: u32) -> Quad {
        // SAFETY: see above.
        [unsafe { vdupq_n_u32(word) }; 4]
    }

    #[inline(always)]
    fn and(a: Quad, b: Quad) -> Quad {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { vandq_u32(a, b) })
    }

    #[inline(always)]
    fn or(a: Quad, b: Quad) -> Quad {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { vorrq_u32(a, b) })
    }

    #[inline(always)]
    fn shift_right(words: Quad, bits: u32) -> Quad {
        // SAFETY: see above. A negative shift moves bits down.
        words.map(|four| unsafe { vshlq_u32(four, vdupq_n_s32(-(bits as i32))) })
    }

    #[inline(always)]
    fn shift_left(words: Quad, bits: u32) -> Quad {
        // SAFETY: see above.
        words.map(|four| unsafe { vshlq_u32(four, vdupq_n_s32(bits as i32)) })
    }

    #[inline(always)]
    fn add(a: Quad, b: Quad) -> Quad {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { vaddq_u32(a, b) })
    }

    #[inline(always)]
    fn multiply(a: Quad, b: Quad) -> Quad {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { vmulq_u32(a, b) })
    }

    #[inline(always)]
    fn dot(sum: Quad, bytes: Quad, numbers: u32) -> Quad {
        both(sum, bytes, |sum, bytes| Neon::dot16(sum, bytes, numbers))
    }

    #[inline(always)]
    fn dot_signed(sum: Quad, bytes: Quad, numbers: u32) -> Quad {
        both(sum, bytes, |sum, bytes| Neon::dot16(sum, bytes, numbers))
    }

    #[inline(always)]
    fn floats(words: Quad) -> [float32x4_t; 4] {
        // SAFETY: see above.
        words.map(|four| unsafe { vcvtq_f32_s32(vreinterpretq_s32_u32(four)) })
    }

    #[inline(always)]
    fn splat_float(value: f32) -> [float32x4_t; 4] {
        // SAFETY: see above.
        [unsafe { vdupq_n_f32(value) }; 4]
    }

    #[inline(always)]
    fn scale(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
        // SAFETY: see above.
        std::array::from_fn(|index| unsafe { vmulq_f32(a[index], b[index]) })
    }

    #[inline(always)]
    fn multiply_add(
        a: [float32x4_t; 4],
        b: [float32x4_t; 4],
        sum: [float32x4_t; 4],
    ) -> [float32x4_t; 4] {
        // SAFETY: see above.
        std::array::from_fn(|index| unsafe { vfmaq_f32(sum[index], a[index], b[index]) })
    }
}
