//! [`frechet_distance`]: how far the features of two sets of samples are apart, as if both were normal.

use gradloom_error::{Error, Result};

use super::features::FeatureStatistics;
use super::symmetric::{eigenvalues, factor};
use crate::Accumulator;

/// `|m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))` of means and covariances of features (Dowson, Landau, 1982).
///
/// With the last pooled features of one Inception v3 it is FID (Heusel et al., "GANs trained by a two time-scale update
/// rule", 2017), whose weights are not here; features of another network are named with the figure, which then
/// compares models with each other, not with papers. It falls with the number of samples, so sets of one size are
/// compared.
///
/// The trace of the root is the sum of the roots of the eigenvalues of `L^T C2 L` with `C1 = L L^T`, so covariances may
/// be singular, as those of fewer samples than features are.
///
/// # Errors
/// If the features have different sizes, or one set has fewer than two samples.
///
/// ```
/// use gradloom_metrics::{FeatureStatistics, frechet_distance};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let (mut real, mut made) = (FeatureStatistics::new(2), FeatureStatistics::new(2));
/// real.update(&[0.0, 0.0, 1.0, 1.0, 2.0, 0.0])?;
/// made.update(&[3.0, 0.0, 4.0, 1.0, 5.0, 0.0])?;
/// assert!((frechet_distance(&real, &made)? - 9.0).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn frechet_distance(one: &FeatureStatistics, other: &FeatureStatistics) -> Result<f64> {
    let n = one.size();
    if n != other.size() {
        return Err(Error::invalid(format!(
            "frechet distance: features of {n} numbers and of {}",
            other.size()
        )));
    }
    let ((mean, covariance), (others, of_other)) = (one.value()?, other.value()?);
    let apart: f64 = mean.iter().zip(&others).map(|(one, other)| (one - other).powi(2)).sum();
    let trace = |matrix: &[f64]| matrix.iter().step_by(n + 1).sum::<f64>();
    let columns = factor(&covariance, n);
    let product = |column: &Vec<f64>| -> Vec<f64> {
        let rows = of_other.chunks_exact(n);
        rows.map(|row| dot(row, column)).collect()
    };
    let images: Vec<Vec<f64>> = columns.iter().map(product).collect();
    let rank = columns.len();
    let mut middle = vec![0.0; rank * rank];
    for row in 0..rank {
        for column in 0..=row {
            let number = dot(&columns[row], &images[column]);
            (middle[row * rank + column], middle[column * rank + row]) = (number, number);
        }
    }
    let roots: f64 = eigenvalues(middle, rank).into_iter().map(|value| value.max(0.0).sqrt()).sum();
    Ok(apart + trace(&covariance) + trace(&of_other) - 2.0 * roots)
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}
