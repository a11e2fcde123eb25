//! The factors of symmetric matrices that need not be definite, as LAPACK's `sytf2`: pivots of one row or of
//! two (Bunch and Kaufman, *Some stable methods for calculating inertia and solving symmetric linear
//! systems*, 1977). `faer` permutes rows without saying so in LAPACK's way.

use crate::real::Real;

/// Overwrites the lower triangle of the row-major `a [size, size]` with L (unit diagonal, not stored) and the
/// blocks of D. `pivots[i]` is the row, counted from one, that was exchanged with row `i`; both rows of a
/// block of two hold minus the row that its second was exchanged with. Gives the number of the first block
/// that is zero, or 0.
pub(crate) fn factor<T: Real>(a: &mut [T], size: usize, pivots: &mut [T]) -> usize {
    let alpha = T::of((1.0 + 17.0f64.sqrt()) / 8.0);
    let at = |row: usize, column: usize| row * size + column;
    let magnitude = |value: T| if value < T::zero() { -value } else { value };
    let mut zero = 0;
    let mut step = 0;
    while step < size {
        let diagonal = magnitude(a[at(step, step)]);
        let (row, largest) = largest_of(step + 1..size, |row| magnitude(a[at(row, step)]));
        let mut width = 1;
        let mut pivot = step;
        if !(diagonal > T::zero() || largest > T::zero()) {
            zero = if zero == 0 { step + 1 } else { zero };
            pivots[step] = T::of((step + 1) as f64);
            step += 1;
            continue;
        }
        if diagonal < alpha * largest {
            let left = largest_of(step..row, |column| magnitude(a[at(row, column)])).1;
            let below = largest_of(row + 1..size, |other| magnitude(a[at(other, row)])).1;
            let other = if below > left { below } else { left };
            if diagonal >= alpha * largest * (largest / other) {
                pivot = step;
            } else {
                pivot = row;
                if magnitude(a[at(row, row)]) < alpha * other {
                    width = 2;
                }
            }
        }
        let last = step + width - 1;
        if pivot != last {
            exchange(a, size, [step, last, pivot], width);
        }
        let number = T::of((pivot + 1) as f64);
        if width == 1 {
            eliminate_one(a, size, step);
            pivots[step] = number;
        } else {
            eliminate_two(a, size, step);
            pivots[step] = -number;
            pivots[step + 1] = -number;
        }
        step += width;
    }
    zero
}

/// The first of the largest among numbers, and where it is.
fn largest_of<T: Real>(
    places: std::ops::Range<usize>,
    magnitude: impl Fn(usize) -> T,
) -> (usize, T) {
    let mut found = (places.start, T::zero());
    for place in places {
        if magnitude(place) > found.1 {
            found = (place, magnitude(place));
        }
    }
    found
}

/// Exchanges rows and columns `last < pivot` of what is not factored yet, from `step` on.
fn exchange<T: Real>(a: &mut [T], size: usize, [step, last, pivot]: [usize; 3], width: usize) {
    let at = |row: usize, column: usize| row * size + column;
    for row in pivot + 1..size {
        a.swap(at(row, last), at(row, pivot));
    }
    for between in last + 1..pivot {
        a.swap(at(between, last), at(pivot, between));
    }
    a.swap(at(last, last), at(pivot, pivot));
    if width == 2 {
        a.swap(at(last, step), at(pivot, step));
    }
}

fn eliminate_one<T: Real>(a: &mut [T], size: usize, step: usize) {
    let at = |row: usize, column: usize| row * size + column;
    let inverse = T::one() / a[at(step, step)];
    for column in step + 1..size {
        let factor = a[at(column, step)] * inverse;
        for row in column..size {
            let product = a[at(row, step)] * factor;
            a[at(row, column)] -= product;
        }
    }
    for row in step + 1..size {
        a[at(row, step)] *= inverse;
    }
}

fn eliminate_two<T: Real>(a: &mut [T], size: usize, step: usize) {
    let at = |row: usize, column: usize| row * size + column;
    let beside = a[at(step + 1, step)];
    let (first, second) = (a[at(step + 1, step + 1)] / beside, a[at(step, step)] / beside);
    let scale = T::one() / (first * second - T::one()) / beside;
    for column in step + 2..size {
        let (x, y) = (a[at(column, step)], a[at(column, step + 1)]);
        let (x, y) = (scale * (first * x - y), scale * (second * y - x));
        for row in column..size {
            let product = a[at(row, step)] * x + a[at(row, step + 1)] * y;
            a[at(row, column)] -= product;
        }
        // What stands in this row is not read again.
        a[at(column, step)] = x;
        a[at(column, step + 1)] = y;
    }
}

/// Overwrites the row-major `b [size, width]` with the solution of `A X = B`, from what [`factor`] gives.
pub(crate) fn solve<T: Real>(
    factors: &[T],
    pivots: &[i64],
    size: usize,
    b: &mut [T],
    width: usize,
) {
    let at = |row: usize, column: usize| row * size + column;
    let row_of = |pivot: i64| pivot.unsigned_abs() as usize - 1;
    let mut step = 0;
    while step < size {
        let two = pivots[step] < 0;
        let last = step + usize::from(two);
        swap_rows(b, width, last, row_of(pivots[step]));
        for row in last + 1..size {
            for from in step..=last {
                subtract(b, width, [row, from], factors[at(row, from)]);
            }
        }
        if two {
            let beside = factors[at(last, step)];
            let first = factors[at(step, step)] / beside;
            let second = factors[at(last, last)] / beside;
            let scale = T::one() / (first * second - T::one());
            for column in 0..width {
                let (x, y) = (b[step * width + column] / beside, b[last * width + column] / beside);
                b[step * width + column] = (second * x - y) * scale;
                b[last * width + column] = (first * y - x) * scale;
            }
        } else {
            let pivot = factors[at(step, step)];
            b[step * width..][..width].iter_mut().for_each(|element| *element /= pivot);
        }
        step = last + 1;
    }
    while step > 0 {
        let last = step - 1;
        let first = if pivots[last] < 0 { last - 1 } else { last };
        for to in first..=last {
            for row in last + 1..size {
                subtract(b, width, [to, row], factors[at(row, to)]);
            }
        }
        swap_rows(b, width, last, row_of(pivots[last]));
        step = first;
    }
}

/// Row `to` less `factor` times row `from`.
fn subtract<T: Real>(b: &mut [T], width: usize, [to, from]: [usize; 2], factor: T) {
    for column in 0..width {
        let product = factor * b[from * width + column];
        b[to * width + column] -= product;
    }
}

fn swap_rows<T>(b: &mut [T], width: usize, one: usize, other: usize) {
    if one != other {
        (0..width).for_each(|column| b.swap(one * width + column, other * width + column));
    }
}
