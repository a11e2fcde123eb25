//! LU with partial pivoting, as LAPACK's `getrf`: a column without a pivot is left as it is, so that
//! singular matrices have a factorization, too. That is why it is written here: `faer` divides by zero.

use faer::linalg::matmul::matmul;
use faer::linalg::triangular_solve::solve_unit_lower_triangular_in_place;
use faer::reborrow::{Reborrow, ReborrowMut};
use faer::{Accum, Par};

use crate::real::{Real, columns_of, columns_of_mut};

/// Columns that are factored one by one.
const PANEL: usize = 16;

/// Overwrites the column-major `a [rows, columns]` with its factors L (unit diagonal, not stored) and U;
/// `pivots[i]` is the row that was exchanged with row `i`.
pub(crate) fn factor<T: Real>(a: &mut [T], rows: usize, columns: usize, pivots: &mut [usize]) {
    let size = rows.min(columns);
    if size == 0 {
        return;
    }
    let (left, right) = a.split_at_mut(rows * size);
    factor_from(left, rows, 0, pivots);
    if right.is_empty() {
        return;
    }
    exchange(right, rows, 0, pivots);
    let left = columns_of(left, rows, size);
    let right = columns_of_mut(right, rows, columns - size);
    solve_unit_lower_triangular_in_place(left, right, Par::Seq);
}

/// Factors the rows from `top` on of as many columns of `stride` elements as there are pivots, which count
/// from the first row.
fn factor_from<T: Real>(a: &mut [T], stride: usize, top: usize, pivots: &mut [usize]) {
    let columns = pivots.len();
    if columns <= PANEL {
        factor_panel(a, stride, top, pivots);
        return;
    }
    let half = (columns / 2).next_multiple_of(PANEL);
    let (left, right) = a.split_at_mut(half * stride);
    let (first, second) = pivots.split_at_mut(half);
    factor_from(left, stride, top, first);
    exchange(right, stride, top, first);
    {
        let left = columns_of(left, stride, half).get(top.., ..);
        let right = columns_of_mut(right, stride, columns - half).get_mut(top.., ..);
        let (mut upper, lower) = right.split_at_row_mut(half);
        let (unit, below) = left.split_at_row(half);
        solve_unit_lower_triangular_in_place(unit, upper.rb_mut(), Par::Seq);
        matmul(lower, Accum::Add, below, upper.rb(), -T::one(), Par::Seq);
    }
    factor_from(right, stride, top + half, second);
    exchange(left, stride, top + half, second);
}

fn factor_panel<T: Real>(a: &mut [T], stride: usize, top: usize, pivots: &mut [usize]) {
    for step in 0..pivots.len() {
        let row = top + step;
        let column = &a[step * stride..][..stride];
        let pivot = largest(&column[row..]) + row;
        pivots[step] = pivot;
        if pivot != row {
            a.chunks_exact_mut(stride).for_each(|column| column.swap(row, pivot));
        }
        let (done, rest) = a.split_at_mut((step + 1) * stride);
        let column = &mut done[step * stride..];
        let pivot = column[row];
        let below = &mut column[row + 1..];
        // The reciprocal of a number that is not normal overflows.
        let inverse = T::one() / pivot;
        if inverse.is_real() {
            below.iter_mut().for_each(|element| *element *= inverse);
        } else if pivot != T::zero() {
            below.iter_mut().for_each(|element| *element /= pivot);
        }
        for other in rest.chunks_exact_mut(stride) {
            let factor = other[row];
            let pairs = other[row + 1..].iter_mut().zip(&*below);
            pairs.for_each(|(element, &below)| *element -= below * factor);
        }
    }
}

/// Index of the first of the largest elements in absolute value; that of a NaN in front.
fn largest<T: Real>(elements: &[T]) -> usize {
    let magnitude = |element: T| if element < T::zero() { -element } else { element };
    let (mut found, mut most) = (0, elements.first().map_or(T::zero(), |&first| magnitude(first)));
    for (index, &element) in elements.iter().enumerate() {
        if magnitude(element) > most {
            (found, most) = (index, magnitude(element));
        }
    }
    found
}

/// Exchanges row `top + i` with row `pivots[i]`, one after another.
fn exchange<T>(columns: &mut [T], stride: usize, top: usize, pivots: &[usize]) {
    for column in columns.chunks_exact_mut(stride) {
        for (step, &pivot) in pivots.iter().enumerate() {
            column.swap(top + step, pivot);
        }
    }
}

/// The rows of A in the order in which they stand in L U: `A[permutation[i]]` is row `i`.
pub(crate) fn permutation(pivots: impl Iterator<Item = usize>, rows: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    pivots.enumerate().for_each(|(step, pivot)| order.swap(step, pivot));
    order
}
