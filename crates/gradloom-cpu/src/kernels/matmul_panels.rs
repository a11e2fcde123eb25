//! Products with a right matrix that is packed in panels: how it is packed, and rows of the result made of
//! it.

use gradloom_tensor::Result;

use super::executable::{Context, TASK_MIN};
use super::matrix::Matrix;
use super::panel::DEPTH;
use super::product::Number;
use super::stored::{StoredMatrix, pack_columns};
use crate::memory::Temporary;
use crate::parallel;
use crate::scratch::Scratch;
use crate::transpose::transpose;

/// Least multiplications of a task.
pub(super) const TASK_WORK: usize = 256 * 1024;
/// Rows of a task are a multiple of this: a cache line of a left matrix that lies in columns.
pub(super) const TASK_ROWS: usize = 16;
/// Elements of the result that a task makes before its epilogue reads them again, and rows from which on
/// it is not worth reading all panels once more for fewer.
const EPILOGUE_ELEMENTS: usize = 64 * 1024;
const EPILOGUE_ROWS: usize = 64;
/// Elements from one column to the next from which rows are transposed before they are multiplied.
const FAR: isize = 4096;
/// Rows that are transposed at a time, at least and at most, and elements of them where they are long: of
/// many rows more neighbours are read of each page.
const TRANSPOSED_ROWS: [usize; 2] = [48, 144];
const TRANSPOSED_ELEMENTS: usize = 512 * 1024;
/// Columns that are multiples of this apart share so few places of the caches that blocks of
/// [`DEPTH`] drive their own lines out.
const CROWDED: isize = 1024;

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

/// Rows of a task of panels, whose bits do not depend on it. With an epilogue a task is no larger than what
/// it finds in the cache again.
pub(super) fn rows_per_task(
    [rows, columns, inner]: [usize; 3],
    threads: usize,
    epilogue: bool,
) -> usize {
    let enough = TASK_WORK.div_ceil((columns * inner).max(1));
    let most = match epilogue {
        true => (EPILOGUE_ELEMENTS / columns.max(1)).max(EPILOGUE_ROWS),
        false => usize::MAX,
    };
    rows.div_ceil(threads * 4).min(most).max(enough).next_multiple_of(TASK_ROWS)
}

pub(super) fn multiply_panels<T: Number>(
    context: &Context<'_>,
    out: &mut [T],
    size: [usize; 3],
    lhs: Matrix<'_, T>,
    packed: &[T],
) {
    let step = lhs.strides[1];
    let crowded = step > 0 && step % CROWDED == 0 && size[2] >= DEPTH;
    if lhs.strides[0] == 1 && (step > FAR || crowded) {
        multiply_transposed(context, out, size, lhs, packed);
    } else {
        T::multiply_packed(context.level, out, size, lhs, packed);
    }
}

/// A product whose left matrix lies in columns so far apart that each would be in another page, or that
/// they push each other out of the caches: some rows at a time are transposed first.
fn multiply_transposed<T: Number>(
    context: &Context<'_>,
    out: &mut [T],
    [rows, columns, inner]: [usize; 3],
    lhs: Matrix<'_, T>,
    packed: &[T],
) {
    lhs.check(rows, inner);
    let [least, most] = TRANSPOSED_ROWS;
    let together = (TRANSPOSED_ELEMENTS / inner.max(1)).clamp(least, most).min(rows.max(1));
    let mut transposed = Scratch::take::<T>(together * inner);
    let outs = out[..rows * columns].chunks_mut((together * columns).max(1));
    for (index, out) in outs.enumerate() {
        let first = index * together;
        let count = together.min(rows - first);
        let source = &lhs.values[(lhs.offset + first as isize) as usize..];
        let step = lhs.strides[1] as usize;
        transpose(context.level, source, step, [inner, count], transposed.get_mut(), inner);
        let lhs = Matrix { values: transposed.get(), offset: 0, strides: [inner as isize, 1] };
        T::multiply_packed(context.level, out, [count, columns, inner], lhs, packed);
    }
}
