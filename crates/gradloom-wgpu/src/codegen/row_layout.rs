//! [`RowLayout`]: how the rows and columns of a reduction are shared among threads.

use gradloom_plan::{Kernel, KernelKind};

use super::packed;
use super::unit::Unit;

/// Columns that a thread keeps in registers at most.
const RESIDENT_MAX: usize = 4;
/// Rows from which a thread for each keeps the device busy, if there are few columns.
const ROWS_MANY: usize = 1 << 12;
/// Columns that a thread of a split reduction adds at least.
const COLUMNS_PER_THREAD_MIN: usize = 16;
/// Chunks of a split reduction at most, unless the columns of a thread would be too many.
const CHUNKS_MAX: usize = 256;
/// Columns that a thread of a reduction walks at most.
const COLUMNS_PER_THREAD_MAX: usize = 4096;
/// Columns that a thread adds one after another; more are added in blocks.
const PLAIN_MAX: usize = 64;
/// Turns of all passes over a row from which a thread takes [`WIDE`] columns in each.
const TURNS_NARROW_MAX: usize = 1 << 15;
/// Columns in a turn of very long rows.
const WIDE: usize = 8;

/// How rows and columns are shared among threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RowLayout {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Threads of a row.
    pub(crate) threads: usize,
    pub(crate) rows_per_group: usize,
    /// Neighbouring threads take neighbouring rows.
    pub(crate) row_fastest: bool,
    /// Parts that the columns are split in, each with its own workgroups.
    pub(crate) chunks: usize,
    /// Columns of a part.
    pub(crate) chunk: usize,
    /// Columns of a thread in a turn: all that it has, or room for them, kept in registers; or else 1, four
    /// neighbours, or 8 of very long rows.
    pub(crate) lanes: usize,
    /// The lanes are four neighbours; otherwise they lie as many columns apart as there are threads.
    pub(crate) in_fours: bool,
    /// True if all columns of a row fit in its threads' registers.
    pub(crate) is_resident: bool,
    /// Turns whose columns are added one after another, before they are added to what was before.
    pub(crate) block: usize,
}

impl RowLayout {
    /// The layout for a kernel.
    pub(crate) fn choose(unit: &Unit<'_>) -> RowLayout {
        let space = &unit.kernel.space;
        let (rows, columns) = (space.rows(), space.columns());
        let workgroup = unit.target.workgroup as usize;
        let may = |form: &str| unit.target.may("row", form);
        let row_fastest = rows > 1 && unit.kernel.rows_are_neighbours() && may("ROW_FASTEST");
        let threads = if row_fastest {
            strided_threads(rows, columns, workgroup)
        } else if columns <= RESIDENT_MAX && rows >= ROWS_MANY {
            1
        } else {
            // Four columns a thread, if the row is that long. Never one thread: a tree over one or more of
            // them is the same shader for rows of any length.
            columns.div_ceil(RESIDENT_MAX).next_power_of_two().max(2).min(workgroup)
        };
        let rows_per_group = workgroup / threads;
        let mut layout = RowLayout {
            rows,
            columns,
            threads,
            rows_per_group,
            row_fastest,
            chunks: 1,
            chunk: columns,
            lanes: 1,
            in_fours: has_narrow(unit.kernel)
                && !row_fastest
                && threads > 1
                && columns > 0
                && columns.is_multiple_of(4),
            is_resident: false,
            block: 1,
        };
        if layout.in_fours {
            layout.lanes = 4;
        }
        let reduces = matches!(unit.kernel.kind, KernelKind::Reduce);
        let fits = columns > 0 && columns.div_ceil(threads) <= RESIDENT_MAX && may("RESIDENT");
        // What is read once gains little from registers, and columns that lie apart are few and many.
        if fits && !(reduces && row_fastest && threads > 1) {
            // Rows of any length have the same room.
            layout.lanes = if threads == 1 { columns } else { RESIDENT_MAX };
            layout.is_resident = true;
        } else if reduces && may("SPLIT") {
            layout.split(unit.target.busy_workgroups as usize);
        }
        if !layout.is_resident {
            let passes = unit.kernel.program.passes().into_iter().max().unwrap_or(0) + 1;
            if layout.turns() * passes > TURNS_NARROW_MAX {
                (layout.lanes, layout.in_fours) = (WIDE, false);
            }
            let together = if layout.in_fours { layout.lanes } else { 1 };
            layout.block = block(layout.turns(), together);
        }
        layout
    }

    /// Splits the columns if the rows alone do not keep the device busy.
    fn split(&mut self, busy_workgroups: usize) {
        let blocks = self.rows.div_ceil(self.rows_per_group);
        let wanted = busy_workgroups.div_ceil(blocks.max(1));
        let useful = self.columns / (self.threads * COLUMNS_PER_THREAD_MIN);
        let needed = self.columns.div_ceil(self.threads * COLUMNS_PER_THREAD_MAX);
        let chunks = wanted.min(useful).min(CHUNKS_MAX).max(needed);
        if chunks > 1 {
            // Whole rounds of the threads, so that every chunk but the last is full.
            let round = if self.in_fours { self.threads * 4 } else { self.threads };
            self.chunk = self.columns.div_ceil(chunks).next_multiple_of(round);
            self.chunks = self.columns.div_ceil(self.chunk);
        }
    }

    /// Turns of a thread over its columns.
    pub(crate) fn turns(&self) -> usize {
        self.chunk.div_ceil(self.threads * self.lanes)
    }

    /// The layout of the second stage, whose columns are the chunks of this one.
    pub(crate) fn combining(&self, workgroup: u32) -> RowLayout {
        let threads = self.chunks.next_power_of_two().min(32);
        RowLayout {
            threads,
            rows_per_group: workgroup as usize / threads,
            // Partial results of one chunk are neighbours along the rows.
            row_fastest: true,
            chunks: 1,
            chunk: self.columns,
            lanes: 1,
            in_fours: false,
            is_resident: false,
            block: 1,
            ..self.clone()
        }
    }
}

/// True if elements of some operand or result share words. The others have one shader for rows of any
/// length.
fn has_narrow(kernel: &Kernel) -> bool {
    let inputs = kernel.inputs.iter().map(|input| input.dtype);
    inputs.chain(kernel.outputs.iter().map(|output| output.dtype)).any(packed::is_narrow)
}

/// Turns of a block: about as many as there are blocks. A turn adds so many columns to one sum where there
/// are no blocks.
fn block(turns: usize, together: usize) -> usize {
    if turns * together <= PLAIN_MAX { turns.max(1) } else { 1 << turns.ilog2().div_ceil(2) }
}

/// Threads of a row when neighbouring threads take neighbouring rows.
fn strided_threads(rows: usize, columns: usize, workgroup: usize) -> usize {
    let rows_per_group = rows.next_power_of_two().min(workgroup);
    // Enough rows fill the device with one thread each; fewer share their columns.
    let rows_per_group = if rows >= 1 << 16 { rows_per_group } else { rows_per_group.min(32) };
    let most = (workgroup / rows_per_group).max(1);
    most.min(columns.next_power_of_two().max(1))
}
