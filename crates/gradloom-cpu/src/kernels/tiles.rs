//! The tiles of products: accumulators in registers for a few rows and vectors of columns, compiled for
//! each level and found through a table, so that the loops around them are compiled once.
#![expect(unsafe_code, reason = "tiles read by pointer; who calls them checks the bounds")]

use crate::simd::{BASELINE_FMA, Level};
use crate::vector::{Array, Real, Vector};

/// Inner elements of a block: those of a panel stay in the first-level cache. Sums run one by one over the
/// elements of a block, and one by one over blocks, on every level and in every kind of product.
pub(super) const DEPTH: usize = 256;
/// Elements from one row of a left block to the next; rows a power of two apart would share few places of
/// the cache.
pub(super) const LEFT_STEP: usize = DEPTH + 16;
/// Inner elements of one turn of a tile's loop.
const UNROLLED: usize = 4;

/// Some tiles of a product, one below the other.
pub(super) struct Tile<T> {
    pub(super) count: usize,
    /// Rows [`LEFT_STEP`] apart of `depth` elements.
    pub(super) left: *const T,
    /// `depth` rows of the tile's vectors.
    pub(super) packed: *const T,
    pub(super) depth: usize,
    /// Rows `step` apart.
    pub(super) target: *mut T,
    pub(super) step: usize,
    /// True if the result is added to what is there.
    pub(super) added: bool,
}

impl<T: Real> Tile<T> {
    /// # Safety
    /// All numbers that the fields describe for tiles of `ROWS` rows and `COLUMNS` vectors are in bounds.
    #[inline(always)]
    unsafe fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(&self) {
        for index in 0..self.count {
            // SAFETY: the caller vouches for all tiles.
            unsafe {
                let left = self.left.add(index * ROWS * LEFT_STEP);
                let target = self.target.add(index * ROWS * self.step);
                self.run_one::<V, ROWS, COLUMNS>(left, target);
            }
        }
    }

    /// # Safety
    /// As [`Tile::run`], for the tile of these rows.
    #[inline(always)]
    unsafe fn run_one<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(
        &self,
        mut left: *const T,
        target: *mut T,
    ) {
        let mut sums = [[V::splat(T::zeroed()); COLUMNS]; ROWS];
        let mut packed = self.packed;
        // SAFETY: the caller vouches for all numbers.
        unsafe {
            for row in 0..ROWS {
                let target = target.add(row * self.step);
                V::prefetch(target);
                V::prefetch(target.add(COLUMNS * V::LANES - 1));
            }
            for _ in 0..self.depth / UNROLLED {
                for inner in 0..UNROLLED {
                    let packed = packed.add(inner * COLUMNS * V::LANES);
                    add_products(&mut sums, left.add(inner), packed);
                }
                left = left.add(UNROLLED);
                packed = packed.add(UNROLLED * COLUMNS * V::LANES);
            }
            for _ in 0..self.depth % UNROLLED {
                add_products(&mut sums, left, packed);
                left = left.add(1);
                packed = packed.add(COLUMNS * V::LANES);
            }
            for row in 0..ROWS {
                for column in 0..COLUMNS {
                    let target = target.add(row * self.step + column * V::LANES);
                    let sum = sums[row][column];
                    let sum = if self.added { sum.plus(V::load(target)) } else { sum };
                    sum.store(target);
                }
            }
        }
    }
}

/// Adds the products of one inner element.
///
/// # Safety
/// `ROWS` elements can be read [`LEFT_STEP`] apart, and `COLUMNS` vectors.
#[inline(always)]
unsafe fn add_products<V: Vector, const ROWS: usize, const COLUMNS: usize>(
    sums: &mut [[V; COLUMNS]; ROWS],
    left: *const V::Scalar,
    packed: *const V::Scalar,
) {
    let mut vectors = [V::splat(bytemuck::Zeroable::zeroed()); COLUMNS];
    // SAFETY: the caller vouches for them.
    unsafe {
        for column in 0..COLUMNS {
            vectors[column] = V::load(packed.add(column * V::LANES));
        }
        for row in 0..ROWS {
            let value = V::splat(*left.add(row * LEFT_STEP));
            for column in 0..COLUMNS {
                sums[row][column] = sums[row][column].multiply_add(value, vectors[column]);
            }
        }
    }
}

/// Computes tiles.
///
/// # Safety
/// All numbers that the tiles describe are in bounds, and the level has the function's features.
pub(super) type TileFunction<T> = unsafe fn(&Tile<T>);

