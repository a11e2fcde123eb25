//! [`Vector`]: lanes in one register, for the few loops whose registers must be assigned by hand: the
//! tiles of convolutions. Everything else leaves vectors to LLVM.
//!
//! f32 has intrinsics on x86; other types and processors use arrays, which LLVM keeps in registers.
#![expect(unsafe_code, reason = "loads and stores by pointer; intrinsics need their features")]

use bytemuck::Pod;

use crate::simd::{BASELINE_FMA, Level};

/// Lanes that are computed with together.
pub(crate) trait Vector: Copy {
    /// Type of a lane.
    type Scalar: Real;
    /// Number of lanes.
    const LANES: usize;

    /// The same value in every lane.
    fn splat(value: Self::Scalar) -> Self;

    /// Neighbouring values.
    ///
    /// # Safety
    /// `LANES` values can be read at `pointer`.
    unsafe fn load(pointer: *const Self::Scalar) -> Self;

    /// Writes the lanes one after another.
    ///
    /// # Safety
    /// `LANES` values can be written at `pointer`.
    unsafe fn store(self, pointer: *mut Self::Scalar);

    /// `self + a * b`
    fn multiply_add(self, a: Self, b: Self) -> Self;

    /// `self + other`
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.multiply_add(other, Self::splat(Self::Scalar::ONE))
    }
}

/// f32 and f64.
pub(crate) trait Real: Pod + Send + Sync + PartialOrd {
    /// One.
    const ONE: Self;

    /// `c + a * b`, fused if the level fuses.
    fn fused<const FMA: bool>(a: Self, b: Self, c: Self) -> Self;

    /// Runs a task with the vectors and the tile of a level.
    fn dispatch<K: VectorTask<Self>>(level: Level, task: K) -> K::Output;
}

/// Work on vectors of any width: `ROWS x COLUMNS` accumulators, of which `COLUMNS` are vectors side by
/// side, fit into the registers. `run` and all it calls must be `#[inline(always)]`.
pub(crate) trait VectorTask<T: Real> {
    type Output;
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) -> Self::Output;
}

/// Size of a tile on a level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tiling {
    pub(crate) rows: usize,
    pub(crate) lanes: usize,
    pub(crate) columns: usize,
}

/// The tile that [`Real::dispatch`] uses.
pub(crate) fn tiling<T: Real>(level: Level) -> Tiling {
    struct Measure;
    impl<T: Real> VectorTask<T> for Measure {
        type Output = Tiling;
        #[inline(always)]
        fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) -> Tiling {
            Tiling { rows: ROWS, lanes: V::LANES, columns: COLUMNS }
        }
    }
    T::dispatch(level, Measure)
}

/// Lanes as an array.
#[derive(Clone, Copy)]
pub(crate) struct Array<T, const N: usize, const FMA: bool>([T; N]);

impl<T: Real, const N: usize, const FMA: bool> Vector for Array<T, N, FMA> {
    type Scalar = T;
    const LANES: usize = N;

    #[inline(always)]
    fn splat(value: T) -> Self {
        Array([value; N])
    }

    #[inline(always)]
    unsafe fn load(pointer: *const T) -> Self {
        // SAFETY: the caller vouches for `N` values; arrays have the alignment of their elements.
        Array(unsafe { pointer.cast::<[T; N]>().read() })
    }

    #[inline(always)]
    unsafe fn store(self, pointer: *mut T) {
        // SAFETY: as in `load`.
        unsafe { pointer.cast::<[T; N]>().write(self.0) }
    }

    #[inline(always)]
    fn multiply_add(self, a: Self, b: Self) -> Self {
        let mut result = self;
        for lane in 0..N {
            result.0[lane] = T::fused::<FMA>(a.0[lane], b.0[lane], self.0[lane]);
        }
        result
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Vectors of intrinsics. Only tasks that run under the level's features use them.
    use super::{Array, Level, Vector, VectorTask};
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $register:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
         $fused:ident) => {
            #[derive(Clone, Copy)]
            pub(super) struct $name($register);

            impl Vector for $name {
                type Scalar = f32;
                const LANES: usize = $lanes;

                #[inline(always)]
                fn splat(value: f32) -> Self {
                    // SAFETY: the type is only used in functions with its features.
                    $name(unsafe { $splat(value) })
                }

                #[inline(always)]
                unsafe fn load(pointer: *const f32) -> Self {
                    // SAFETY: as above, and the caller vouches for the pointer.
                    $name(unsafe { $load(pointer) })
                }

                #[inline(always)]
                unsafe fn store(self, pointer: *mut f32) {
                    // SAFETY: as above, and the caller vouches for the pointer.
                    unsafe { $store(pointer, self.0) }
                }

                #[inline(always)]
                fn multiply_add(self, a: Self, b: Self) -> Self {
                    // SAFETY: the type is only used in functions with its features.
                    $name(unsafe { $fused(a.0, b.0, self.0) })
                }
            }
        };
    }

    vector!(F32x16, __m512, 16, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps, _mm512_fmadd_ps);
    vector!(F32x8, __m256, 8, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_fmadd_ps);

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
        task.run::<Array<f64, 4, true>, 4, 2>()
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
}

impl Real for f32 {
    const ONE: f32 = 1.0;

    #[inline(always)]
    fn fused<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
        if FMA { a.mul_add(b, c) } else { a * b + c }
    }

    #[inline]
    fn dispatch<K: VectorTask<f32>>(level: Level, task: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        let task = match x86::f32_dispatch(level, task) {
            Ok(output) => return output,
            Err(task) => task,
        };
        let _ = level;
        task.run::<Array<f32, 4, BASELINE_FMA>, 4, 2>()
    }
}

impl Real for f64 {
    const ONE: f64 = 1.0;

    #[inline(always)]
    fn fused<const FMA: bool>(a: f64, b: f64, c: f64) -> f64 {
        if FMA { a.mul_add(b, c) } else { a * b + c }
    }

    #[inline]
    fn dispatch<K: VectorTask<f64>>(level: Level, task: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        let task = match x86::f64_dispatch(level, task) {
            Ok(output) => return output,
            Err(task) => task,
        };
        let _ = level;
        task.run::<Array<f64, 2, BASELINE_FMA>, 4, 2>()
    }
}
