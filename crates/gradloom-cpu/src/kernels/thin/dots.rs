//! Results of few elements, each a sum of its own.
#![expect(unsafe_code, reason = "the loop reads by pointer; bounds are checked once before it")]

use crate::kernels::matrix::Matrix;
use crate::kernels::tiles::{DEPTH, Tiled};
use crate::scratch::Scratch;
use crate::simd::{Level, vectorized};
use crate::vector::{Real, Vector, VectorTask};

/// Elements of a result up to which each is a sum of its own.
pub(super) const DOTS_MAX: usize = 4;
/// Blocks whose sums are made at the same time: each is a chain of additions that wait for one another.
const CHAINS: usize = 8;

/// Every element of the result by itself.
pub(super) fn multiply_dots<T: Tiled>(
    level: Level,
    out: &mut [T],
    out_stride: usize,
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    rhs: Matrix<'_, T>,
) {
    let (mut left, mut right) =
        (Scratch::take::<T>(rows * inner), Scratch::take::<T>(columns * inner));
    let left = lhs.contiguous(level, [rows, inner], &mut left);
    let right = rhs.transposed().contiguous(level, [columns, inner], &mut right);
    for row in 0..rows {
        for column in 0..columns {
            let (left, right) = (&left[row * inner..], &right[column * inner..]);
            out[row * out_stride + column] = dot(level, &left[..inner], &right[..inner]);
        }
    }
}

/// The sum of products, block by block.
fn dot<T: Tiled>(level: Level, left: &[T], right: &[T]) -> T {
    let blocks = left.len().div_ceil(DEPTH);
    let mut sums = Scratch::take::<T>(blocks);
    let sums: &mut [T] = sums.get_mut();
    let lanes = T::tiles(level).lanes;
    let side_by_side = left.len() / DEPTH / lanes * lanes;
    if side_by_side > 0 {
        T::dispatch(level, DotBlocks { left, right, sums: &mut sums[..side_by_side] });
    }
    let first = side_by_side * DEPTH;
    dot_blocks(level, &left[first..], &right[first..], &mut sums[side_by_side..]);
    match sums.split_first() {
        Some((&first, rest)) => {
            rest.iter().fold(first, |total, &sum| T::fused::<false>(sum, T::ONE, total))
        }
        None => T::zeroed(),
    }
}

/// The sums of whole blocks, a vector of blocks at a time: the blocks are rows whose columns are loaded.
struct DotBlocks<'a, T> {
    left: &'a [T],
    right: &'a [T],
    /// Whole vectors.
    sums: &'a mut [T],
}

impl<T: Real> VectorTask<T> for DotBlocks<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector<Scalar = T>, const ROWS: usize, const COLUMNS: usize>(self) {
        let DotBlocks { left, right, sums } = self;
        assert!(sums.len().is_multiple_of(V::LANES));
        assert!(left.len() >= sums.len() * DEPTH && right.len() >= sums.len() * DEPTH);
        for first in (0..sums.len()).step_by(V::LANES) {
            let mut sum = V::splat(T::zeroed());
            for inner in (0..DEPTH).step_by(8) {
                let at = first * DEPTH + inner;
                // SAFETY: the assertions above cover whole blocks.
                unsafe {
                    let left = V::load_columns(left.as_ptr().add(at), DEPTH);
                    let right = V::load_columns(right.as_ptr().add(at), DEPTH);
                    for index in 0..8 {
                        sum = sum.multiply_add(left[index], right[index]);
                    }
                }
            }
            // SAFETY: sums are whole vectors.
            unsafe { sum.store(sums.as_mut_ptr().add(first)) }
        }
    }
}

vectorized! {
    /// The sums of blocks, of which the last may be shorter.
    fn dot_blocks['a][T: Real](left: &'a [T], right: &'a [T], sums: &'a mut [T]) {
        let together = left.chunks(CHAINS * DEPTH).zip(right.chunks(CHAINS * DEPTH));
        for ((left, right), sums) in together.zip(sums.chunks_mut(CHAINS)) {
            let mut chains = [T::zeroed(); CHAINS];
            let whole = left.len() / DEPTH;
            for inner in 0..DEPTH {
                for chain in 0..whole {
                    let at = chain * DEPTH + inner;
                    chains[chain] = T::fused::<FMA>(left[at], right[at], chains[chain]);
                }
            }
            for at in whole * DEPTH..left.len() {
                chains[whole] = T::fused::<FMA>(left[at], right[at], chains[whole]);
            }
            sums.copy_from_slice(&chains[..sums.len()]);
        }
    }
}
