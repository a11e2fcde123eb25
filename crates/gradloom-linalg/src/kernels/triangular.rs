//! Triangular systems.

use faer::linalg::triangular_solve as faer_solve;
use faer::{MatMut, MatRef, Par};

use crate::real::{Real, rows_of, rows_of_mut};

/// Which matrix the elements of a square one stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Triangle {
    /// The upper triangle; the lower one otherwise.
    pub(crate) upper: bool,
    /// Ones on the diagonal, whatever stands there.
    pub(crate) unit: bool,
    /// The transpose of that triangle.
    pub(crate) transpose: bool,
}

/// Up to this size the overhead of blocks costs more than they give.
const SMALL_MAX: usize = 32;

/// Solves `triangle(a) x = b` in the place of `b`; both are row-major, `a` is `[size, size]`.
pub(crate) fn solve<T: Real>(triangle: Triangle, a: &[T], size: usize, b: &mut [T]) {
    if size == 0 || b.is_empty() {
        return;
    }
    let columns = b.len() / size;
    if size <= SMALL_MAX {
        solve_small(triangle, a, size, columns, b);
        return;
    }
    let a: MatRef<'_, T> = rows_of(a, size, size);
    let a = if triangle.transpose { a.transpose() } else { a };
    let b: MatMut<'_, T> = rows_of_mut(b, size, columns);
    match (triangle.upper != triangle.transpose, triangle.unit) {
        (false, false) => faer_solve::solve_lower_triangular_in_place(a, b, Par::Seq),
        (false, true) => faer_solve::solve_unit_lower_triangular_in_place(a, b, Par::Seq),
        (true, false) => faer_solve::solve_upper_triangular_in_place(a, b, Par::Seq),
        (true, true) => faer_solve::solve_unit_upper_triangular_in_place(a, b, Par::Seq),
    }
}

/// One row of the result after another.
fn solve_small<T: Real>(triangle: Triangle, a: &[T], size: usize, columns: usize, b: &mut [T]) {
    let downwards = triangle.upper == triangle.transpose;
    for step in 0..size {
        let row = if downwards { step } else { size - 1 - step };
        let (before, rest) = b.split_at_mut(row * columns);
        let (x, after) = rest.split_at_mut(columns);
        if !triangle.unit {
            let pivot = a[row * size + row];
            x.iter_mut().for_each(|x| *x /= pivot);
        }
        // What the new row owes to the rows that are still open.
        let (open, first) = if downwards { (after, row + 1) } else { (before, 0) };
        for (number, other) in open.chunks_exact_mut(columns).enumerate() {
            let index = first + number;
            let factor = match triangle.transpose {
                true => a[row * size + index],
                false => a[index * size + row],
            };
            other.iter_mut().zip(&*x).for_each(|(other, &x)| *other -= factor * x);
        }
    }
}
