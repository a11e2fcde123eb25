//! The loops of pooling over one plane.
//!
//! Windows of two by two side by side have loops of their own, which vectorise; other windows go
//! through the window's elements outside and along the output's rows inside.

use gradloom_plan::Pool;

use super::lanes::Ordered;
use super::lost::Lost;
use super::pool_rows::{WindowRow, WindowRows};
use crate::scratch::Scratch;
use crate::simd::vectorized;

/// True for windows of two by two side by side without padding, in planes without depth.
fn is_two_by_two(pool: &Pool) -> bool {
    let window = &pool.window;
    pool.input_size[0] == 1
        && window.kernel == [1, 2, 2]
        && window.stride[1..] == [2, 2]
        && !window.pads()
        && window.dilation[1..] == [1, 1]
}

/// Terms of a sum that are added as they are; more keep what rounding cuts off.
const PLAIN_MAX: usize = 128;

/// True if sums over so many terms along each axis are long.
fn is_long(terms: [usize; 3]) -> bool {
    terms.into_iter().fold(1, usize::saturating_mul) > PLAIN_MAX
}

/// Windows that one input element is in, at most, along each axis.
fn overlaps(pool: &Pool) -> [usize; 3] {
    [0, 1, 2].map(|axis| {
        // Every so many elements of a window meet the same input element.
        let (stride, dilation) = (pool.window.stride[axis], pool.window.dilation[axis]);
        let step = (1..=stride).find(|step| (step * dilation).is_multiple_of(stride)).unwrap_or(1);
        pool.window.kernel[axis].div_ceil(step).min(pool.output_size[axis])
    })
}

/// Combines every `stride`-th input element with the outputs.
#[inline(always)]
fn gather_row<T: Ordered>(
    row: &WindowRow,
    input: &[T],
    out: &mut [T],
    combine: impl Fn(T, T) -> T,
) {
    let out = &mut out[row.output..row.output + row.len];
    let input = &input[row.input..row.input + (row.len - 1) * row.stride + 1];
    match row.stride {
        1 => {
            for (slot, &value) in out.iter_mut().zip(input) {
                *slot = combine(*slot, value);
            }
        }
        2 => {
            let last = row.len - 1;
            for (slot, pair) in out[..last].iter_mut().zip(input.chunks_exact(2)) {
                *slot = combine(*slot, pair[0]);
            }
            out[last] = combine(out[last], input[2 * last]);
        }
        stride => {
            for (slot, values) in out.iter_mut().zip(input.chunks(stride)) {
                *slot = combine(*slot, values[0]);
            }
        }
    }
}

/// Adds values to every `stride`-th element of the output of a transposed pooling.
#[inline(always)]
fn scatter_values<T: Ordered>(row: &WindowRow, values: &[T], out: &mut [T]) {
    let values = &values[row.output..row.output + row.len];
    let out = &mut out[row.input..row.input + (row.len - 1) * row.stride + 1];
    match row.stride {
        1 => {
            for (slot, &value) in out.iter_mut().zip(values) {
                *slot = slot.plus(value);
            }
        }
        2 => {
            let last = row.len - 1;
            for (pair, &value) in out.chunks_exact_mut(2).zip(&values[..last]) {
                pair[0] = pair[0].plus(value);
            }
            out[2 * last] = out[2 * last].plus(values[last]);
        }
        stride => {
            for (slots, &value) in out.chunks_mut(stride).zip(values) {
                slots[0] = slots[0].plus(value);
            }
        }
    }
}

