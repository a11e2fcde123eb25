//! [`KernelDistance`]: how far features of two sets of samples are apart, without an assumption about their form.

use gradloom_error::{Error, Result};

use crate::bootstrap::below;
use crate::inputs::finite;

/// The unbiased estimate of the squared maximum mean discrepancy with the kernel `(x y / size + 1)^3`, of vectors of
/// `size` numbers one after the other. Its mean for two sets of one distribution is zero, so it may be below zero.
///
/// Binkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", 2018; Gretton et al., 2012.
///
/// # Errors
/// If the numbers are no whole vectors, there are fewer than two of a set, or one is not finite.
///
/// ```
/// let (x, y) = ([0.0, 0.1, 0.2], [1.0, 1.1, 1.2]);
/// assert!(gradloom_metrics::polynomial_mmd(&x, &y, 1).unwrap() > 1.0);
/// assert!(gradloom_metrics::polynomial_mmd(&x, &x, 1).unwrap() < 0.0);
/// ```
pub fn polynomial_mmd<S: Copy + Into<f64>>(x: &[S], y: &[S], size: usize) -> Result<f64> {
    let [x, y] = [x, y].map(|set| vectors(set, size));
    let (x, y) = (x?, y?);
    let (left, right) = (rows(&x, size), rows(&y, size));
    Ok(estimate(&left, &right))
}

/// The numbers, of which there are at least two vectors.
fn vectors<S: Copy + Into<f64>>(set: &[S], size: usize) -> Result<Vec<f64>> {
    const METRIC: &str = "kernel distance";
    if size == 0 || !set.len().is_multiple_of(size) || set.len() / size < 2 {
        let message =
            format!("{METRIC}: {} numbers are no two or more vectors of {size}", set.len());
        return Err(Error::invalid(message));
    }
    finite(METRIC, "number", set)
}

fn rows(set: &[f64], size: usize) -> Vec<&[f64]> {
    set.chunks_exact(size).collect()
}

fn kernel(x: &[f64], y: &[f64]) -> f64 {
    let product: f64 = x.iter().zip(y).map(|(x, y)| x * y).sum();
    (product / x.len() as f64 + 1.0).powi(3)
}

fn estimate(x: &[&[f64]], y: &[&[f64]]) -> f64 {
    // Each pair once: the kernel is symmetric.
    let within = |set: &[&[f64]]| {
        let pairs = (0..set.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
        let sum: f64 = pairs.map(|(one, other)| kernel(set[one], set[other])).sum();
        2.0 * sum / (set.len() * (set.len() - 1)) as f64
    };
    let between: f64 = x.iter().map(|x| y.iter().map(|y| kernel(x, y)).sum::<f64>()).sum();
    within(x) + within(y) - 2.0 * between / (x.len() * y.len()) as f64
}

/// [`polynomial_mmd`] over random subsets, as KID is reported. With the last pooled features of one Inception v3 it is
/// KID, whose weights are not here; features of another network are named with the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelDistance {
    seed: u64,
    subsets: usize,
    subset_size: usize,
}

/// The figure over subsets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KernelDistanceReport {
    /// Mean over the subsets.
    pub mean: f64,
    /// Deviation over the subsets.
    pub standard_deviation: f64,
}

impl KernelDistance {
    /// A hundred subsets of a thousand samples. The same seed gives the same bits.
    pub fn new(seed: u64) -> Self {
        KernelDistance { seed, subsets: 100, subset_size: 1000 }
    }

    /// Sets how many subsets there are, and of how many samples.
    #[must_use]
    pub fn subsets(mut self, count: usize, size: usize) -> Self {
        (self.subsets, self.subset_size) = (count, size);
        self
    }

    /// The distance of two sets of vectors of `size` numbers, one after the other. A subset has no sample twice.
    ///
    /// # Errors
    /// As [`polynomial_mmd`], and if there are no subsets, or a set has fewer samples than a subset.
    pub fn value<S: Copy + Into<f64>>(
        &self,
        x: &[S],
        y: &[S],
        size: usize,
    ) -> Result<KernelDistanceReport> {
        let [x, y] = [x, y].map(|set| vectors(set, size));
        let (x, y) = (x?, y?);
        let (mut left, mut right) = (rows(&x, size), rows(&y, size));
        let KernelDistance { seed, subsets, subset_size } = *self;
        let fewest = left.len().min(right.len());
        if subsets == 0 || subset_size < 2 || subset_size > fewest {
            return Err(Error::invalid(format!(
                "kernel distance: {subsets} subsets of {subset_size} of {fewest} samples"
            )));
        }
        let mut counter = 0;
        let mut chosen = |set: &mut Vec<&[f64]>| {
            for place in 0..subset_size {
                let rest = set.len() - place;
                set.swap(place, place + below(seed, &mut counter, rest));
            }
        };
        let mut figures = Vec::with_capacity(subsets);
        for _ in 0..subsets {
            chosen(&mut left);
            chosen(&mut right);
            figures.push(estimate(&left[..subset_size], &right[..subset_size]));
        }
        let mean = figures.iter().sum::<f64>() / subsets as f64;
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        let standard_deviation = (squares / subsets as f64).sqrt();
        Ok(KernelDistanceReport { mean, standard_deviation })
    }
}
