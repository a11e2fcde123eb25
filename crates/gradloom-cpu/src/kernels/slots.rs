//! [`Slots`]: the values of a block of rows that are one per row: results of reductions and what is
//! computed from them.

use std::ops::Range;

use crate::convert::Lane;
use crate::scratch::Scratch;

/// Lanes by slot and row, in a task's scratch.
pub(super) struct Slots {
    /// `block` places of eight bytes for each slot; its lanes stand side by side at the beginning.
    words: Scratch,
    block: usize,
}

impl Slots {
    /// Room for `slots` values of each of `block` rows.
    pub(super) fn new(slots: usize, block: usize) -> Slots {
        Slots { words: Scratch::take::<u64>(slots * block), block }
    }

    /// The values of some rows.
    pub(super) fn lanes(&self, slot: usize, lane: Lane, rows: Range<usize>) -> &[u8] {
        let words = &self.words.get::<u64>()[slot * self.block..(slot + 1) * self.block];
        &bytemuck::cast_slice::<u64, u8>(words)[rows.start * lane.size()..rows.end * lane.size()]
    }

    /// The values of some rows, to write.
    pub(super) fn lanes_mut(&mut self, slot: usize, lane: Lane, rows: Range<usize>) -> &mut [u8] {
        let words = &mut self.words.get_mut::<u64>()[slot * self.block..(slot + 1) * self.block];
        let bytes = rows.start * lane.size()..rows.end * lane.size();
        &mut bytemuck::cast_slice_mut::<u64, u8>(words)[bytes]
    }

    /// The value of one row, in the first bytes of a word.
    pub(super) fn word(&self, slot: usize, lane: Lane, row: usize) -> u64 {
        let mut word = 0u64;
        let lanes = self.lanes(slot, lane, row..row + 1);
        bytemuck::bytes_of_mut(&mut word)[..lane.size()].copy_from_slice(lanes);
        word
    }

    /// Sets the value of one row.
    pub(super) fn set_word(&mut self, slot: usize, lane: Lane, row: usize, word: u64) {
        let lanes = self.lanes_mut(slot, lane, row..row + 1);
        lanes.copy_from_slice(&bytemuck::bytes_of(&word)[..lane.size()]);
    }
}
