//! What symmetric matrices are asked here: a factor of one that is positive semi-definite, and eigenvalues. Matrices are
//! row by row.
//!
//! The workspace's decompositions stand in a crate of tensors; this crate has none, so these are its own.

/// A factor `L` of `n` rows with `matrix = L L^T`, column by column, as many columns as the rank: Cholesky with the
/// largest diagonal element first (Higham, "Analysis of the Cholesky decomposition of a semi-definite matrix", 1990).
pub(super) fn factor(matrix: &[f64], n: usize) -> Vec<Vec<f64>> {
    let mut left: Vec<f64> = (0..n).map(|at| matrix[at * n + at]).collect();
    let largest = left.iter().copied().fold(0.0, f64::max);
    let least = largest * n as f64 * f64::EPSILON;
    let mut columns: Vec<Vec<f64>> = Vec::new();
    while columns.len() < n {
        let pivot = (0..n).max_by(|&one, &other| left[one].total_cmp(&left[other]));
        let Some(pivot) = pivot.filter(|&pivot| left[pivot] > least) else { break };
        let root = left[pivot].sqrt();
        let mut column = matrix[pivot * n..(pivot + 1) * n].to_vec();
        for before in &columns {
            let factor = before[pivot];
            column.iter_mut().zip(before).for_each(|(number, before)| *number -= factor * before);
        }
        for (number, left) in column.iter_mut().zip(&mut left) {
            *number /= root;
            // What was a pivot has nothing left, whatever rounding says.
            *left = if *left == f64::NEG_INFINITY { *left } else { *left - *number * *number };
        }
        left[pivot] = f64::NEG_INFINITY;
        columns.push(column);
    }
    columns
}

/// The eigenvalues of a symmetric matrix, the least first: reflections to three diagonals (Householder, 1958), then
/// bisection by the signs of pivots (Givens, 1954). Each is right to about `n` units of rounding of the largest.
pub(super) fn eigenvalues(mut matrix: Vec<f64>, n: usize) -> Vec<f64> {
    let (diagonal, beside) = tridiagonal(&mut matrix, n);
    // All lie within the largest sum of a row.
    let reach = |at: usize| {
        let before = if at > 0 { beside[at - 1].abs() } else { 0.0 };
        before + beside.get(at).map_or(0.0, |number| number.abs())
    };
    let low = (0..n).map(|at| diagonal[at] - reach(at)).fold(f64::INFINITY, f64::min);
    let high = (0..n).map(|at| diagonal[at] + reach(at)).fold(f64::NEG_INFINITY, f64::max);
    (0..n).map(|index| bisect(&diagonal, &beside, index, [low, high])).collect()
}

/// The diagonal, and what stands beside it, of a matrix with the same eigenvalues.
fn tridiagonal(matrix: &mut [f64], n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = Vec::with_capacity(n.saturating_sub(1));
    for step in 0..n.saturating_sub(1) {
        let first = step + 1;
        let mut mirror: Vec<f64> = matrix[step * n + first..(step + 1) * n].to_vec();
        let norm = mirror.iter().map(|number| number * number).sum::<f64>().sqrt();
        let turned = if mirror[0] > 0.0 { -norm } else { norm };
        beside.push(turned);
        mirror[0] -= turned;
        let square: f64 = mirror.iter().map(|number| number * number).sum();
        if square == 0.0 {
            continue;
        }
        let scale = 2.0 / square;
        let rows = first..n;
        let mut image: Vec<f64> = rows
            .clone()
            .map(|row| scale * dot(&matrix[row * n + first..(row + 1) * n], &mirror))
            .collect();
        let along = 0.5 * scale * dot(&image, &mirror);
        image.iter_mut().zip(&mirror).for_each(|(image, mirror)| *image -= along * mirror);
        for row in rows {
            let (left, right) = (mirror[row - first], image[row - first]);
            let line = &mut matrix[row * n + first..(row + 1) * n];
            for (number, (mirror, image)) in line.iter_mut().zip(mirror.iter().zip(&image)) {
                *number -= left * image + right * mirror;
            }
        }
    }
    ((0..n).map(|at| matrix[at * n + at]).collect(), beside)
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// The eigenvalue that so many are below.
fn bisect(diagonal: &[f64], beside: &[f64], index: usize, [mut low, mut high]: [f64; 2]) -> f64 {
    let least = f64::MIN_POSITIVE / f64::EPSILON;
    let below = |bound: f64| {
        let mut pivot = 1.0;
        let negative = diagonal.iter().enumerate().filter(|&(at, number)| {
            let before = if at > 0 { beside[at - 1] } else { 0.0 };
            pivot = number - bound - before * before / pivot;
            if pivot.abs() < least {
                pivot = -least;
            }
            pivot < 0.0
        });
        negative.count()
    };
    loop {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            return middle;
        }
        if below(middle) > index { high = middle } else { low = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::{eigenvalues, factor};

    #[test]
    fn eigenvalues_of_a_chain_are_those_of_theory() {
        // 2 on the diagonal and -1 beside it: 2 - 2 cos(k pi / (n + 1)).
        let n = 12;
        let mut matrix = vec![0.0; n * n];
        for at in 0..n {
            matrix[at * n + at] = 2.0;
            if at + 1 < n {
                (matrix[at * n + at + 1], matrix[(at + 1) * n + at]) = (-1.0, -1.0);
            }
        }
        for (index, own) in eigenvalues(matrix, n).into_iter().enumerate() {
            let angle = (index + 1) as f64 * std::f64::consts::PI / (n + 1) as f64;
            assert!((own - (2.0 - 2.0 * angle.cos())).abs() < 1e-14, "{index}: {own}");
        }
    }

    #[test]
    fn a_factor_has_the_rank_of_its_matrix() {
        let rows = [[1.0, 2.0, 3.0, 4.0], [0.5, -1.0, 2.0, 0.0]];
        let product = |row: usize, column: usize| rows.iter().map(|x| x[row] * x[column]).sum();
        let matrix: Vec<f64> = (0..16).map(|at| product(at / 4, at % 4)).collect();
        let columns = factor(&matrix, 4);
        assert_eq!(columns.len(), 2);
        for at in 0..16 {
            let own: f64 = columns.iter().map(|column| column[at / 4] * column[at % 4]).sum();
            assert!((own - matrix[at]).abs() < 1e-13);
        }
        let values = eigenvalues(matrix, 4);
        assert!(values[0].abs() < 1e-14 && values[1].abs() < 1e-14 && values[2] > 1.0);
    }

    #[test]
    fn matrices_of_zeros_and_of_one_number() {
        assert!(factor(&[0.0; 4], 2).is_empty());
        assert_eq!(eigenvalues(vec![0.0; 9], 3), [0.0; 3]);
        assert_eq!(eigenvalues(vec![7.0], 1), [7.0]);
        assert!(eigenvalues(Vec::new(), 0).is_empty());
    }
}
