//! Products with a right matrix that is packed in panels: how threads share the packing, and the rows of the
//! result.

use gradloom_tensor::Result;

use super::executable::{Context, TASK_MIN};
use super::product::Number;
use super::stored::{StoredMatrix, pack_columns};
use crate::memory::Temporary;
use crate::parallel;

/// Least multiplications of a task.
pub(super) const TASK_WORK: usize = 256 * 1024;
/// Rows of a task of one thread are a multiple of this, which is one of the height of every tile.
pub(super) const TASK_ROWS: usize = 48;
/// How many tasks a thread may get; the first of them are preferred.
const TASKS_PER_THREAD: [usize; 5] = [4, 3, 5, 6, 2];
/// Elements of the result that a task makes before its epilogue reads them again, and rows from which on
/// it is not worth reading all panels once more for fewer.
const EPILOGUE_ELEMENTS: usize = 64 * 1024;
const EPILOGUE_ROWS: usize = 64;

/// Packs a right matrix of so many rows and columns in panels.
pub(super) fn pack<T: Number>(
    context: &Context<'_>,
    rhs: StoredMatrix<'_>,
    [k, n]: [usize; 2],
) -> Result<Temporary> {
    let width = T::panel_width(context.level);
    let count = n.div_ceil(width);
    let bytes = width * k * size_of::<T>();
    let mut packed = context.pool.temporary(count * bytes)?;
    let threads = context.threads_for(count * width * k);
    let per_task = parallel::grain(threads, count, width * k, TASK_MIN);
    parallel::split(threads, &mut [packed.get_mut()], &[bytes], count, per_task, |range, parts| {
        let columns = range.start * width..(range.end * width).min(n);
        let packed = bytemuck::cast_slice_mut(parts[0]);
        pack_columns::<T>(context.level, rhs, k, columns, packed);
    });
    Ok(packed)
}

/// Rows of a task of panels, whose bits do not depend on it: whole tiles of `height` rows, in tasks that
/// keep the threads about equally busy. With an epilogue a task is no larger than what it finds in the cache
/// again.
pub(super) fn rows_per_task(
    [rows, columns, inner]: [usize; 3],
    threads: usize,
    height: usize,
    epilogue: bool,
) -> usize {
    let enough = TASK_WORK.div_ceil((columns * inner).max(1));
    let most = match epilogue {
        true => (EPILOGUE_ELEMENTS / columns.max(1)).max(EPILOGUE_ROWS),
        false => usize::MAX,
    };
    let sizes = TASKS_PER_THREAD
        .map(|tasks| rows.div_ceil(threads * tasks).min(most).max(enough).next_multiple_of(height));
    // Rows of the thread that has most to do.
    let longest = |size: usize| rows.div_ceil(size).div_ceil(threads) * size;
    sizes.into_iter().min_by_key(|&size| longest(size)).unwrap_or(rows)
}
