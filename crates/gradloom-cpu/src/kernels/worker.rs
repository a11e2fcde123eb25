//! [`Worker`]: one task's rows of a kernel with reductions, phase by phase, in the task's own scratch.

use std::ops::Range;

use super::cascade::Cascade;
use super::executable::Context;
use super::export::{export_lanes, repeat, with_export};
use super::phases::{Phase, Phases};
use super::reduction::{combine_words, identity, reduce_rows};
use super::slots::Slots;
use crate::scratch::Scratch;
use crate::tile::{External, Frame, Registers, TILE, Tile};

/// The programs of all phases, bound to an evaluation.
pub(super) struct PhaseFrames<'a> {
    frames: Vec<(Frame<'a>, Frame<'a>)>,
}

impl<'a> PhaseFrames<'a> {
    pub(super) fn new(
        context: &Context<'a>,
        phases: &'a Phases,
        inputs: &'a [&'a [u8]],
    ) -> PhaseFrames<'a> {
        let frames = phases.phases.iter().map(|phase| {
            (context.frame(&phase.row, inputs), context.frame(&phase.element, inputs))
        });
        PhaseFrames { frames: frames.collect() }
    }

    /// The element program of a phase.
    pub(super) fn element(&self, phase: usize) -> &Frame<'a> {
        &self.frames[phase].1
    }
}

/// Rows that share a tile: the first in the space and in the block, and how many.
#[derive(Clone, Copy)]
struct Group {
    first: usize,
    local: usize,
    count: usize,
}