vectorized! {
    pub(super) fn max_plane['a][T: Ordered] wide(T::WIDE) (
        pool: &'a Pool, rows: &'a WindowRows, input: &'a [T], out: &'a mut [T]
    ) {
        let (width, out_width) = (pool.input_size[2], pool.output_size[2]);
        if is_two_by_two(pool) {
            for (rows, out) in input.chunks_exact(2 * width).zip(out.chunks_exact_mut(out_width)) {
                let (upper, lower) = rows.split_at(width);
                let pairs = upper.chunks_exact(2).zip(lower.chunks_exact(2));
                for (slot, (upper, lower)) in out.iter_mut().zip(pairs) {
                    let upper = upper[0].or_larger(upper[1]);
                    *slot = upper.or_larger(lower[0].or_larger(lower[1]));
                }
            }
            return;
        }
        out.fill(T::LEAST);
        for &(to, from) in &rows.planes {
            let input = &input[from..from + rows.areas[0]];
            let out = &mut out[to..to + rows.areas[1]];
            for row in &rows.rows {
                gather_row(row, input, out, |best: T, value: T| best.or_larger(value));
            }
        }
    }

    pub(super) fn sum_plane['a][T: Ordered] wide(T::WIDE) (
        pool: &'a Pool, rows: &'a WindowRows, input: &'a [T], out: &'a mut [T]
    ) {
        out.fill(T::ZERO);
        if !is_long(pool.window.kernel) {
            for &(to, from) in &rows.planes {
                let input = &input[from..from + rows.areas[0]];
                let out = &mut out[to..to + rows.areas[1]];
                for row in &rows.rows {
                    gather_row(row, input, out, |sum: T, value: T| sum.plus(value));
                }
            }
            return;
        }
        let mut lost = Lost::new(out.len());
        for &(to, from) in &rows.planes {
            let input = &input[from..from + rows.areas[0]];
            for row in &rows.rows {
                let outputs = to + row.output..to + row.output + row.len;
                let slots = out[outputs.clone()].iter_mut().zip(&mut lost.get_mut()[outputs]);
                for ((slot, lost), values) in slots.zip(input[row.input..].chunks(row.stride)) {
                    *slot = slot.plus_exactly(values[0], lost);
                }
            }
        }
        lost.settle(out);
    }

    pub(super) fn sum_scatter_plane['a][T: Ordered] wide(T::WIDE) (
        pool: &'a Pool, rows: &'a WindowRows, values: &'a [T], out: &'a mut [T]
    ) {
        out.fill(T::ZERO);
        if !is_long(overlaps(pool)) {
            for &(from, to) in &rows.planes {
                let values = &values[from..from + rows.areas[1]];
                let out = &mut out[to..to + rows.areas[0]];
                for row in &rows.rows {
                    scatter_values(row, values, out);
                }
            }
            return;
        }
        let mut lost = Lost::new(out.len());
        for &(from, to) in &rows.planes {
            let values = &values[from..from + rows.areas[1]];
            for row in &rows.rows {
                let lost = lost.get_mut()[to + row.input..].chunks_mut(row.stride);
                let slots = out[to + row.input..].chunks_mut(row.stride).zip(lost);
                let values = &values[row.output..row.output + row.len];
                for (&value, (slots, lost)) in values.iter().zip(slots) {
                    slots[0] = slots[0].plus_exactly(value, &mut lost[0]);
                }
            }
        }
        lost.settle(out);
    }

    pub(super) fn max_scatter_plane['a][T: Ordered] wide(T::WIDE) (
        pool: &'a Pool, rows: &'a WindowRows, input: &'a [T], values: &'a [T], out: &'a mut [T]
    ) {
        let (width, out_width) = (pool.input_size[2], pool.output_size[2]);
        if is_two_by_two(pool) {
            let covered = 2 * width * pool.output_size[1];
            out[covered..].fill(T::ZERO);
            let pairs = input.chunks_exact(2 * width).zip(values.chunks_exact(out_width));
            for ((input, values), out) in pairs.zip(out.chunks_exact_mut(2 * width)) {
                let (upper, lower) = input.split_at(width);
                let (out_upper, out_lower) = out.split_at_mut(width);
                for first in (0..out_width).step_by(COLUMNS) {
                    let count = COLUMNS.min(out_width - first);
                    let columns = 2 * first..2 * (first + count);
                    let best = first_of_four(&upper[columns.clone()], &lower[columns.clone()]);
                    let values = &values[first..first + count];
                    scatter_row(values, &best, 0, &mut out_upper[columns.clone()]);
                    scatter_row(values, &best, 2, &mut out_lower[columns]);
                }
                if width % 2 == 1 {
                    out_upper[width - 1] = T::ZERO;
                    out_lower[width - 1] = T::ZERO;
                }
            }
            return;
        }
        out.fill(T::ZERO);
        let mut places = Scratch::take::<u32>(values.len());
        first_maxima(rows, input, places.get_mut());
        let found = places.get::<u32>().iter().zip(values).filter(|(place, _)| **place != NONE);
        if !is_long(overlaps(pool)) {
            for (&place, &value) in found {
                let slot = &mut out[place as usize];
                *slot = slot.plus(value);
            }
            return;
        }
        let mut lost = Lost::new(out.len());
        for (&place, &value) in found {
            let lost = &mut lost.get_mut()[place as usize];
            let slot = &mut out[place as usize];
            *slot = slot.plus_exactly(value, lost);
        }
        lost.settle(out);
    }

    pub(super) fn max_gather_plane['a][T: Ordered] wide(T::WIDE) (
        rows: &'a WindowRows, input: &'a [T], source: &'a [T], out: &'a mut [T]
    ) {
        let mut places = Scratch::take::<u32>(out.len());
        first_maxima(rows, input, places.get_mut());
        for (slot, &place) in out.iter_mut().zip(places.get::<u32>()) {
            *slot = if place == NONE { T::ZERO } else { source[place as usize] };
        }
    }
}

