//! Numbers far from the others. [`Clipper`] cuts them instead of finding them.

use crate::Result;
use crate::preparation::Clipper;

/// The places of numbers more than `threshold` standard deviations from the mean. SciPy:
/// `abs(zscore(x)) > threshold`.
///
/// Of `n` numbers none is further away than `sqrt(n - 1)` deviations, so of few none is found.
///
/// ```
/// use gradloom_data::cleaning::outliers_z_score;
///
/// let mut values = vec![1.0; 50];
/// values[7] = 99.0;
/// assert_eq!(outliers_z_score(&values, 3.0)?, [7]);
/// # Ok::<(), gradloom_data::Error>(())
/// ```
///
/// # Errors
/// If there are no numbers, or infinite ones.
pub fn outliers_z_score(values: &[f64], threshold: f64) -> Result<Vec<usize>> {
    outside(Clipper::ZScore(threshold), values)
}

/// The places of numbers more than `factor` distances between the quartiles below the first or above the
/// third (Tukey's fences; 1.5 is usual).
///
/// # Errors
/// If there are no numbers, or the quartiles are infinite.
pub fn outliers_iqr(values: &[f64], factor: f64) -> Result<Vec<usize>> {
    outside(Clipper::Iqr(factor), values)
}

fn outside(clipper: Clipper, values: &[f64]) -> Result<Vec<usize>> {
    let bounds = clipper.fit(values)?;
    let places = values.iter().enumerate().filter(|(_, value)| !bounds.holds(**value));
    Ok(places.map(|(place, _)| place).collect())
}

#[cfg(test)]
mod tests {
    use super::{outliers_iqr, outliers_z_score};

    #[test]
    fn far_numbers_are_found_and_holes_are_none() {
        let values = [1.0, 2.0, f64::NAN, 3.0, 4.0, 100.0, -50.0];
        assert_eq!(outliers_iqr(&values, 1.5).unwrap(), [5, 6]);
        assert_eq!(outliers_z_score(&values, 2.0).unwrap(), [5]);
        assert!(outliers_iqr(&[f64::NAN], 1.5).is_err());
        assert!(outliers_z_score(&[1.0, f64::INFINITY], 3.0).is_err());
        assert!(outliers_iqr(&[5.0; 9], 1.5).unwrap().is_empty());
    }
}
