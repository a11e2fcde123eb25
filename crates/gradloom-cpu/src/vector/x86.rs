//! Vectors of intrinsics. Only tasks that run under the level's features use them.
#![expect(unsafe_code, reason = "intrinsics, and loads and stores by pointer")]

use std::arch::x86_64::*;

use super::lanes::{Vector, VectorTask};
use crate::simd::Level;

macro_rules! vector {
    ($name:ident, $scalar:ty, $register:ty, $lanes:literal, $splat:ident, $load:ident,
     $store:ident, $fused:ident, $columns:ident, $minus:ident, $times:ident, $at_most:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name($register);

        impl Vector for $name {
            type Scalar = $scalar;
            const LANES: usize = $lanes;

            #[inline(always)]
            fn splat(value: $scalar) -> Self {
                // SAFETY: the type is only used in functions with its features.
                $name(unsafe { $splat(value) })
            }

            #[inline(always)]
            unsafe fn load(pointer: *const $scalar) -> Self {
                // SAFETY: as above, and the caller vouches for the pointer.
                $name(unsafe { $load(pointer) })
            }

            #[inline(always)]
            unsafe fn store(self, pointer: *mut $scalar) {
                // SAFETY: as above, and the caller vouches for the pointer.
                unsafe { $store(pointer, self.0) }
            }

            #[inline(always)]
            fn multiply_add(self, a: Self, b: Self) -> Self {
                // SAFETY: the type is only used in functions with its features.
                $name(unsafe { $fused(a.0, b.0, self.0) })
            }

            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                // SAFETY: the type is only used in functions with its features.
                $name(unsafe { $minus(self.0, other.0) })
            }

            #[inline(always)]
            fn times(self, other: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $times(self.0, other.0) })
            }

            #[inline(always)]
            fn at_most(self, other: Self, yes: Self, no: Self) -> Self {
                // SAFETY: as above.
                $name(unsafe { $at_most(self.0, other.0, yes.0, no.0) })
            }

            #[inline(always)]
            unsafe fn load_columns(pointer: *const $scalar, step: usize) -> [Self; 8] {
                // SAFETY: as above.
                let loaded = unsafe { $columns(pointer, step) };
                let mut columns = [$name(loaded[0]); 8];
                for index in 1..8 {
                    columns[index] = $name(loaded[index]);
                }
                columns
            }

            #[inline(always)]
            fn prefetch(pointer: *const $scalar) {
                // SAFETY: a hint that reads nothing, whatever the pointer is.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(pointer.cast()) }
            }
        }
    };
}

vector!(
    F32x16,
    f32,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    columns_of_16_f32,
    _mm512_sub_ps,
    _mm512_mul_ps,
    at_most_512_ps
);
vector!(
    F32x8,
    f32,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    columns_of_8_f32,
    _mm256_sub_ps,
    _mm256_mul_ps,
    at_most_256_ps
);
vector!(
    F64x8,
    f64,
    __m512d,
    8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_fmadd_pd,
    columns_of_8_f64,
    _mm512_sub_pd,
    _mm512_mul_pd,
    at_most_512_pd
);
vector!(
    F64x4,
    f64,
    __m256d,
    4,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_fmadd_pd,
    columns_of_4_f64,
    _mm256_sub_pd,
    _mm256_mul_pd,
    at_most_256_pd
);

// These are no functions with target features, because such a one is only inlined if LLVM likes to.

macro_rules! at_most {
    ($($name:ident($register:ty) = |$a:ident, $b:ident, $yes:ident, $no:ident| $body:expr;)*) => {
        $(
            /// # Safety
            /// In a function with the features of the register.
            #[inline(always)]
            unsafe fn $name($a: $register, $b: $register, $yes: $register, $no: $register) -> $register {
                // SAFETY: the caller vouches for the features.
                unsafe { $body }
            }
        )*
    };
}

at_most! {
    at_most_512_ps(__m512) =
        |a, b, yes, no| _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b), no, yes);
    at_most_256_ps(__m256) =
        |a, b, yes, no| _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LE_OQ>(a, b));
    at_most_512_pd(__m512d) =
        |a, b, yes, no| _mm512_mask_blend_pd(_mm512_cmp_pd_mask::<_CMP_LE_OQ>(a, b), no, yes);
    at_most_256_pd(__m256d) =
        |a, b, yes, no| _mm256_blendv_pd(no, yes, _mm256_cmp_pd::<_CMP_LE_OQ>(a, b));
}

/// # Safety
/// As [`Vector::load_columns`], in a function with AVX2.
#[inline(always)]
unsafe fn columns_of_8_f32(pointer: *const f32, step: usize) -> [__m256; 8] {
    // SAFETY: the caller vouches for all rows.
    unsafe { square_f32(pointer, step) }
}