/// The tiles of a level.
pub(super) struct Tiles<T: 'static> {
    /// Lanes of a vector, and vectors of a panel.
    pub(super) lanes: usize,
    pub(super) vectors: usize,
    /// Rows of a tile, the most first and one last, and its functions for one vector, two, and so on.
    heights: &'static [(usize, &'static [TileFunction<T>])],
}

impl<T> Tiles<T> {
    /// Columns of a whole panel.
    pub(super) fn width(&self) -> usize {
        self.lanes * self.vectors
    }

    /// Rows of the highest tile.
    pub(super) fn height(&self) -> usize {
        self.heights[0].0
    }

    /// Rows of the next tile where so many are left, and its function for so many vectors.
    pub(super) fn next(&self, rows: usize, vectors: usize) -> (usize, TileFunction<T>) {
        let fits = self.heights.iter().position(|(height, _)| *height <= rows.max(1));
        let (height, functions) = self.heights[fits.unwrap_or(self.heights.len() - 1)];
        (height, functions[vectors - 1])
    }
}

/// Numbers that have tiles.
pub(crate) trait Tiled: Real {
    /// The tiles of a level.
    fn tiles(level: Level) -> &'static Tiles<Self>;
}

/// Tiles of some vectors as a table and the function that all of it is made of.
macro_rules! tiles {
    ($(
        $(#[$meta:meta])* $name:ident, $tile:ident: $scalar:ty, $vector:ty,
        [$([$($rows:literal x $columns:literal),*]),*];
    )*) => {$(
        $(#[$meta])*
        unsafe fn $tile<const ROWS: usize, const COLUMNS: usize>(tile: &Tile<$scalar>) {
            // SAFETY: the caller vouches for the numbers and for the features.
            unsafe { tile.run::<$vector, ROWS, COLUMNS>() }
        }

        pub(super) static $name: Tiles<$scalar> = Tiles {
            lanes: <$vector as Vector>::LANES,
            vectors: [$([$($columns),*].len()),*][0],
            heights: &[$(([$($rows),*][0], &[$($tile::<$rows, $columns>),*])),*],
        };
    )*};
}

/// Where a fused instruction has 32 registers, tiles are larger.
#[cfg(target_arch = "aarch64")]
tiles! {
    PORTABLE_F32, portable_f32: f32, Array<f32, 4, BASELINE_FMA>,
        [[8 x 1, 8 x 2, 8 x 3], [4 x 1, 4 x 2, 4 x 3], [2 x 1, 2 x 2, 2 x 3], [1 x 1, 1 x 2, 1 x 3]];
    PORTABLE_F64, portable_f64: f64, Array<f64, 2, BASELINE_FMA>,
        [[8 x 1, 8 x 2, 8 x 3], [4 x 1, 4 x 2, 4 x 3], [2 x 1, 2 x 2, 2 x 3], [1 x 1, 1 x 2, 1 x 3]];
}

#[cfg(not(target_arch = "aarch64"))]
tiles! {
    PORTABLE_F32, portable_f32: f32, Array<f32, 4, BASELINE_FMA>,
        [[4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
    PORTABLE_F64, portable_f64: f64, Array<f64, 2, BASELINE_FMA>,
        [[4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Tile, Tiles};
    use crate::vector::{F32x8, F32x16, F64x4, F64x8, Vector};

    tiles! {
        #[target_feature(enable = "avx2,fma")]
        AVX2_F32, avx2_f32: f32, F32x8,
            [[6 x 1, 6 x 2], [4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
        #[target_feature(enable = "avx2,fma")]
        AVX2_F64, avx2_f64: f64, F64x4,
            [[6 x 1, 6 x 2], [4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        AVX512_F32, avx512_f32: f32, F32x16,
            [[12 x 1, 12 x 2], [4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        AVX512_F64, avx512_f64: f64, F64x8,
            [[12 x 1, 12 x 2], [4 x 1, 4 x 2], [2 x 1, 2 x 2], [1 x 1, 1 x 2]];
    }
}

macro_rules! tiled {
    ($($scalar:ty: $portable:ident, $avx2:ident, $avx512:ident;)*) => {$(
        impl Tiled for $scalar {
            fn tiles(level: Level) -> &'static Tiles<$scalar> {
                match level.name() {
                    #[cfg(target_arch = "x86_64")]
                    "avx512" => &x86::$avx512,
                    #[cfg(target_arch = "x86_64")]
                    "avx2" => &x86::$avx2,
                    _ => &$portable,
                }
            }
        }
    )*};
}

tiled! {
    f32: PORTABLE_F32, AVX2_F32, AVX512_F32;
    f64: PORTABLE_F64, AVX2_F64, AVX512_F64;
}
