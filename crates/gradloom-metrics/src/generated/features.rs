//! [`FeatureStatistics`]: mean and covariance of vectors that come batch by batch.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::Accumulator;
use crate::inputs::finite;

/// Mean and covariance of vectors of features, in `size^2` numbers however many there are.
///
/// Sums of squares are taken around the means of batches and joined (Chan, Golub, LeVeque, 1983), so that large means
/// cost no digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    size: usize,
    count: u64,
    mean: Vec<f64>,
    /// Sums of products of deviations from the mean, row by row.
    products: Vec<f64>,
}

impl FeatureStatistics {
    /// Of vectors with so many numbers.
    pub fn new(size: usize) -> Self {
        FeatureStatistics {
            size,
            count: 0,
            mean: vec![0.0; size],
            products: vec![0.0; size * size],
        }
    }

    /// Adds vectors, one after the other.
    ///
    /// # Errors
    /// If the numbers are no whole vectors, or one is not finite; then nothing is added.
    pub fn update<S: Copy + Into<f64>>(&mut self, features: &[S]) -> Result<()> {
        if self.size == 0 || !features.len().is_multiple_of(self.size) {
            return Err(Error::invalid(format!(
                "feature statistics: {} numbers are no whole vectors of {}",
                features.len(),
                self.size
            )));
        }
        let features = finite("feature statistics", "number", features)?;
        if features.is_empty() {
            return Ok(());
        }
        let mut batch = FeatureStatistics::new(self.size);
        batch.count = (features.len() / self.size) as u64;
        for row in features.chunks_exact(self.size) {
            batch.mean.iter_mut().zip(row).for_each(|(sum, number)| *sum += number);
        }
        let count = batch.count as f64;
        batch.mean.iter_mut().for_each(|sum| *sum /= count);
        let mut apart = vec![0.0; self.size];
        for row in features.chunks_exact(self.size) {
            for (apart, (number, mean)) in apart.iter_mut().zip(row.iter().zip(&batch.mean)) {
                *apart = number - mean;
            }
            add_products(&mut batch.products, &apart, 1.0);
        }
        self.merge(&batch)
    }

    /// How many vectors there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Numbers of a vector.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// Adds `factor * x x^T`.
fn add_products(products: &mut [f64], x: &[f64], factor: f64) {
    for (row, left) in products.chunks_exact_mut(x.len().max(1)).zip(x) {
        row.iter_mut().zip(x).for_each(|(sum, right)| *sum += factor * left * right);
    }
}

impl Accumulator for FeatureStatistics {
    /// The mean, and the covariance row by row, unbiased as `numpy.cov`'s.
    type Value = (Vec<f64>, Vec<f64>);

    fn value(&self) -> Result<Self::Value> {
        if self.count < 2 {
            return Err(Error::invalid(format!(
                "feature statistics: {} vectors have no covariance; give at least two",
                self.count
            )));
        }
        let factor = 1.0 / (self.count - 1) as f64;
        Ok((self.mean.clone(), self.products.iter().map(|sum| sum * factor).collect()))
    }

    fn reset(&mut self) {
        *self = FeatureStatistics::new(self.size);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.size != other.size {
            return Err(Error::invalid(format!(
                "feature statistics: merge of vectors of {} with vectors of {}",
                self.size, other.size
            )));
        }
        if other.count == 0 {
            return Ok(());
        }
        let (own, others) = (self.count as f64, other.count as f64);
        let share = others / (own + others);
        let apart = other.mean.iter().zip(&self.mean).map(|(other, own)| other - own);
        let apart: Vec<f64> = apart.collect();
        self.products.iter_mut().zip(&other.products).for_each(|(sum, other)| *sum += other);
        add_products(&mut self.products, &apart, own * share);
        self.mean.iter_mut().zip(&apart).for_each(|(mean, apart)| *mean += share * apart);
        self.count += other.count;
        Ok(())
    }
}
