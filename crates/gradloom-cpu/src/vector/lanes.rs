//! [`Vector`] and what is computed with it, and lanes as an array for every processor.
#![expect(unsafe_code, reason = "loads and stores by pointer")]

use bytemuck::Pod;

use crate::simd::Level;

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

    /// `self - other`
    fn minus(self, other: Self) -> Self;

    /// `self * other`
    fn times(self, other: Self) -> Self;

    /// `yes` where `self <= other`, and `no` elsewhere, where one of both is NaN too.
    fn at_most(self, other: Self, yes: Self, no: Self) -> Self;
}

/// f32 and f64.
pub(crate) trait Real:
    Pod + Send + Sync + PartialOrd + std::ops::Sub<Output = Self> + std::ops::Mul<Output = Self>
{
    /// One.
    const ONE: Self;

    /// `c + a * b`, fused if the level fuses.
    fn fused<const FMA: bool>(a: Self, b: Self, c: Self) -> Self;

    /// Runs a task with the vectors and the tile of a level.
    fn dispatch<K: VectorTask<Self>>(level: Level, task: K) -> K::Output;
}

/// Lanes of the widest vector.
const LANES_MAX: usize = 16;

/// A vector that begins with `count` neighbouring values.
///
/// # Safety
/// `count` values can be read at `pointer`, at most as many as the vector has lanes.
#[inline(always)]
pub(crate) unsafe fn load_first<V: Vector>(pointer: *const V::Scalar, count: usize) -> V {
    const { assert!(V::LANES <= LANES_MAX) };
    let mut values: [V::Scalar; LANES_MAX] = bytemuck::Zeroable::zeroed();
    // SAFETY: the caller vouches for `count` values; a vector has no more lanes than there are here.
    unsafe {
        values.as_mut_ptr().copy_from_nonoverlapping(pointer, count);
        V::load(values.as_ptr())
    }
}

/// Writes the first `count` lanes.
///
/// # Safety
/// `count` values can be written at `pointer`, at most as many as the vector has lanes.
#[inline(always)]
pub(crate) unsafe fn store_first<V: Vector>(vector: V, pointer: *mut V::Scalar, count: usize) {
    const { assert!(V::LANES <= LANES_MAX) };
    let mut values: [V::Scalar; LANES_MAX] = bytemuck::Zeroable::zeroed();
    // SAFETY: as in `load_first`.
    unsafe {
        vector.store(values.as_mut_ptr());
        pointer.copy_from_nonoverlapping(values.as_ptr(), count);
    }
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

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        let mut result = self;
        for lane in 0..N {
            result.0[lane] = self.0[lane] - other.0[lane];
        }
        result
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        let mut result = self;
        for lane in 0..N {
            result.0[lane] = self.0[lane] * other.0[lane];
        }
        result
    }

    #[inline(always)]
    fn at_most(self, other: Self, yes: Self, no: Self) -> Self {
        let mut result = no;
        for lane in 0..N {
            if self.0[lane] <= other.0[lane] {
                result.0[lane] = yes.0[lane];
            }
        }
        result
    }
}