/// The place of the maximum of a window that is all padding.
const NONE: u32 = u32::MAX;

/// Where the first maximum of each output's window is.
#[inline(always)]
fn first_maxima<T: Ordered>(rows: &WindowRows, input: &[T], places: &mut [u32]) {
    let mut best = Scratch::take::<T>(places.len());
    let best = best.get_mut::<T>();
    places.fill(NONE);
    for &(to, from) in &rows.planes {
        for row in &rows.rows {
            let outputs = to + row.output..to + row.output + row.len;
            let (best, places) = (&mut best[outputs.clone()], &mut places[outputs]);
            let (first, last) = (from + row.input, row.len - 1);
            let values = &input[first..=first + last * row.stride];
            let first = first as u32;
            match row.stride {
                1 => larger_ones::<T, 1>(values, first, best, places),
                2 => {
                    let (pairs, end) = values.split_at(2 * last);
                    larger_ones::<T, 2>(pairs, first, &mut best[..last], &mut places[..last]);
                    let (best, places) = (&mut best[last..], &mut places[last..]);
                    larger_ones::<T, 1>(end, first + 2 * last as u32, best, places);
                }
                stride => {
                    for (index, values) in values.chunks(stride).enumerate() {
                        let place = first + (index * stride) as u32;
                        let one = index..index + 1;
                        larger_ones::<T, 1>(
                            &values[..1],
                            place,
                            &mut best[one.clone()],
                            &mut places[one],
                        );
                    }
                }
            }
        }
    }
}

/// Takes every `STRIDE`-th value that is larger than the best so far, or the first, with its place.
#[inline(always)]
fn larger_ones<T: Ordered, const STRIDE: usize>(
    values: &[T],
    first: u32,
    best: &mut [T],
    places: &mut [u32],
) {
    let values = values.chunks_exact(STRIDE);
    for (index, ((best, place), values)) in best.iter_mut().zip(places).zip(values).enumerate() {
        let value = values[0];
        let found = (*place == NONE) | value.above(*best);
        *best = if found { value } else { *best };
        *place = if found { first + index as u32 * STRIDE as u32 } else { *place };
    }
}

/// Windows of two by two that are looked at together.
const COLUMNS: usize = 64;

/// Which of its four elements, in row-major order, is the first maximum of each window.
#[inline(always)]
fn first_of_four<T: Ordered>(upper: &[T], lower: &[T]) -> [u32; COLUMNS] {
    let mut best = [0; COLUMNS];
    for (best, (upper, lower)) in
        best.iter_mut().zip(upper.chunks_exact(2).zip(lower.chunks_exact(2)))
    {
        let (right_above, right_below) = (upper[1].above(upper[0]), lower[1].above(lower[0]));
        let below = upper[0].or_larger(upper[1]);
        let below = lower[0].or_larger(lower[1]).above(below);
        let (above, below_index) = (u32::from(right_above), 2 + u32::from(right_below));
        *best = if below { below_index } else { above };
    }
    best
}

/// Puts each value in one of its two columns if `best` says so (`first` or the one after), zero in the
/// others.
#[inline(always)]
fn scatter_row<T: Ordered>(values: &[T], best: &[u32; COLUMNS], first: u32, out: &mut [T]) {
    for ((&value, &best), out) in values.iter().zip(best).zip(out.chunks_exact_mut(2)) {
        out[0] = if best == first { value } else { T::ZERO };
        out[1] = if best == first + 1 { value } else { T::ZERO };
    }
}
