//! [`Frame`]: a tile program bound to the buffers and arguments of one evaluation.

use std::ops::Range;

use bytemuck::Pod;
use gradloom_tensor::{DType, Scalar};

use super::TILE;
use super::blocks::BlockRegisters;
use super::chain::run_chain;
use super::failures::{Failure, Failures, first_outside};
use super::memory_steps;
use super::operand::{Operand, lane_of_word, word_of_lane};
use super::sources::{External, Sources};
use super::step::{Source, Step, Target, TileProgram, Work};
use super::unary::Lanes;
use super::{binary, cast, clamp, unary};
use crate::convert::{Lane, with_storage};
use crate::scratch::Scratch;
use crate::simd::Level;

/// Elements of a block from which on a tile has those of one block alone: its values are one lane each then.
const BLOCK_LARGE: usize = TILE / 4;

/// The registers of one thread.
#[derive(Default)]
pub(crate) struct Registers {
    elements: Vec<Scratch>,
    pub(super) blocks: BlockRegisters,
}

impl Registers {
    /// The registers, leaving none.
    pub(crate) fn take(&mut self) -> Registers {
        std::mem::take(self)
    }
}

/// A program with what it reads.
pub(crate) struct Frame<'a> {
    program: &'a TileProgram,
    level: Level,
    inputs: &'a [&'a [u8]],
    arguments: &'a [Scalar],
    failures: &'a Failures,
    uniforms: Vec<u64>,
}

/// One tile: which elements, and where they are.
pub(crate) struct Tile<'a, 'o> {
    /// First element in the space.
    pub(crate) start: usize,
    /// Elements, at most [`TILE`].
    pub(crate) len: usize,
    /// What the caller provides.
    pub(crate) externals: &'a [External<'a>],
    /// Pieces of the outputs.
    pub(crate) outputs: &'a mut [&'o mut [u8]],
    /// First element in the pieces.
    pub(crate) position: usize,
}

