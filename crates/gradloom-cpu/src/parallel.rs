//! Splitting the outputs of a kernel among threads: each task gets its own pieces, so kernels need no
//! unsafe code to write in parallel.
#![expect(unsafe_code, reason = "hands disjoint parts of several slices to several threads")]

use std::marker::PhantomData;
use std::ops::Range;

use crate::crew;

/// A slice that tasks take disjoint parts of.
struct Shared<'a> {
    pointer: *mut u8,
    bytes: usize,
    slice: PhantomData<&'a mut [u8]>,
}

// SAFETY: parts go to threads as exclusive slices of plain bytes, and no two overlap (see `split`).
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

/// Runs `work` on `units` units of work in tasks of `per_task` units. Unit `u` owns the bytes
/// `u * unit_bytes[k]..(u + 1) * unit_bytes[k]` of output `k`; a task gets those of its units.
///
/// With `threads <= 1` everything runs here, in order.
#[inline]
pub(crate) fn split(
    threads: usize,
    outputs: &mut [&mut [u8]],
    unit_bytes: &[usize],
    units: usize,
    per_task: usize,
    work: impl Fn(Range<usize>, &mut [&mut [u8]]) + Sync,
) {
    split_tasks(threads, outputs, unit_bytes, [1, units], per_task, &work);
}

/// As [`split`], for `rows` rows of as many units, of which no task has those of two.
#[inline]
pub(crate) fn split_rows(
    threads: usize,
    outputs: &mut [&mut [u8]],
    unit_bytes: &[usize],
    [rows, units]: [usize; 2],
    per_task: usize,
    work: impl Fn(Range<usize>, &mut [&mut [u8]]) + Sync,
) {
    split_tasks(threads, outputs, unit_bytes, [rows, units], per_task, &work);
}

/// What a task does with its units and its parts of the outputs.
type Work<'a> = &'a (dyn Fn(Range<usize>, &mut [&mut [u8]]) + Sync);

/// Compiled once for all kernels: what threads do to share tasks is much code.
fn split_tasks(
    threads: usize,
    outputs: &mut [&mut [u8]],
    unit_bytes: &[usize],
    [rows, row]: [usize; 2],
    per_task: usize,
    work: Work<'_>,
) {
    let units = rows * row;
    assert_eq!(outputs.len(), unit_bytes.len(), "split: one size per output");
    let shared: Vec<Shared<'_>> = outputs
        .iter_mut()
        .zip(unit_bytes)
        .map(|(output, &bytes)| {
            assert_eq!(output.len(), bytes * units, "split: units cover the output");
            Shared { pointer: output.as_mut_ptr(), bytes, slice: PhantomData }
        })
        .collect();
    let per_task = per_task.max(1);
    let of_row = row.div_ceil(per_task);
    let tasks = rows * of_row;
    let run = |task: usize| {
        let (first, within) = (task / of_row * row, task % of_row * per_task);
        let range = first + within..first + (within + per_task).min(row);
        let mut parts: Vec<&mut [u8]> = shared
            .iter()
            .map(|shared| {
                // SAFETY: the output has `bytes * units` bytes and lives through this call; task
                // ranges do not overlap, so each byte is in the part of one task only.
                unsafe {
                    std::slice::from_raw_parts_mut(
                        shared.pointer.add(range.start * shared.bytes),
                        range.len() * shared.bytes,
                    )
                }
            })
            .collect();
        work(range, &mut parts);
    };
    if threads <= 1 || tasks <= 1 {
        (0..tasks).for_each(run);
    } else {
        crew::share(threads, tasks, &run);
    }
}

/// Units per task: tasks of at least `work_min` work where a unit has `unit_work`, and not many more
/// tasks than keep the threads busy. Results never depend on it.
pub(crate) fn grain(threads: usize, units: usize, unit_work: usize, work_min: usize) -> usize {
    if threads <= 1 {
        return units.max(1);
    }
    let enough = work_min.div_ceil(unit_work.max(1));
    let balanced = units.div_ceil(threads * 4);
    enough.max(balanced).clamp(1, units.max(1))
}