/// One thread's memory for blocks of rows.
pub(super) struct Worker<'a> {
    phases: &'a Phases,
    columns: usize,
    level: crate::simd::Level,
    slots: Slots,
    /// Saved values, whole blocks.
    saved: Vec<Scratch>,
    /// Values of rows repeated along the columns, for a tile of several rows.
    repeated: Vec<Scratch>,
    registers: Vec<(Registers, Registers)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        context: &Context<'_>,
        phases: &'a Phases,
        block: usize,
        columns: usize,
    ) -> Worker<'a> {
        let repeated =
            phases.phases.iter().map(|phase| phase.element_rows.len()).max().unwrap_or(0);
        Worker {
            phases,
            columns,
            level: context.level,
            slots: Slots::new(phases.slots.len(), block),
            saved: phases
                .saved
                .iter()
                .map(|lane| Scratch::take::<u8>(block * columns * lane.size()))
                .collect(),
            repeated: (0..repeated).map(|_| Scratch::take::<u64>(TILE)).collect(),
            registers: Vec::new(),
        }
    }

    /// All phases of a block of rows.
    pub(super) fn run(
        &mut self,
        frames: &PhaseFrames<'_>,
        first: usize,
        rows: usize,
        pieces: &mut [&mut [u8]],
    ) {
        self.prepare(frames);
        for index in 0..self.phases.phases.len() {
            let phase = &self.phases.phases[index];
            let (row, element) = &frames.frames[index];
            if phase.has_rows {
                self.run_rows(phase, index, row, first, rows, pieces);
            }
            if phase.has_elements {
                self.run_elements(
                    phase,
                    index,
                    element,
                    first..first + rows,
                    0..self.columns,
                    pieces,
                );
            }
        }
    }

    /// The first phase's reductions over some columns of one row, for callers that combine parts.
    pub(super) fn reduce_columns_of_row(
        &mut self,
        frames: &PhaseFrames<'_>,
        row: usize,
        columns: Range<usize>,
    ) {
        self.prepare(frames);
        let phase = &self.phases.phases[0];
        self.run_elements(phase, 0, frames.element(0), row..row + 1, columns, &mut []);
    }

    /// The row programs of all phases, for callers that have set the reduced values.
    pub(super) fn finish(
        &mut self,
        frames: &PhaseFrames<'_>,
        first: usize,
        rows: usize,
        pieces: &mut [&mut [u8]],
    ) {
        self.prepare(frames);
        for (index, phase) in self.phases.phases.iter().enumerate() {
            if phase.has_rows {
                self.run_rows(phase, index, &frames.frames[index].0, first, rows, pieces);
            }
        }
    }

    fn prepare(&mut self, frames: &PhaseFrames<'_>) {
        if self.registers.is_empty() {
            let registers = frames.frames.iter();
            self.registers =
                registers.map(|(row, element)| (row.registers(), element.registers())).collect();
        }
    }

    /// The first phase's reduced value of a row.
    pub(super) fn reduced(&self, reduction: usize, row: usize) -> u64 {
        let reduced = self.phases.phases[0].reductions[reduction].1;
        self.slots.word(reduced.slot, reduced.lane, row)
    }

    /// Sets the first phase's reduced value of a row.
    pub(super) fn set_reduced(&mut self, reduction: usize, row: usize, word: u64) {
        let reduced = self.phases.phases[0].reductions[reduction].1;
        self.slots.set_word(reduced.slot, reduced.lane, row, word);
    }

    /// The first phase's reduced values of all rows, to write.
    pub(super) fn reduced_lanes(&mut self, reduction: usize, rows: usize) -> &mut [u8] {
        let reduced = self.phases.phases[0].reductions[reduction].1;
        self.slots.lanes_mut(reduced.slot, reduced.lane, 0..rows)
    }

    /// The row program of a phase.
    pub(super) fn run_rows(
        &mut self,
        phase: &Phase,
        index: usize,
        frame: &Frame<'_>,
        first: usize,
        rows: usize,
        pieces: &mut [&mut [u8]],
    ) {
        let mut registers = self.registers[index].0.take();
        let mut position = 0;
        while position < rows {
            let len = TILE.min(rows - position);
            let mut results: Vec<Scratch> = Vec::new();
            {
                let externals: Vec<External<'_>> = phase
                    .row_externals
                    .iter()
                    .map(|&slot| {
                        let lane = self.phases.slots[slot];
                        External::Slice(self.slots.lanes(slot, lane, position..rows))
                    })
                    .collect();
                let mut tile = Tile {
                    start: first + position,
                    len,
                    externals: &externals,
                    outputs: pieces,
                    position,
                };
                frame.run(&mut registers, &mut tile);
                for (export, &(_, lane)) in phase.row_exports.iter().enumerate() {
                    let mut copy = Scratch::take::<u8>(len * lane.size());
                    export_lanes(frame, export, lane, &registers, &tile, copy.get_mut());
                    results.push(copy);
                }
            }
            for (&(slot, lane), result) in phase.row_exports.iter().zip(&results) {
                let target = self.slots.lanes_mut(slot, lane, position..position + len);
                target.copy_from_slice(result.get());
            }
            position += len;
        }
        self.registers[index].0 = registers;
    }

    /// The element program of a phase over some columns of some rows, and its reductions, whose
    /// results go to their slots.
    pub(super) fn run_elements(
        &mut self,
        phase: &Phase,
        index: usize,
        frame: &Frame<'_>,
        rows: Range<usize>,
        columns: Range<usize>,
        pieces: &mut [&mut [u8]],
    ) {
        let mut registers = self.registers[index].1.take();
        let mut saved = std::mem::take(&mut self.saved);
        {
            let mut outputs: Vec<&mut [u8]> = pieces.iter_mut().map(|piece| &mut **piece).collect();
            // Saved values that this phase reads are inputs; those that it makes are outputs.
            let mut read: Vec<&[u8]> = Vec::new();
            for (saved_index, scratch) in saved.iter_mut().enumerate() {
                match phase.element_saved.contains(&saved_index) {
                    true => {
                        outputs.push(&mut []);
                        read.push(scratch.get());
                    }
                    false => {
                        outputs.push(scratch.get_mut());
                        read.push(&[]);
                    }
                }
            }
            if self.columns <= TILE && columns.len() == self.columns {
                let per_tile = TILE / self.columns.max(1);
                for local in (0..rows.len()).step_by(per_tile) {
                    let count = per_tile.min(rows.len() - local);
                    let first = rows.start + local;
                    let group = Group { first, local, count };
                    self.tile_of_rows(phase, frame, group, &mut registers, &mut outputs, &read);
                }
            } else {
                for row in rows.clone() {
                    let position = (row - rows.start) * self.columns;
                    self.tiles_of_row(
                        phase,
                        frame,
                        row,
                        row - rows.start,
                        position,
                        columns.clone(),
                        &mut registers,
                        &mut outputs,
                        &read,
                    );
                }
            }
        }
        self.saved = saved;
        self.registers[index].1 = registers;
    }

    /// Several whole rows in one tile.
    fn tile_of_rows(
        &mut self,
        phase: &Phase,
        frame: &Frame<'_>,
        group: Group,
        registers: &mut Registers,
        outputs: &mut [&mut [u8]],
        read: &[&[u8]],
    ) {
        let (Group { first, local, count }, columns) = (group, self.columns);
        let mut repeated = std::mem::take(&mut self.repeated);
        if count > 1 {
            for (&(slot, lane), target) in phase.element_rows.iter().zip(&mut repeated) {
                let values = self.slots.lanes(slot, lane, local..local + count);
                let target = &mut target.get_mut::<u8>()[..count * columns * lane.size()];
                repeat(values, lane, columns, target);
            }
        }
        {
            let mut externals: Vec<External<'_>> = Vec::new();
            for (&(slot, lane), target) in phase.element_rows.iter().zip(&repeated) {
                externals.push(if count > 1 {
                    External::Slice(target.get())
                } else {
                    External::Scalar(self.slots.word(slot, lane, local))
                });
            }
            let position = local * columns;
            externals.extend(phase.element_saved.iter().map(|&saved| {
                External::Slice(&read[saved][position * self.phases.saved[saved].size()..])
            }));
            let mut tile = Tile {
                start: first * columns,
                len: count * columns,
                externals: &externals,
                outputs,
                position,
            };
            frame.run(registers, &mut tile);
            for &(export, reduced) in &phase.reductions {
                let rows = local..local + count;
                let target = self.slots.lanes_mut(reduced.slot, reduced.lane, rows);
                with_export(frame, export, reduced.lane, registers, &tile, |lanes| {
                    reduce_rows(
                        self.level,
                        reduced.lane,
                        reduced.reduction,
                        lanes,
                        columns,
                        target,
                    );
                });
            }
        }
        self.repeated = repeated;
    }

    /// A part of one row, tile by tile.
    #[expect(clippy::too_many_arguments, reason = "a private step that names all it touches")]
    fn tiles_of_row(
        &mut self,
        phase: &Phase,
        frame: &Frame<'_>,
        row: usize,
        local: usize,
        position: usize,
        columns: Range<usize>,
        registers: &mut Registers,
        outputs: &mut [&mut [u8]],
        read: &[&[u8]],
    ) {
        let mut sums: Vec<Cascade<u64>> =
            phase.reductions.iter().map(|_| Cascade::default()).collect();
        let mut column = columns.start;
        while column < columns.end {
            let len = TILE.min(columns.end - column);
            let at = position + column;
            let mut externals: Vec<External<'_>> = phase
                .element_rows
                .iter()
                .map(|&(slot, lane)| External::Scalar(self.slots.word(slot, lane, local)))
                .collect();
            externals.extend(phase.element_saved.iter().map(|&saved| {
                External::Slice(&read[saved][at * self.phases.saved[saved].size()..])
            }));
            let mut tile = Tile {
                start: row * self.columns + column,
                len,
                externals: &externals,
                outputs,
                position: at,
            };
            frame.run(registers, &mut tile);
            for (&(export, reduced), sum) in phase.reductions.iter().zip(&mut sums) {
                let mut word = [0u64];
                let size = reduced.lane.size();
                with_export(frame, export, reduced.lane, registers, &tile, |lanes| {
                    let out = &mut bytemuck::cast_slice_mut::<u64, u8>(&mut word)[..size];
                    reduce_rows(self.level, reduced.lane, reduced.reduction, lanes, len, out);
                });
                sum.push(word[0], |a, b| combine_words(reduced.lane, reduced.reduction, a, b));
            }
            column += len;
        }
        for (&(_, reduced), sum) in phase.reductions.iter().zip(sums) {
            let total = sum.total(|a, b| combine_words(reduced.lane, reduced.reduction, a, b));
            let total = total.unwrap_or_else(|| identity(reduced.lane, reduced.reduction));
            self.slots.set_word(reduced.slot, reduced.lane, local, total);
        }
    }
}
