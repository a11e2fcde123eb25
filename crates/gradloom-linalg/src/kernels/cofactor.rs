//! The matrix of cofactors, which is the derivative of the determinant, also of singular matrices.

use faer::linalg::svd::ComputeSvdVectors;

use super::lu;
use super::svd;
use super::triangular::{Triangle, solve};
use crate::real::{Real, transpose};

/// Sign of the determinant of the row-major orthogonal `a`.
fn sign_of_orthogonal<T: Real>(a: &[T], size: usize) -> T {
    let mut factors = a.to_vec();
    let mut pivots = vec![0; size];
    lu::factor(&mut factors, size, size, &mut pivots);
    let odd = pivots.iter().enumerate().filter(|(step, pivot)| step != *pivot).count();
    let negative = factors.iter().step_by(size + 1).filter(|&&pivot| pivot < T::zero()).count();
    if (odd + negative) % 2 == 0 { T::one() } else { -T::one() }
}

/// Writes the cofactors of the row-major `a`, whose factors and rows (see [`lu::permutation`]) are given,
/// and whose determinant is `det`.
pub(crate) fn cofactors<T: Real>(
    a: &[T],
    size: usize,
    factors: &[T],
    order: &[usize],
    det: T,
    cofactors: &mut [T],
) -> Result<(), String> {
    let pivots = || factors.iter().step_by(size + 1).map(|pivot| pivot.wide().abs());
    let (least, most) = pivots()
        .fold((f64::INFINITY, 0.0f64), |(least, most), pivot| (least.min(pivot), most.max(pivot)));
    let known = pivots().all(f64::is_finite);
    if size > 0 && known && least <= most * T::EPSILON.wide() * size as f64 {
        return of_singular(a, size, cofactors);
    }
    // det times the transposed inverse: the columns of the inverse are its rows.
    let mut inverse = vec![T::zero(); size * size];
    for (row, &from) in order.iter().enumerate() {
        inverse[row * size + from] = T::one();
    }
    let lower = Triangle { upper: false, unit: true, transpose: false };
    let upper = Triangle { upper: true, unit: false, transpose: false };
    solve(lower, factors, size, &mut inverse);
    solve(upper, factors, size, &mut inverse);
    transpose(&inverse, size, cofactors);
    cofactors.iter_mut().for_each(|element| *element *= det);
    Ok(())
}

/// `det(U) det(V) U diag(products of all other singular values) V^T`.
fn of_singular<T: Real>(a: &[T], size: usize, cofactors: &mut [T]) -> Result<(), String> {
    let mut values = vec![T::zero(); size];
    let (mut u, mut v) = (vec![T::zero(); size * size], vec![T::zero(); size * size]);
    let mut workspace = svd::Workspace::new(size, size, ComputeSvdVectors::Thin);
    svd::decompose(&mut workspace, a, &mut values, Some([&mut u, &mut v]))?;
    let sign = sign_of_orthogonal(&u, size) * sign_of_orthogonal(&v, size);
    cofactors.fill(T::zero());
    for (number, row) in v.chunks_exact(size).enumerate() {
        let others = values.iter().enumerate().filter(|(other, _)| *other != number);
        let product = others.fold(sign, |product, (_, &value)| product * value);
        for (left, result) in u.chunks_exact(size).zip(cofactors.chunks_exact_mut(size)) {
            let factor = product * left[number];
            result.iter_mut().zip(row).for_each(|(result, &v)| *result += factor * v);
        }
    }
    Ok(())
}
