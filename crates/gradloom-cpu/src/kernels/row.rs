//! `Row`, and `Reduce` along contiguous rows: blocks of whole rows go through all phases while they
//! are in the cache; blocks run in parallel.
//!
//! Rows shorter than a tile are handled many at a time; longer ones tile by tile.

use gradloom_plan::Kernel;
use gradloom_plan::program::Level;
use gradloom_tensor::Result;

use super::executable::{Context, Executable, InPlace, TASK_MIN};
use super::phases::{Cut, Phases};
use super::worker::{PhaseFrames, Worker};
use crate::parallel;
use crate::tile::TILE;

/// Elements of a block of rows, if the rows are shorter than this.
const BLOCK: usize = 4 * TILE;
/// Longest row whose intermediate values are saved between phases.
const SAVED_MAX: usize = 64 * TILE;

pub(crate) struct Row {
    phases: Phases,
    rows: usize,
    columns: usize,
    unit_bytes: Vec<usize>,
    cost: usize,
}

impl Row {
    pub(crate) fn new(kernel: &Kernel, in_place: &InPlace) -> Row {
        let (rows, columns) = (kernel.space.rows(), kernel.space.columns());
        let cut = if columns <= SAVED_MAX { Cut::Saved } else { Cut::Rows };
        let phases = Phases::new(kernel, in_place, &|view| *view, cut);
        let unit_bytes = kernel.outputs.iter().map(|output| {
            let elements = match kernel.program.instructions[output.value].level {
                Level::Row => 1,
                Level::Element => columns,
            };
            elements * output.dtype.size()
        });
        Row {
            phases,
            rows,
            columns,
            unit_bytes: unit_bytes.collect(),
            cost: 1 + kernel.program.operations_per_element() / 4,
        }
    }

    /// Rows that go through the phases together.
    fn block_rows(&self) -> usize {
        let columns = self.columns.max(1);
        if columns <= TILE { BLOCK / TILE * (TILE / columns) } else { (BLOCK / columns).max(1) }
    }
}

impl Executable for Row {
    fn run(
        &self,
        context: &Context<'_>,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
    ) -> Result<()> {
        let frames = PhaseFrames::new(context, &self.phases, inputs);
        let work = self.columns.max(1) * self.cost;
        let threads = context.threads_for(self.rows * work);
        let block = self.block_rows();
        let per_task = parallel::grain(threads, self.rows, work, TASK_MIN);
        let per_task = per_task.next_multiple_of(block);
        parallel::split(threads, outputs, &self.unit_bytes, self.rows, per_task, |range, parts| {
            let mut worker = Worker::new(context, &self.phases, block, self.columns);
            let mut first = range.start;
            while first < range.end {
                let rows = block.min(range.end - first);
                let offset = first - range.start;
                let mut pieces: Vec<&mut [u8]> = parts
                    .iter_mut()
                    .zip(&self.unit_bytes)
                    .map(|(part, &bytes)| &mut part[offset * bytes..(offset + rows) * bytes])
                    .collect();
                worker.run(&frames, first, rows, &mut pieces);
                first += rows;
            }
        });
        Ok(())
    }
}
