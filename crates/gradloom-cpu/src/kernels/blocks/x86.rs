//! [`Lanes`] of AVX2 (two halves), of AVX-512, and of AVX-512 with VNNI.
//!
//! Only functions that were compiled with these features use them, see [`super::product`].
#![expect(unsafe_code, reason = "intrinsics need their features")]

use std::arch::x86_64::*;

use super::lanes::Lanes;

/// AVX2 and F16C.
#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// AVX-512 with bytes and words.
#[derive(Clone, Copy)]
pub(super) struct Avx512;

/// The same with dot products of bytes.
#[derive(Clone, Copy)]
pub(super) struct Vnni;

type Pair = [__m256i; 2];

// SAFETY of all intrinsics below: the types are only used where their features were found.

#[inline(always)]
fn halves(words: Pair, change: impl Fn(__m256i) -> __m256i) -> Pair {
    words.map(change)
}

#[inline(always)]
fn both(a: Pair, b: Pair, change: impl Fn(__m256i, __m256i) -> __m256i) -> Pair {
    [change(a[0], b[0]), change(a[1], b[1])]
}

impl Lanes for Avx2 {
    type Words = Pair;
    type Floats = [__m256; 2];
    const BIASED: bool = false;

    #[inline(always)]
    unsafe fn load(pointer: *const u8) -> Pair {
        // SAFETY: the caller vouches for 64 bytes.
        unsafe { [_mm256_loadu_si256(pointer.cast()), _mm256_loadu_si256(pointer.add(32).cast())] }
    }

    #[inline(always)]
    unsafe fn load_halves(pointer: *const u8) -> [__m256; 2] {
        // SAFETY: the caller vouches for 32 bytes.
        unsafe { [0, 16].map(|at| _mm256_cvtph_ps(_mm_loadu_si128(pointer.add(at).cast()))) }
    }

    #[inline(always)]
    unsafe fn store(floats: [__m256; 2], pointer: *mut f32) {
        // SAFETY: the caller vouches for 16 floats.
        unsafe {
            _mm256_storeu_ps(pointer, floats[0]);
            _mm256_storeu_ps(pointer.add(8), floats[1]);
        }
    }

    #[inline(always)]
    fn splat(word: u32) -> Pair {
        // SAFETY: see above.
        [unsafe { _mm256_set1_epi32(word as i32) }; 2]
    }

    #[inline(always)]
    fn and(a: Pair, b: Pair) -> Pair {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_and_si256(a, b) })
    }

    #[inline(always)]
    fn or(a: Pair, b: Pair) -> Pair {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_or_si256(a, b) })
    }

    #[inline(always)]
    fn shift_right(words: Pair, bits: u32) -> Pair {
        // SAFETY: see above.
        halves(words, |half| unsafe { _mm256_srl_epi32(half, _mm_cvtsi32_si128(bits as i32)) })
    }

    #[inline(always)]
    fn shift_left(words: Pair, bits: u32) -> Pair {
        // SAFETY: see above.
        halves(words, |half| unsafe { _mm256_sll_epi32(half, _mm_cvtsi32_si128(bits as i32)) })
    }

    #[inline(always)]
    fn add(a: Pair, b: Pair) -> Pair {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_add_epi32(a, b) })
    }

    #[inline(always)]
    fn multiply(a: Pair, b: Pair) -> Pair {
        // SAFETY: see above.
        both(a, b, |a, b| unsafe { _mm256_mullo_epi32(a, b) })
    }

    #[inline(always)]
    fn dot(sum: Pair, bytes: Pair, numbers: u32) -> Pair {
        // SAFETY: see above. Pairs of products stay below 2 * 127 * 128, so they fit 16 bits.
        unsafe {
            let numbers = _mm256_set1_epi32(numbers as i32);
            both(sum, bytes, |sum, bytes| {
                let pairs = _mm256_maddubs_epi16(bytes, numbers);
                _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
    }

    #[inline(always)]
    fn dot_signed(sum: Pair, bytes: Pair, numbers: u32) -> Pair {
        // SAFETY: see above. The signs go to the other factor, so that one is not negative; numbers
        // are at least -127, so their negatives exist, and pairs stay below 2 * 128 * 127.
        unsafe {
            let numbers = _mm256_set1_epi32(numbers as i32);
            both(sum, bytes, |sum, bytes| {
                let signed = _mm256_sign_epi8(numbers, bytes);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(bytes), signed);
                _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
            })
        }
    }

    #[inline(always)]
    fn floats(words: Pair) -> [__m256; 2] {
        // SAFETY: see above.
        words.map(|half| unsafe { _mm256_cvtepi32_ps(half) })
    }

    #[inline(always)]
    fn splat_float(value: f32) -> [__m256; 2] {
        // SAFETY: see above.
        [unsafe { _mm256_set1_ps(value) }; 2]
    }

    #[inline(always)]
    fn scale(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn multiply_add(a: [__m256; 2], b: [__m256; 2], sum: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], sum[0]), _mm256_fmadd_ps(a[1], b[1], sum[1])] }
    }
}

