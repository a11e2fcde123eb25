//! `Reduce`: reductions that need no second pass.
//!
//! Where neighbours in memory belong to one row, rows are reduced by the machinery of `row.rs`, long
//! ones in chunks of fixed size. Where neighbours belong to different rows (the sum over a batch),
//! rows are accumulated side by side: the space is walked with the reduced axes outside. A chunk adds at
//! most 64 tiles one after another, and chunks are combined pairwise.

use std::ops::Range;

use gradloom_plan::Kernel;
use gradloom_tensor::Result;
use gradloom_tensor::op::Permutation;

use super::cascade::Cascade;
use super::executable::{Context, Executable, InPlace};
use super::export::with_export;
use super::phases::{Cut, Phases};
use super::reduction::{clear, combine_all, reduce_columns};
use super::row::Row;
use super::worker::{PhaseFrames, Worker};
use crate::parallel;
use crate::tile::{Frame, Registers, TILE, Tile};

/// Columns of a chunk of a long row.
const CHUNK: usize = 16 * TILE;
/// With this many rows, rows alone keep all threads busy.
const ROWS_MANY: usize = 64;

/// The executable for a `Reduce` kernel.
pub(crate) fn new(kernel: &Kernel, in_place: &InPlace) -> Box<dyn Executable> {
    let (rows, columns) = (kernel.space.rows(), kernel.space.columns());
    let passes = kernel.program.passes();
    if rows == 0 || kernel.outputs.iter().any(|output| passes[output.value] == 0) {
        return Box::new(Row::new(kernel, in_place));
    }
    if columns > 1 && rows > 1 && kernel.rows_are_neighbours() {
        Box::new(SideBySide::new(kernel, in_place))
    } else if columns > CHUNK && rows < ROWS_MANY {
        Box::new(Chunked::new(kernel, in_place))
    } else {
        Box::new(Row::new(kernel, in_place))
    }
}

/// Few long rows: chunks in parallel, combined in order.
struct Chunked {
    phases: Phases,
    rows: usize,
    columns: usize,
}

impl Chunked {
    fn new(kernel: &Kernel, in_place: &InPlace) -> Chunked {
        Chunked {
            phases: Phases::new(kernel, in_place, &|view| *view, Cut::Inline),
            rows: kernel.space.rows(),
            columns: kernel.space.columns(),
        }
    }
}

impl Executable for Chunked {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let frames = PhaseFrames::new(context, &self.phases, inputs);
        let phase = &self.phases.phases[0];
        let chunks = self.columns.div_ceil(CHUNK);
        let reductions = phase.reductions.len();
        let units = self.rows * chunks;
        let mut partial = vec![0u64; units * reductions];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut partial);
        let sizes = [reductions * size_of::<u64>()];
        parallel::split(context.threads, &mut [bytes], &sizes, units, 1, |range, parts| {
            let mut worker = Worker::new(context, &self.phases, 1, self.columns);
            let words: &mut [u64] = bytemuck::cast_slice_mut(parts[0]);
            for (unit, words) in range.zip(words.chunks_exact_mut(reductions)) {
                let (row, first) = (unit / chunks, unit % chunks * CHUNK);
                let columns = first..(first + CHUNK).min(self.columns);
                worker.reduce_columns_of_row(&frames, row, columns);
                for (index, word) in words.iter_mut().enumerate() {
                    *word = worker.reduced(index, 0);
                }
            }
        });
        let mut worker = Worker::new(context, &self.phases, self.rows, self.columns);
        for row in 0..self.rows {
            for (index, (_, reduced)) in phase.reductions.iter().enumerate() {
                let words =
                    (0..chunks).map(|chunk| partial[(row * chunks + chunk) * reductions + index]);
                let word = combine_all(reduced.lane, reduced.reduction, words);
                worker.set_reduced(index, row, word);
            }
        }
        worker.finish(&frames, 0, self.rows, outputs);
        Ok(())
    }
}

/// Rows whose neighbours in memory are other rows: blocks of rows by chunks of columns in parallel,
/// chunks combined in order.
struct SideBySide {
    phases: Phases,
    rows: usize,
    columns: usize,
    unit_bytes: Vec<usize>,
}

impl SideBySide {
    fn new(kernel: &Kernel, in_place: &InPlace) -> SideBySide {
        let (kept, rank) = (kernel.space.kept, kernel.space.shape.rank());
        let order: Vec<usize> = (kept..rank).chain(0..kept).collect();
        let permutation = Permutation::new(&order);
        SideBySide {
            phases: Phases::new(kernel, in_place, &|view| view.permute(&permutation), Cut::Inline),
            rows: kernel.space.rows(),
            columns: kernel.space.columns(),
            unit_bytes: kernel.outputs.iter().map(|output| output.dtype.size()).collect(),
        }
    }

