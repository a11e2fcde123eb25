//! Least squares, and least norm among the solutions: QR with column pivoting, and singular values where
//! that shows a matrix without full rank.

use faer::dyn_stack::{MemBuffer, MemStack, StackReq};
use faer::linalg::householder as reflections;
use faer::linalg::matmul::matmul;
use faer::linalg::qr::col_pivoting::factor::{qr_in_place, qr_in_place_scratch};
use faer::linalg::qr::no_pivoting::factor::recommended_block_size;
use faer::linalg::svd::ComputeSvdVectors;
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Conj, Par};

use super::svd;
use crate::real::{
    Real, columns_of, columns_of_mut, require_finite, rows_of, rows_of_mut, transpose,
};

/// A row-major system: `a [rows, columns]`, `b [rows, width]`.
#[derive(Clone, Copy)]
pub(crate) struct System<'a, T> {
    pub(crate) a: &'a [T],
    pub(crate) b: &'a [T],
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) width: usize,
    /// Singular values below this part of the largest one are taken as zero.
    pub(crate) cutoff: f64,
}

/// Writes the row-major solution `[columns, width]`; gives the rank of the matrix.
pub(crate) fn solve<T: Real>(system: &System<'_, T>, x: &mut [T]) -> Result<usize, String> {
    require_finite(system.a)?;
    let System { a, b, rows, columns, width, cutoff } = *system;
    x.fill(T::zero());
    let (long, short) = (rows.max(columns), rows.min(columns));
    if short == 0 {
        return Ok(0);
    }
    // The matrix or its transpose, whichever is not wide, by columns.
    let mut factors = a.to_vec();
    if rows >= columns {
        transpose(a, columns, &mut factors);
    }
    let block = recommended_block_size::<T>(long, short);
    let mut blocks = vec![T::zero(); block * short];
    let (mut order, mut inverse) = (vec![0usize; short], vec![0usize; short]);
    let scratch = StackReq::any_of(&[
        qr_in_place_scratch::<usize, T>(long, short, block, Par::Seq, Default::default()),
        reflections::apply_block_householder_sequence_on_the_left_in_place_scratch::<T>(
            long, block, width,
        ),
        reflections::apply_block_householder_sequence_transpose_on_the_left_in_place_scratch::<T>(
            long, block, width,
        ),
    ]);
    let mut memory = MemBuffer::new(scratch);
    qr_in_place(
        columns_of_mut(&mut factors, long, short),
        columns_of_mut(&mut blocks, block, short),
        &mut order,
        &mut inverse,
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    );
    let pivot = |index: usize| factors[index * long + index].wide().abs();
    let is_full = (0..short).all(|index| pivot(index) > cutoff * pivot(0));
    if !is_full {
        return of_any_rank(system, x);
    }
    let (factors, blocks) = (columns_of(&factors, long, short), columns_of(&blocks, block, short));
    let upper = factors.submatrix(0, 0, short, short);
    let memory = MemStack::new(&mut memory);
    if rows >= columns {
        let mut turned = b.to_vec();
        let matrix = rows_of_mut(&mut turned, rows, width);
        reflections::apply_block_householder_sequence_transpose_on_the_left_in_place_with_conj(
            factors,
            blocks,
            Conj::No,
            matrix,
            Par::Seq,
            memory,
        );
        let top = &mut turned[..columns * width];
        let right = rows_of_mut(top, columns, width);
        solve_upper_triangular_in_place(upper, right, Par::Seq);
        for (&to, row) in order.iter().zip(turned.chunks_exact(width.max(1))) {
            x[to * width..][..width].copy_from_slice(row);
        }
    } else {
        for (&from, row) in order.iter().zip(x.chunks_exact_mut(width.max(1))) {
            row.copy_from_slice(&b[from * width..][..width]);
        }
        let top = rows_of_mut(&mut x[..rows * width], rows, width);
        solve_lower_triangular_in_place(upper.transpose(), top, Par::Seq);
        reflections::apply_block_householder_sequence_on_the_left_in_place_with_conj(
            factors,
            blocks,
            Conj::No,
            rows_of_mut(x, columns, width),
            Par::Seq,
            memory,
        );
    }
    Ok(short)
}

fn of_any_rank<T: Real>(system: &System<'_, T>, x: &mut [T]) -> Result<usize, String> {
    let System { a, b, rows, columns, width, cutoff } = *system;
    let mut inverse = vec![T::zero(); columns * rows];
    let mut workspace = svd::Workspace::new(rows, columns, ComputeSvdVectors::Thin);
    let rank =
        pseudoinverse(&mut workspace, a, [rows, columns], |most| cutoff * most, &mut inverse)?;
    let (inverse, b) = (rows_of(&inverse, columns, rows), rows_of(b, rows, width));
    let x = rows_of_mut(x, columns, width);
    matmul(x, Accum::Replace, inverse, b, T::one(), Par::Seq);
    Ok(rank)
}

/// Writes the row-major pseudoinverse of the row-major `a`; gives its rank. `cutoff` says for the largest
/// singular value up to which one they are taken as zero.
pub(crate) fn pseudoinverse<T: Real>(
    workspace: &mut svd::Workspace<T>,
    a: &[T],
    [rows, columns]: [usize; 2],
    cutoff: impl Fn(f64) -> f64,
    inverse: &mut [T],
) -> Result<usize, String> {
    let size = rows.min(columns);
    let mut values = vec![T::zero(); size];
    let (mut u, mut v) = (vec![T::zero(); rows * size], vec![T::zero(); size * columns]);
    svd::decompose(workspace, a, &mut values, Some([&mut u, &mut v]))?;
    let least = cutoff(values.first().map_or(0.0, |value| value.wide()));
    let rank = values.iter().filter(|value| value.wide() > least).count();
    for (row, &value) in v.chunks_exact_mut(columns.max(1)).zip(&values[..rank]) {
        row.iter_mut().for_each(|element| *element /= value);
    }
    let v = rows_of(&v, size, columns).subrows(0, rank);
    let u = rows_of(&u, rows, size).subcols(0, rank);
    let inverse = rows_of_mut(inverse, columns, rows);
    matmul(inverse, Accum::Replace, v.transpose(), u.transpose(), T::one(), Par::Seq);
    Ok(rank)
}
