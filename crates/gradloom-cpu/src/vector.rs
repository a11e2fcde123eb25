//! [`Vector`]: lanes in one register, for the few loops whose registers must be assigned by hand: the
//! tiles of products and convolutions. Everything else leaves vectors to LLVM.
//!
//! x86 has intrinsics; other processors use arrays, which LLVM keeps in registers.
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

    /// Elements `0..8` of `LANES` rows that are `step` apart: vector `i` has element `i` of each row.
    ///
    /// # Safety
    /// Eight values can be read at each row.
    unsafe fn load_columns(pointer: *const Self::Scalar, step: usize) -> [Self; 8];

    /// Asks for the cache line of a value, which is soon written.
    #[inline(always)]
    fn prefetch(_pointer: *const Self::Scalar) {}

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
    unsafe fn load_columns(pointer: *const T, step: usize) -> [Self; 8] {
        let mut columns = [Array([T::zeroed(); N]); 8];
        for lane in 0..N {
            // SAFETY: the caller vouches for eight values of each row.
            let row = unsafe { pointer.add(lane * step).cast::<[T; 8]>().read() };
            for (column, value) in columns.iter_mut().zip(row) {
                column.0[lane] = value;
            }
        }
        columns
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
pub(crate) use x86::{F32x8, F32x16, F64x4, F64x8, square_f32, square_f64};

#[cfg(target_arch = "x86_64")]
mod x86 {
    //! Vectors of intrinsics. Only tasks that run under the level's features use them.
    use super::{Level, Vector, VectorTask};
    use std::arch::x86_64::*;

    macro_rules! vector {
        ($name:ident, $scalar:ty, $register:ty, $lanes:literal, $splat:ident, $load:ident,
         $store:ident, $fused:ident, $columns:ident) => {
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
                unsafe fn load_columns(pointer: *const $scalar, step: usize) -> [Self; 8] {
                    // SAFETY: as above.
                    unsafe { $columns(pointer, step) }.map($name)
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
        columns_of_16_f32
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
        columns_of_8_f32
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
        columns_of_8_f64
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
        columns_of_4_f64
    );

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn columns_of_8_f32(pointer: *const f32, step: usize) -> [__m256; 8] {
        // SAFETY: the caller vouches for eight values of each row.
        unsafe { square_f32(pointer, step) }
    }

    #[target_feature(enable = "avx512f,avx512dq,avx2")]
    #[inline]
    unsafe fn columns_of_16_f32(pointer: *const f32, step: usize) -> [__m512; 8] {
        // SAFETY: as above.
        let (low, high) =
            unsafe { (square_f32(pointer, step), square_f32(pointer.add(8 * step), step)) };
        let mut columns = [_mm512_setzero_ps(); 8];
        for index in 0..8 {
            columns[index] =
                _mm512_insertf32x8::<1>(_mm512_castps256_ps512(low[index]), high[index]);
        }
        columns
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn columns_of_4_f64(pointer: *const f64, step: usize) -> [__m256d; 8] {
        // SAFETY: as above.
        let [[a, b, c, d], [e, f, g, h]] =
            unsafe { [square_f64(pointer, step), square_f64(pointer.add(4), step)] };
        [a, b, c, d, e, f, g, h]
    }

    #[target_feature(enable = "avx512f,avx2")]
    #[inline]
    unsafe fn columns_of_8_f64(pointer: *const f64, step: usize) -> [__m512d; 8] {
        // SAFETY: as above.
        let (low, high) = unsafe {
            (columns_of_4_f64(pointer, step), columns_of_4_f64(pointer.add(4 * step), step))
        };
        let mut columns = [_mm512_setzero_pd(); 8];
        for index in 0..8 {
            columns[index] =
                _mm512_insertf64x4::<1>(_mm512_castpd256_pd512(low[index]), high[index]);
        }
        columns
    }

    /// Eight by eight values, transposed.
    ///
    /// # Safety
    /// Eight values can be read at each of eight rows `step` apart.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn square_f32(pointer: *const f32, step: usize) -> [__m256; 8] {
        // Halves of rows four apart come together as they are loaded.
        let mut halves = [[_mm256_setzero_ps(); 2]; 4];
        for row in 0..4 {
            for half in 0..2 {
                // SAFETY: the caller vouches for the rows.
                unsafe {
                    let low = _mm_loadu_ps(pointer.add(row * step + 4 * half));
                    let high = _mm_loadu_ps(pointer.add((row + 4) * step + 4 * half));
                    halves[row][half] =
                        _mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high);
                }
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

    /// Four by four values, transposed.
    ///
    /// # Safety
    /// Four values can be read at each of four rows `step` apart.
    #[target_feature(enable = "avx2")]
    #[inline]
    pub(crate) unsafe fn square_f64(pointer: *const f64, step: usize) -> [__m256d; 4] {
        let mut halves = [[_mm256_setzero_pd(); 2]; 2];
        for row in 0..2 {
            for half in 0..2 {
                // SAFETY: the caller vouches for the rows.
                unsafe {
                    let low = _mm_loadu_pd(pointer.add(row * step + 2 * half));
                    let high = _mm_loadu_pd(pointer.add((row + 2) * step + 2 * half));
                    halves[row][half] =
                        _mm256_insertf128_pd::<1>(_mm256_castpd128_pd256(low), high);
                }
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