/// What the two versions of AVX-512 share; their dot products follow.
macro_rules! wide {
    ($name:ident, $biased:literal, $($dots:tt)*) => {
        impl Lanes for $name {
            type Words = __m512i;
            type Floats = __m512;
            const BIASED: bool = $biased;

            #[inline(always)]
            unsafe fn load(pointer: *const u8) -> __m512i {
                // SAFETY: the caller vouches for 64 bytes.
                unsafe { _mm512_loadu_si512(pointer.cast()) }
            }

            #[inline(always)]
            unsafe fn load_halves(pointer: *const u8) -> __m512 {
                // SAFETY: the caller vouches for 32 bytes.
                unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(pointer.cast())) }
            }

            #[inline(always)]
            unsafe fn store(floats: __m512, pointer: *mut f32) {
                // SAFETY: the caller vouches for 16 floats.
                unsafe { _mm512_storeu_ps(pointer, floats) }
            }

            #[inline(always)]
            fn splat(word: u32) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_set1_epi32(word as i32) }
            }

            #[inline(always)]
            fn and(a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_and_si512(a, b) }
            }

            #[inline(always)]
            fn or(a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_or_si512(a, b) }
            }

            #[inline(always)]
            fn shift_right(words: __m512i, bits: u32) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_srl_epi32(words, _mm_cvtsi32_si128(bits as i32)) }
            }

            #[inline(always)]
            fn shift_left(words: __m512i, bits: u32) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_sll_epi32(words, _mm_cvtsi32_si128(bits as i32)) }
            }

            #[inline(always)]
            fn add(a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_add_epi32(a, b) }
            }

            #[inline(always)]
            fn multiply(a: __m512i, b: __m512i) -> __m512i {
                // SAFETY: see above.
                unsafe { _mm512_mullo_epi32(a, b) }
            }

            #[inline(always)]
            fn floats(words: __m512i) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_cvtepi32_ps(words) }
            }

            #[inline(always)]
            fn splat_float(value: f32) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_set1_ps(value) }
            }

            #[inline(always)]
            fn scale(a: __m512, b: __m512) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_mul_ps(a, b) }
            }

            #[inline(always)]
            fn multiply_add(a: __m512, b: __m512, sum: __m512) -> __m512 {
                // SAFETY: see above.
                unsafe { _mm512_fmadd_ps(a, b, sum) }
            }

            $($dots)*
        }
    };
}

wide! { Avx512, false,
    #[inline(always)]
    fn dot(sum: __m512i, bytes: __m512i, numbers: u32) -> __m512i {
        // SAFETY: see above. As in AVX2, pairs fit 16 bits.
        unsafe {
            let pairs = _mm512_maddubs_epi16(bytes, _mm512_set1_epi32(numbers as i32));
            _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }

    #[inline(always)]
    fn dot_signed(sum: __m512i, bytes: __m512i, numbers: u32) -> __m512i {
        // SAFETY: see above. There is no sign instruction: numbers are negated where bytes are
        // negative.
        unsafe {
            let numbers = _mm512_set1_epi32(numbers as i32);
            let zero = _mm512_setzero_si512();
            let negative = _mm512_movepi8_mask(bytes);
            let signed = _mm512_mask_sub_epi8(numbers, negative, zero, numbers);
            let pairs = _mm512_maddubs_epi16(_mm512_abs_epi8(bytes), signed);
            _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
        }
    }
}

wide! { Vnni, true,
    #[inline(always)]
    fn dot(sum: __m512i, bytes: __m512i, numbers: u32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpbusd_epi32(sum, bytes, _mm512_set1_epi32(numbers as i32)) }
    }

    #[inline(always)]
    fn dot_signed(sum: __m512i, bytes: __m512i, numbers: u32) -> __m512i {
        // SAFETY: see above. Bytes plus 128 are not negative; the sum is that much too large.
        unsafe {
            let raised = _mm512_xor_si512(bytes, _mm512_set1_epi8(-128));
            _mm512_dpbusd_epi32(sum, raised, _mm512_set1_epi32(numbers as i32))
        }
    }
}
