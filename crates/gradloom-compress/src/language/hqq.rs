//! HQQ: zeros of groups that make the many small errors smaller at the cost of the few large ones. No data.
//!
//! Badri and Shaji, "Half-quadratic quantization of large machine learning models", 2023: the p-norm of the errors,
//! with p below 1, is minimised by turns in auxiliary errors (a soft threshold) and in the zero (a mean). Here each
//! group ends by itself when its error no longer falls; the authors' program stops all groups at once.

use super::rounding::{Grid, with_grids};
use super::{Matrix, QuantizedMatrix, Scheme};
use gradloom_tensor::Result;

/// HQQ with its options.
#[derive(Clone, Copy, Debug)]
pub struct Hqq {
    scheme: Scheme,
    norm: f64,
    rounds: usize,
    whole_zeros: bool,
}

impl Hqq {
    /// With the norm of 0.7 and at most 20 rounds. Zeros are any numbers.
    ///
    /// # Panics
    /// If the scheme is symmetric: zeros are what is fitted.
    #[track_caller]
    pub fn new(scheme: Scheme) -> Self {
        assert!(
            !scheme.is_symmetric(),
            "hqq: {scheme}; it fits zeros, so the scheme must be asymmetric"
        );
        Hqq { scheme, norm: 0.7, rounds: 20, whole_zeros: false }
    }

    /// The exponent of errors.
    ///
    /// # Panics
    /// Unless it is above 0 and at most 1.
    #[must_use]
    #[track_caller]
    pub fn norm(mut self, norm: f64) -> Self {
        assert!(
            norm > 0.0 && norm <= 1.0,
            "hqq: a norm of {norm}; give a number above 0, at most 1"
        );
        self.norm = norm;
        self
    }

    /// Zeros are rounded to integers, which formats of integers can store.
    #[must_use]
    pub fn whole_zeros(mut self) -> Self {
        self.whole_zeros = true;
        self
    }

    /// Quantizes a weight.
    ///
    /// # Errors
    /// If groups do not divide the inputs.
    pub fn quantize(&self, weight: &Matrix) -> Result<QuantizedMatrix> {
        with_grids(weight, self.scheme, |group| self.fit(group))
    }

    fn fit(&self, weights: &[f32]) -> Grid {
        let top = f64::from(self.scheme.top());
        let low = weights.iter().copied().fold(f32::INFINITY, f32::min);
        let high = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let scale = f64::from(high - low) / top;
        if scale <= 0.0 {
            return Grid::covering(weights.iter().copied(), self.scheme);
        }
        let code = |weight: f32, zero: f64| {
            (f64::from(weight) / scale + zero).round_ties_even().clamp(0.0, top)
        };
        let (mut zero, mut strength) = (-f64::from(low) / scale, 10.0);
        let mut best = (f64::INFINITY, zero);
        for _ in 0..self.rounds {
            let (mut error, mut next) = (0.0, 0.0);
            for &weight in weights {
                let code = code(weight, zero);
                let off = f64::from(weight) - (code - zero) * scale;
                error += off.abs();
                next += code - (f64::from(weight) - self.shrunk(off, strength)) / scale;
            }
            if error >= best.0 {
                break;
            }
            best = (error, zero);
            zero = next / weights.len() as f64;
            strength *= 1.01;
        }
        let zero = if self.whole_zeros { best.1.round_ties_even().clamp(0.0, top) } else { best.1 };
        Grid { scale: scale as f32, zero: zero as f32 }
    }

    /// The soft threshold of the norm.
    fn shrunk(&self, off: f64, strength: f64) -> f64 {
        if off == 0.0 {
            return 0.0;
        }
        let less = off.abs() - off.abs().powf(self.norm - 1.0) / strength;
        off.signum() * less.max(0.0)
    }
}
