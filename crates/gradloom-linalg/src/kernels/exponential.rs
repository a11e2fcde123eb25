//! The exponential of a matrix: Padé approximants, scaling and squaring (Higham, *The scaling and squaring
//! method for the matrix exponential revisited*, 2005).

use faer::linalg::matmul::matmul;
use faer::{Accum, Par};

use super::lu;
use super::triangular::{Triangle, solve};
use crate::real::{Real, rows_of, rows_of_mut, transpose};

/// Coefficients of the numerators, and the largest 1-norms for which they are as exact as f64 and f32.
const APPROXIMANTS: [(&[f64], f64, f64); 5] = [
    (&[120.0, 60.0, 12.0, 1.0], 1.495585217958292e-2, 4.258730016922831e-1),
    (&[30240.0, 15120.0, 3360.0, 420.0, 30.0, 1.0], 2.53939833006323e-1, 1.880152677804762),
    (
        &[17297280.0, 8648640.0, 1995840.0, 277200.0, 25200.0, 1512.0, 56.0, 1.0],
        9.504178996162932e-1,
        3.92572478313866,
    ),
    (
        &[
            17643225600.0,
            8821612800.0,
            2075673600.0,
            302702400.0,
            30270240.0,
            2162160.0,
            110880.0,
            3960.0,
            90.0,
            1.0,
        ],
        2.097847961257068,
        0.0,
    ),
    (
        &[
            64764752532480000.0,
            32382376266240000.0,
            7771770303897600.0,
            1187353796428800.0,
            129060195264000.0,
            10559470521600.0,
            670442572800.0,
            33522128640.0,
            1323241920.0,
            40840800.0,
            960960.0,
            16380.0,
            182.0,
            1.0,
        ],
        5.371920351148152,
        0.0,
    ),
];

/// Writes the exponential of the row-major `a`; of elements that are no numbers it is NaN.
pub(crate) fn exponential<T: Real>(a: &[T], size: usize, result: &mut [T]) {
    if size == 0 {
        return;
    }
    let column_sum = |column: usize| {
        a.iter().skip(column).step_by(size).map(|element| element.wide().abs()).sum::<f64>()
    };
    let norm = (0..size).map(column_sum).fold(0.0, f64::max);
    if !a.iter().all(|element| element.is_real()) {
        result.fill(T::of(f64::NAN));
        return;
    }
    let is_double = T::EPSILON.wide() < 1e-10;
    let limit = |&(_, double, single): &(&[f64], f64, f64)| if is_double { double } else { single };
    let found = APPROXIMANTS.iter().find(|approximant| norm <= limit(approximant));
    let last = if is_double { &APPROXIMANTS[4] } else { &APPROXIMANTS[2] };
    let chosen = found.unwrap_or(last);
    let squarings = match found {
        Some(_) => 0,
        None => (norm / limit(last)).log2().ceil().max(0.0) as i32,
    };
    let scale = T::of((-f64::from(squarings)).exp2());
    let scaled: Vec<T> = a.iter().map(|&element| element * scale).collect();
    approximate(&scaled, size, chosen.0, result);
    for _ in 0..squarings {
        let root = result.to_vec();
        multiply(&root, &root, size, result);
    }
}

fn multiply<T: Real>(left: &[T], right: &[T], size: usize, result: &mut [T]) {
    let (left, right) = (rows_of(left, size, size), rows_of(right, size, size));
    matmul(rows_of_mut(result, size, size), Accum::Replace, left, right, T::one(), Par::Seq);
}

/// `(V - U)^-1 (V + U)`, where V and U are the even and odd terms.
fn approximate<T: Real>(a: &[T], size: usize, coefficients: &[f64], result: &mut [T]) {
    let count = size * size;
    let mut square = vec![T::zero(); count];
    multiply(a, a, size, &mut square);
    let (mut even, mut odd) = (vec![T::zero(); count], vec![T::zero(); count]);
    let mut power = vec![T::zero(); count];
    power.iter_mut().step_by(size + 1).for_each(|element| *element = T::one());
    for (step, pair) in coefficients.chunks(2).enumerate() {
        if step > 0 {
            let before = power.clone();
            multiply(&before, &square, size, &mut power);
        }
        for (index, &power) in power.iter().enumerate() {
            even[index] += power * T::of(pair[0]);
            odd[index] += power * T::of(pair[1]);
        }
    }
    let terms = odd.clone();
    multiply(a, &terms, size, &mut odd);
    let difference: Vec<T> = even.iter().zip(&odd).map(|(&v, &u)| v - u).collect();
    let mut columns = vec![T::zero(); count];
    transpose(&difference, size, &mut columns);
    let mut pivots = vec![0; size];
    lu::factor(&mut columns, size, size, &mut pivots);
    let mut factors = difference;
    transpose(&columns, size, &mut factors);
    let order = lu::permutation(pivots.into_iter(), size);
    for (to, from) in order.into_iter().enumerate() {
        let sums = (from * size..).zip(&mut result[to * size..][..size]);
        sums.for_each(|(index, result)| *result = even[index] + odd[index]);
    }
    solve(Triangle { upper: false, unit: true, transpose: false }, &factors, size, result);
    solve(Triangle { upper: true, unit: false, transpose: false }, &factors, size, result);
}
