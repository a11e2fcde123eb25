//! How accurate sums are on every device.
//!
//! No device adds a long row of numbers one by one: sums run over blocks of bounded length, and what the
//! blocks come to is added in blocks or pairwise again (Higham, "The accuracy of floating point
//! summation", 1993). So what is computed differs from the exact sum of the operands by at most
//!
//! `additions(n) * u * sum |x|`, `u` = 2^-24 in f32 (and in f16 and bf16, which are summed in f32 and
//! rounded once) or 2^-53 in f64,
//!
//! for `n` terms, where the op says which of the functions here counts. Integers wrap and have no error.
//! The order is that of the shapes: the same on every run and with any number of threads.

/// Terms that a sum adds one by one, and then blocks of such sums, at most.
const SUM_RUN: usize = 256;
/// The same for products, whose sums stay in registers.
const PRODUCT_RUN: usize = 2_048;
/// The same for products in the tiles of a GPU.
const TILE_RUN: usize = 4_608;

/// Additions on the way of any term of a sum of `terms` terms: [`Op::Reduce`](crate::Op::Reduce),
/// [`Op::Scan`](crate::Op::Scan), [`Op::ScatterAdd`](crate::Op::ScatterAdd), sums over windows and the
/// sum of a softmax.
///
/// ```
/// use gradloom_tensor::summation::additions;
/// assert_eq!(additions(10), 10);
/// assert!(additions(20_000_000) < 320);
/// ```
pub fn additions(terms: usize) -> usize {
    blocked(terms, SUM_RUN)
}

/// As [`additions`] for sums of products: [`Op::Matmul`](crate::Op::Matmul), the three convolutions and
/// [`Op::Attention`](crate::Op::Attention), on a processor or on a GPU (`in_tiles`).
pub fn additions_of_products(terms: usize, in_tiles: bool) -> usize {
    blocked(terms, if in_tiles { TILE_RUN } else { PRODUCT_RUN })
}

/// A run, and two additions for each doubling beyond it.
fn blocked(terms: usize, run: usize) -> usize {
    let doublings = terms.div_ceil(run).max(1).next_power_of_two().ilog2() as usize;
    terms.min(run) + 2 * doublings
}