    /// Combines some columns of some rows into `sums`, which has `TILE` lanes for each reduction.
    fn accumulate(
        &self,
        frame: &Frame<'_>,
        registers: &mut Registers,
        rows: Range<usize>,
        columns: Range<usize>,
        sums: &mut [u64],
    ) {
        let width = rows.len();
        // Several columns at a time if all rows fit in a tile.
        let step = if width == self.rows { (TILE / width).max(1) } else { 1 };
        let mut column = columns.start;
        while column < columns.end {
            let count = step.min(columns.end - column);
            let mut tile = Tile {
                start: column * self.rows + rows.start,
                len: count * width,
                externals: &[],
                outputs: &mut [],
                position: 0,
            };
            frame.run(registers, &mut tile);
            let reductions = self.phases.phases[0].reductions.iter();
            for (&(export, reduced), sums) in reductions.zip(sums.chunks_mut(TILE)) {
                let sums =
                    &mut bytemuck::cast_slice_mut::<u64, u8>(sums)[..width * reduced.lane.size()];
                with_export(frame, export, reduced.lane, registers, &tile, |lanes| {
                    reduce_columns(frame.level(), reduced.lane, reduced.reduction, lanes, sums);
                });
            }
            column += count;
        }
    }

    /// Combines the chunks of a block of rows and computes its outputs.
    fn finish(
        &self,
        context: &Context<'_>,
        frames: &PhaseFrames<'_>,
        rows: Range<usize>,
        partial: &[u64],
        pieces: &mut [&mut [u8]],
    ) {
        let reductions = &self.phases.phases[0].reductions;
        let mut worker = Worker::new(context, &self.phases, rows.len(), self.columns);
        for (index, (_, reduced)) in reductions.iter().enumerate() {
            let sums = worker.reduced_lanes(index, rows.len());
            let combine = |lanes: &[u8], sums: &mut [u8]| {
                reduce_columns(context.level, reduced.lane, reduced.reduction, lanes, sums);
            };
            let mut cascade = Cascade::default();
            for chunk in partial.chunks_exact(reductions.len() * TILE) {
                let lanes = bytemuck::cast_slice::<u64, u8>(&chunk[index * TILE..]);
                cascade.push_row(&lanes[..sums.len()], combine);
            }
            clear(reduced.lane, reduced.reduction, sums);
            cascade.write_total(sums, combine);
        }
        worker.finish(frames, rows.start, rows.len(), pieces);
    }
}

impl Executable for SideBySide {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let frames = PhaseFrames::new(context, &self.phases, inputs);
        let reductions = &self.phases.phases[0].reductions;
        let width = self.rows.min(TILE);
        // Chunks depend on the shape alone, and so do the bits of the result.
        let chunk = (4 * CHUNK).div_ceil(width);
        let (blocks, chunks) = (self.rows.div_ceil(width), self.columns.div_ceil(chunk));
        let part = reductions.len() * TILE;
        let threads = context.threads_for(self.rows * self.columns);
        let mut partial = context.pool.temporary(blocks * chunks * part * size_of::<u64>())?;
        let rows_of = |block: usize| block * width..((block + 1) * width).min(self.rows);
        let sizes = [part * size_of::<u64>()];
        parallel::split(
            threads,
            &mut [partial.get_mut()],
            &sizes,
            blocks * chunks,
            1,
            |range, parts| {
                let frame = frames.element(0);
                let mut registers = frame.registers();
                let parts: &mut [u64] = bytemuck::cast_slice_mut(parts[0]);
                for (unit, sums) in range.zip(parts.chunks_exact_mut(part)) {
                    for ((_, reduced), sums) in reductions.iter().zip(sums.chunks_mut(TILE)) {
                        clear(reduced.lane, reduced.reduction, bytemuck::cast_slice_mut(sums));
                    }
                    let first = unit % chunks * chunk;
                    let columns = first..(first + chunk).min(self.columns);
                    self.accumulate(frame, &mut registers, rows_of(unit / chunks), columns, sums);
                }
            },
        );
        let partial: &[u64] = bytemuck::cast_slice(partial.get());
        parallel::split(threads, outputs, &self.unit_bytes, self.rows, width, |rows, pieces| {
            let block = rows.start / width;
            let partial = &partial[block * chunks * part..(block + 1) * chunks * part];
            self.finish(context, &frames, rows, partial, pieces);
        });
        Ok(())
    }
}