impl<'a> Frame<'a> {
    /// Binds a program and computes what is the same for all elements.
    pub(crate) fn new(
        program: &'a TileProgram,
        level: Level,
        inputs: &'a [&'a [u8]],
        arguments: &'a [Scalar],
        failures: &'a Failures,
    ) -> Frame<'a> {
        let mut frame = Frame {
            program,
            level,
            inputs,
            arguments,
            failures,
            uniforms: vec![0; program.uniforms],
        };
        for step in &program.uniform_steps {
            let mut word = [0u64];
            let sources = Sources {
                registers: &[],
                blocks: &BlockRegisters::default(),
                uniforms: &frame.uniforms,
                inputs,
                externals: &[],
                outputs: &[],
                start: 0,
                position: 0,
                len: 1,
            };
            let out = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut word)[..step.lane.size()];
            frame.execute(step, &sources, out);
            if let Target::Uniform(uniform) = step.target {
                frame.uniforms[uniform] = word[0];
            }
        }
        frame
    }

    /// The level whose loops run.
    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// What it is bound to.
    pub(super) fn program(&self) -> &TileProgram {
        self.program
    }

    /// The bytes of an input.
    pub(super) fn input(&self, input: usize) -> &[u8] {
        self.inputs[input]
    }

    /// A value that is the same for all elements.
    ///
    /// # Panics
    /// If the source is another.
    pub(super) fn uniform(&self, source: Source) -> u64 {
        match source {
            Source::Uniform(uniform) => self.uniforms[uniform],
            source => panic!("frame: {source:?} is not the same for all elements"),
        }
    }

    /// How many of the next elements are best one tile: those of one block where blocks are large.
    pub(crate) fn tile_len(&self, start: usize, left: usize) -> usize {
        let TileProgram { block, block_steps, .. } = self.program;
        match block_steps.is_empty() || *block < BLOCK_LARGE {
            true => TILE.min(left),
            false => TILE.min(left).min(block - start % block),
        }
    }

    /// Registers for this program on the calling thread.
    pub(crate) fn registers(&self) -> Registers {
        let bytes = TILE * if self.program.wide { 8 } else { 4 };
        let elements = (0..self.program.registers).map(|_| Scratch::take::<u8>(bytes)).collect();
        Registers { elements, blocks: BlockRegisters::take(self.program.blocks.len(), bytes) }
    }

    /// Computes what is the same for the elements of each block of a tile.
    fn run_blocks(&self, registers: &mut BlockRegisters, tile: &Tile<'_, '_>) {
        let program = self.program;
        let block = program.block;
        let range = tile.start / block..(tile.start + tile.len).div_ceil(block);
        self.compute_blocks(registers, &range);
        if range.len() > 1 {
            let read = program.blocks.iter().enumerate().filter(|(_, (_, read))| *read);
            for (value, &(lane, _)) in read {
                registers.spread(value, lane, block - tile.start % block, block, tile.len);
            }
        }
    }

    /// Computes what is the same for the elements of each of some blocks, at most as many as a tile has elements.
    pub(super) fn compute_blocks(&self, registers: &mut BlockRegisters, range: &Range<usize>) {
        if registers.range == *range {
            return;
        }
        registers.range = range.clone();
        for step in &self.program.block_steps {
            let Target::Block(target) = step.target else { continue };
            let mut taken = std::mem::replace(&mut registers.lanes[target], Scratch::empty());
            let sources = Sources {
                registers: &registers.lanes,
                blocks: registers,
                uniforms: &self.uniforms,
                inputs: self.inputs,
                externals: &[],
                outputs: &[],
                start: range.start,
                position: 0,
                len: range.len(),
            };
            let out = &mut taken.get_mut::<u8>()[..range.len() * step.lane.size()];
            self.execute(step, &sources, out);
            registers.lanes[target] = taken;
        }
    }

    /// Computes one tile and stores its outputs.
    pub(crate) fn run(&self, registers: &mut Registers, tile: &mut Tile<'_, '_>) {
        debug_assert!(tile.len <= TILE);
        if !self.program.block_steps.is_empty() {
            self.run_blocks(&mut registers.blocks, tile);
        }
        let Registers { elements: registers, blocks } = registers;
        let next = [tile.start + tile.len, tile.position + tile.len];
        self.program.ahead.ask(self.inputs, tile.outputs, next, tile.len);
        for step in &self.program.steps {
            let lanes = step.lane.size();
            match step.target {
                Target::Register(register) => {
                    let mut taken = std::mem::replace(&mut registers[register], Scratch::empty());
                    let sources = self.sources(registers, blocks, tile);
                    self.execute(step, &sources, &mut taken.get_mut::<u8>()[..tile.len * lanes]);
                    registers[register] = taken;
                }
                Target::Output(output) => {
                    let taken = std::mem::take(&mut tile.outputs[output]);
                    let sources = self.sources(registers, blocks, tile);
                    let range = tile.position * lanes..(tile.position + tile.len) * lanes;
                    self.execute(step, &sources, &mut taken[range]);
                    tile.outputs[output] = taken;
                }
                Target::Nothing | Target::Uniform(_) | Target::Block(_) => {
                    let sources = self.sources(registers, blocks, tile);
                    self.execute(step, &sources, &mut []);
                }
            }
        }
        for &(source, lane, store) in &self.program.stores {
            let size = store.dtype.size();
            let taken = std::mem::take(&mut tile.outputs[store.output]);
            let sources = self.sources(registers, blocks, tile);
            let out = &mut taken[tile.position * size..(tile.position + tile.len) * size];
            debug_assert_eq!(lane, Lane::of(store.dtype));
            with_storage!(store.dtype, |S, L, C| memory_steps::store::<L, S, C>(
                self.level,
                C::default(),
                sources.operand(source),
                out,
            ));
            tile.outputs[store.output] = taken;
        }
    }

    /// An exported value of the tile that has just run.
    pub(crate) fn export<'s, T: Pod>(
        &'s self,
        export: usize,
        registers: &'s Registers,
        tile: &'s Tile<'s, '_>,
    ) -> Operand<'s, T> {
        let source = self.program.exports[export];
        // Not through `Sources`, whose borrow of the outputs would end here.
        match source {
            Source::Register(register) => {
                Operand::Slice(&registers.elements[register].get::<T>()[..tile.len])
            }
            Source::Uniform(uniform) => Operand::Scalar(lane_of_word(self.uniforms[uniform])),
            Source::Block(block) => registers.blocks.operand(block, tile.len),
            Source::Input { input, offset } => {
                let values: &[T] = bytemuck::cast_slice(self.inputs[input]);
                let first = (offset + tile.start as isize) as usize;
                Operand::Slice(&values[first..first + tile.len])
            }
            Source::External(external) => match tile.externals[external] {
                External::Slice(lanes) => Operand::Slice(&bytemuck::cast_slice(lanes)[..tile.len]),
                External::Scalar(word) => Operand::Scalar(lane_of_word(word)),
            },
            Source::Output(output) => {
                let values: &[T] = bytemuck::cast_slice(&*tile.outputs[output]);
                Operand::Slice(&values[tile.position..tile.position + tile.len])
            }
        }
    }

    fn sources<'s>(
        &'s self,
        registers: &'s [Scratch],
        blocks: &'s BlockRegisters,
        tile: &'s Tile<'_, '_>,
    ) -> Sources<'s> {
        Sources {
            registers,
            blocks,
            uniforms: &self.uniforms,
            inputs: self.inputs,
            externals: tile.externals,
            outputs: &*tile.outputs,
            start: tile.start,
            position: tile.position,
            len: tile.len,
        }
    }

    fn execute(&self, step: &Step, sources: &Sources<'_>, out: &mut [u8]) {
        let level = self.level;
        match &step.work {
            Work::Load { input, dtype, access } => {
                memory_steps::load(level, *dtype, self.inputs[*input], access, sources.start, out);
            }
            Work::LoadOutput { output, dtype } => {
                let size = dtype.size();
                let range = sources.position * size..(sources.position + sources.len) * size;
                let stored = &sources.outputs[*output][range];
                memory_steps::load_contiguous(level, *dtype, stored, out);
            }
            Work::LoadExternal { external, dtype } => {
                if let External::Slice(stored) = sources.externals[*external] {
                    let stored = &stored[..sources.len * dtype.size()];
                    memory_steps::load_contiguous(level, *dtype, stored, out);
                }
            }
            Work::Index { access } => memory_steps::index(level, access, sources.start, out),
            Work::Constant(value, dtype) => write_scalar(*value, *dtype, out),
            Work::Argument(index, dtype) => write_scalar(self.arguments[*index], *dtype, out),
            Work::Unary(op, lane, value) => {
                unary::unary(level, *op, sources.lanes(*lane, *value), out);
            }
            Work::Binary(op, lane, lhs, rhs) => {
                let (lhs, rhs) = (sources.lanes(*lane, *lhs), sources.lanes(*lane, *rhs));
                binary::binary(level, *op, lhs, rhs, out);
            }
            Work::Select(lane, condition, on_true, on_false) => binary::select(
                level,
                sources.operand(*condition),
                sources.lanes(*lane, *on_true),
                sources.lanes(*lane, *on_false),
                out,
            ),
            Work::Clamp(value, low, high) => {
                let [value, low, high] = [value, low, high].map(|source| sources.operand(*source));
                clamp::clamp(level, value, low, high, bytemuck::cast_slice_mut(out));
            }
            Work::Chain(first, links) => run_chain(level, *first, links, step.target, sources, out),
            Work::Cast(lane, to, value) => {
                cast::cast(level, sources.lanes(*lane, *value), *to, out);
            }
            Work::Random(index, key) => {
                let key = key.map(|word| match sources.operand::<u32>(word) {
                    Operand::Scalar(word) => word,
                    Operand::Slice(words) => words[0],
                });
                cast::random(level, key, sources.operand(*index), out);
            }
            Work::Check { lane, value, size, site } => {
                self.check(*lane, *value, *size, *site, sources);
            }
        }
    }

    fn check(&self, lane: Lane, value: Source, size: usize, site: usize, sources: &Sources<'_>) {
        let found = match sources.lanes(lane, value) {
            Lanes::I32(value) => {
                first_outside(value, |index| (index as i64, index < 0 || index as usize >= size))
            }
            Lanes::I64(value) => first_outside(value, |index| {
                (index, index < 0 || usize::try_from(index).is_ok_and(|index| index >= size))
            }),
            Lanes::U32(value) => {
                first_outside(value, |index| (i64::from(index), index as usize >= size))
            }
            Lanes::F32(_) | Lanes::F64(_) => None,
        };
        if let Some((position, value)) = found {
            let element = sources.start + position;
            self.failures.record(Failure { site, value, size, element });
        }
    }
}

/// A number as one lane.
fn write_scalar(value: Scalar, dtype: DType, out: &mut [u8]) {
    let word = match Lane::of(dtype) {
        Lane::F64 => word_of_lane(value.as_f64()),
        Lane::I64 => word_of_lane(value.as_i64()),
        Lane::F32 | Lane::I32 | Lane::U32 => word_of_lane(value.word(dtype)),
    };
    let size = Lane::of(dtype).size();
    out[..size].copy_from_slice(&bytemuck::bytes_of(&word)[..size]);
}
