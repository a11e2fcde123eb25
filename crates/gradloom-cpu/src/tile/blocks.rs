//! [`BlockRegisters`]: values that are the same for all elements of a block of neighbours, such as what belongs
//! to the channel of a picture: they are computed once for each block that a tile meets.

use std::ops::Range;

use bytemuck::Pod;

use super::operand::Operand;
use crate::convert::Lane;
use crate::scratch::Scratch;

/// Values of the blocks of a tile.
#[derive(Default)]
pub(super) struct BlockRegisters {
    /// The blocks that they are of.
    pub(super) range: Range<usize>,
    /// One lane for each block, and one for each element where there are several blocks.
    pub(super) lanes: Vec<Scratch>,
    pub(super) spread: Vec<Scratch>,
}

impl BlockRegisters {
    /// Registers for values of so many kinds, of at most so many bytes for a tile.
    pub(super) fn take(count: usize, bytes: usize) -> BlockRegisters {
        let take = || (0..count).map(|_| Scratch::take::<u8>(bytes)).collect();
        BlockRegisters { range: 0..0, lanes: take(), spread: take() }
    }

    /// Gives every element of a tile of `len` elements, which begins with the last `first` elements of a
    /// block, the lane of its block.
    pub(super) fn spread(
        &mut self,
        value: usize,
        lane: Lane,
        first: usize,
        block: usize,
        len: usize,
    ) {
        let (lanes, spread) = (&self.lanes[value], &mut self.spread[value]);
        match lane.size() {
            8 => spread_lanes::<u64>(lanes, first, block, &mut spread.get_mut()[..len]),
            _ => spread_lanes::<u32>(lanes, first, block, &mut spread.get_mut()[..len]),
        }
    }

    /// A value of the blocks, for so many elements or blocks.
    pub(super) fn operand<T: Pod>(&self, block: usize, len: usize) -> Operand<'_, T> {
        match self.range.len() {
            1 => Operand::Scalar(self.lanes[block].get::<T>()[0]),
            _ => Operand::Slice(&self.spread[block].get::<T>()[..len]),
        }
    }
}

/// The lane of each block for all its elements, of the first block the last `first`.
fn spread_lanes<T: Pod>(lanes: &Scratch, first: usize, block: usize, out: &mut [T]) {
    let (head, rest) = out.split_at_mut(first.min(out.len()));
    let lanes = lanes.get::<T>();
    head.fill(lanes[0]);
    for (out, &lane) in rest.chunks_mut(block).zip(&lanes[1..]) {
        out.fill(lane);
    }
}
