//! [`Histogram`]: numbers in buckets.

/// Buckets between the extremes.
const BUCKETS: usize = 30;

/// Numbers in buckets of equal width, and what is known of them exactly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// How many.
    pub count: f64,
    /// Their sum.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// Upper ends of the buckets.
    pub limits: Vec<f64>,
    /// Numbers in each bucket.
    pub buckets: Vec<f64>,
}

impl Histogram {
    /// Of the numbers that are finite; `None` if none is.
    pub fn of(values: &[f32]) -> Option<Self> {
        let finite = values.iter().filter(|value| value.is_finite()).map(|&value| f64::from(value));
        let mut histogram =
            Histogram { min: f64::INFINITY, max: f64::NEG_INFINITY, ..Histogram::default() };
        for value in finite.clone() {
            histogram.min = histogram.min.min(value);
            histogram.max = histogram.max.max(value);
            histogram.count += 1.0;
            histogram.sum += value;
            histogram.sum_squares += value * value;
        }
        if histogram.count == 0.0 {
            return None;
        }
        let (min, max) = (histogram.min, histogram.max);
        let width = (max - min) / BUCKETS as f64;
        if width == 0.0 {
            histogram.limits = vec![max];
            histogram.buckets = vec![histogram.count];
            return Some(histogram);
        }
        histogram.limits = (1..BUCKETS).map(|at| min + at as f64 * width).chain([max]).collect();
        histogram.buckets = vec![0.0; BUCKETS];
        for value in finite {
            let bucket = ((value - min) / width) as usize;
            histogram.buckets[bucket.min(BUCKETS - 1)] += 1.0;
        }
        Some(histogram)
    }
}