/// # Safety
/// As [`Vector::load_columns`], in a function with AVX-512.
#[inline(always)]
unsafe fn columns_of_16_f32(pointer: *const f32, step: usize) -> [__m512; 8] {
    // SAFETY: the caller vouches for all rows.
    unsafe {
        let (low, high) = (square_f32(pointer, step), square_f32(pointer.add(8 * step), step));
        let mut columns = [_mm512_setzero_ps(); 8];
        for index in 0..8 {
            columns[index] =
                _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low[index]), high[index]);
        }
        columns
    }
}

/// # Safety
/// As [`Vector::load_columns`], in a function with AVX2.
#[inline(always)]
unsafe fn columns_of_4_f64(pointer: *const f64, step: usize) -> [__m256d; 8] {
    // SAFETY: the caller vouches for all rows.
    let [[a, b, c, d], [e, f, g, h]] =
        unsafe { [square_f64(pointer, step), square_f64(pointer.add(4), step)] };
    [a, b, c, d, e, f, g, h]
}

/// # Safety
/// As [`Vector::load_columns`], in a function with AVX-512.
#[inline(always)]
unsafe fn columns_of_8_f64(pointer: *const f64, step: usize) -> [__m512d; 8] {
    // SAFETY: the caller vouches for all rows.
    unsafe {
        let (low, high) =
            (columns_of_4_f64(pointer, step), columns_of_4_f64(pointer.add(4 * step), step));
        let mut columns = [_mm512_setzero_pd(); 8];
        for index in 0..8 {
            columns[index] =
                _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low[index]), high[index]);
        }
        columns
    }
}

/// Eight by eight values, transposed.
///
/// # Safety
/// Eight values can be read at each of eight rows `step` apart, and the caller has AVX2.
#[inline(always)]
pub(crate) unsafe fn square_f32(pointer: *const f32, step: usize) -> [__m256; 8] {
    // SAFETY: the caller vouches for the rows and for AVX2.
    unsafe {
        // Halves of rows four apart come together as they are loaded.
        let mut halves = [[_mm256_setzero_ps(); 2]; 4];
        for row in 0..4 {
            for half in 0..2 {
                let low = _mm_loadu_ps(pointer.add(row * step + 4 * half));
                let high = _mm_loadu_ps(pointer.add((row + 4) * step + 4 * half));
                halves[row][half] = _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
            }
        }
        let mut columns = [_mm256_setzero_ps(); 8];
        for half in 0..2 {
            let [a, b, c, d] = [halves[0][half], halves[1][half], halves[2][half], halves[3][half]];
            let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
            columns[4 * half] = _mm256_shuffle_ps::<0x44>(ab_low, cd_low);
            columns[4 * half + 1] = _mm256_shuffle_ps::<0xee>(ab_low, cd_low);
            columns[4 * half + 2] = _mm256_shuffle_ps::<0x44>(ab_high, cd_high);
            columns[4 * half + 3] = _mm256_shuffle_ps::<0xee>(ab_high, cd_high);
        }
        columns
    }
}

/// Four by four values, transposed.
///
/// # Safety
/// Four values can be read at each of four rows `step` apart, and the caller has AVX2.
#[inline(always)]
pub(crate) unsafe fn square_f64(pointer: *const f64, step: usize) -> [__m256d; 4] {
    // SAFETY: the caller vouches for the rows and for AVX2.
    unsafe {
        let mut halves = [[_mm256_setzero_pd(); 2]; 2];
        for row in 0..2 {
            for half in 0..2 {
                let low = _mm_loadu_pd(pointer.add(row * step + 2 * half));
                let high = _mm_loadu_pd(pointer.add((row + 2) * step + 2 * half));
                halves[row][half] = _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(low), high);
            }
        }
        let [[a, c], [b, d]] = halves;
        [
            _mm256_unpacklo_pd(a, b),
            _mm256_unpackhi_pd(a, b),
            _mm256_unpacklo_pd(c, d),
            _mm256_unpackhi_pd(c, d),
        ]
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
pub(super) fn f32_avx512<K: VectorTask<f32>>(task: K) -> K::Output {
    task.run::<F32x16, 8, 3>()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn f32_avx2<K: VectorTask<f32>>(task: K) -> K::Output {
    task.run::<F32x8, 6, 2>()
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn f64_avx2<K: VectorTask<f64>>(task: K) -> K::Output {
    task.run::<F64x4, 4, 2>()
}

/// The task under the best features of the level, or itself if the level has none.
pub(super) fn f32_dispatch<K: VectorTask<f32>>(level: Level, task: K) -> Result<K::Output, K> {
    match level.name() {
        // SAFETY: a level is only made where its features exist.
        "avx512" => Ok(unsafe { f32_avx512(task) }),
        // SAFETY: as above.
        "avx2" => Ok(unsafe { f32_avx2(task) }),
        _ => Err(task),
    }
}

/// As [`f32_dispatch`].
pub(super) fn f64_dispatch<K: VectorTask<f64>>(level: Level, task: K) -> Result<K::Output, K> {
    match level.name() {
        // SAFETY: as above.
        "avx512" | "avx2" => Ok(unsafe { f64_avx2(task) }),
        _ => Err(task),
    }
}
