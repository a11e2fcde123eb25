//! [`Operand`]: what a step reads: a tile of lanes, or one lane for the whole tile.

use bytemuck::Pod;

/// Lanes of a tile.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand<'a, T> {
    /// One value per element.
    Slice(&'a [T]),
    /// The same value for every element.
    Scalar(T),
}

/// The lane in the first bytes of a word.
#[inline]
pub(crate) fn lane_of_word<T: Pod>(word: u64) -> T {
    bytemuck::pod_read_unaligned(&bytemuck::bytes_of(&word)[..size_of::<T>()])
}

/// A word that holds a lane in its first bytes.
#[inline]
pub(crate) fn word_of_lane<T: Pod>(lane: T) -> u64 {
    let mut word = 0u64;
    bytemuck::bytes_of_mut(&mut word)[..size_of::<T>()].copy_from_slice(bytemuck::bytes_of(&lane));
    word
}
