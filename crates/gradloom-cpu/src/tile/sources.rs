//! [`Sources`]: where the operands of a step are found while a tile is computed.

use bytemuck::Pod;

use super::blocks::BlockRegisters;
use super::operand::{Operand, lane_of_word};
use super::step::Source;
use super::unary::Lanes;
use crate::convert::Lane;
use crate::scratch::Scratch;

/// Lanes that a caller provides for a tile.
#[derive(Clone, Copy)]
pub(crate) enum External<'a> {
    /// One per element (stored elements for an accumulator).
    Slice(&'a [u8]),
    /// One for the whole tile, as `word_of_lane`.
    Scalar(u64),
}

/// What the operands of a step are found in.
pub(super) struct Sources<'a> {
    pub(super) registers: &'a [Scratch],
    pub(super) blocks: &'a BlockRegisters,
    pub(super) uniforms: &'a [u64],
    pub(super) inputs: &'a [&'a [u8]],
    pub(super) externals: &'a [External<'a>],
    pub(super) outputs: &'a [&'a mut [u8]],
    pub(super) start: usize,
    pub(super) position: usize,
    pub(super) len: usize,
}

impl Sources<'_> {
    /// What a step reads.
    pub(super) fn operand<T: Pod>(&self, source: Source) -> Operand<'_, T> {
        let part = |bytes: &'_ [u8], first: usize| -> std::ops::Range<usize> {
            let size = size_of::<T>();
            debug_assert!((first + self.len) * size <= bytes.len());
            first * size..(first + self.len) * size
        };
        match source {
            Source::Register(register) => {
                Operand::Slice(&self.registers[register].get::<T>()[..self.len])
            }
            Source::Uniform(uniform) => Operand::Scalar(lane_of_word(self.uniforms[uniform])),
            Source::Block(block) => self.blocks.operand(block, self.len),
            Source::Input { input, offset } => {
                let bytes = self.inputs[input];
                let range = part(bytes, (offset + self.start as isize) as usize);
                Operand::Slice(bytemuck::cast_slice(&bytes[range]))
            }
            Source::External(external) => match self.externals[external] {
                External::Slice(lanes) => {
                    Operand::Slice(bytemuck::cast_slice(&lanes[..self.len * size_of::<T>()]))
                }
                External::Scalar(word) => Operand::Scalar(lane_of_word(word)),
            },
            Source::Output(output) => {
                let bytes = &self.outputs[output];
                let range = part(bytes, self.position);
                Operand::Slice(bytemuck::cast_slice(&bytes[range]))
            }
        }
    }

    /// The same as lanes of some type.
    pub(super) fn lanes(&self, lane: Lane, source: Source) -> Lanes<'_> {
        match lane {
            Lane::F32 => Lanes::F32(self.operand(source)),
            Lane::F64 => Lanes::F64(self.operand(source)),
            Lane::I32 => Lanes::I32(self.operand(source)),
            Lane::I64 => Lanes::I64(self.operand(source)),
            Lane::U32 => Lanes::U32(self.operand(source)),
        }
    }
}
