//! [`Bootstrap`]: how far a figure would move if the samples had been others.

use gradloom_error::{Error, Result};

/// A figure and the bounds that resampling puts it between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound.
    pub low: f64,
    /// The figure on the samples themselves.
    pub value: f64,
    /// Upper bound.
    pub high: f64,
    /// Standard deviation over the resamples.
    pub standard_error: f64,
}

/// Percentile intervals by resampling with replacement (Efron, 1979). The same seed gives the same bits, on
/// every machine.
///
/// ```
/// use gradloom_metrics::{Bootstrap, accuracy};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let (actual, predicted) = ([0, 1, 1, 0, 1, 0, 1, 1], [0, 1, 0, 0, 1, 0, 1, 1]);
/// let interval = Bootstrap::new(7).interval(actual.len(), |samples| {
///     let of = |labels: &[i32]| samples.iter().map(|&at| labels[at]).collect::<Vec<i32>>();
///     accuracy(&of(&actual), &of(&predicted))
/// })?;
/// assert_eq!(interval.value, 0.875);
/// assert!(interval.low < 0.875 && interval.high <= 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    seed: u64,
    resamples: usize,
    confidence: f64,
}

impl Bootstrap {
    /// With 1,000 resamples and 95 % confidence.
    pub fn new(seed: u64) -> Self {
        Bootstrap { seed, resamples: 1000, confidence: 0.95 }
    }

    /// Another number of resamples.
    #[must_use]
    pub fn resamples(mut self, resamples: usize) -> Self {
        self.resamples = resamples;
        self
    }

    /// Another confidence, between 0 and 1.
    #[must_use]
    pub fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }

    /// The interval of a figure over `samples` samples. `figure` gets the numbers of the samples to use,
    /// of which some occur several times.
    ///
    /// Resamples on which the figure is undefined (an area under a curve with one class only) are left out.
    ///
    /// # Errors
    /// If the figure is undefined on the samples themselves or on more than half of the resamples, or the
    /// settings make no sense.
    pub fn interval(
        &self,
        samples: usize,
        figure: impl Fn(&[usize]) -> Result<f64>,
    ) -> Result<Interval> {
        if samples == 0 || self.resamples == 0 {
            return Err(Error::invalid(format!(
                "bootstrap: {samples} samples and {} resamples; there must be some of both",
                self.resamples
            )));
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            return Err(Error::invalid(format!(
                "bootstrap: a confidence of {}; it lies between 0 and 1",
                self.confidence
            )));
        }
        let mut chosen: Vec<usize> = (0..samples).collect();
        let value = figure(&chosen)?;
        let mut figures = Vec::with_capacity(self.resamples);
        let mut counter = 0;
        for _ in 0..self.resamples {
            for place in &mut chosen {
                *place = below(self.seed, &mut counter, samples);
            }
            if let Ok(figure) = figure(&chosen)
                && !figure.is_nan()
            {
                figures.push(figure);
            }
        }
        if figures.len() * 2 < self.resamples {
            return Err(Error::invalid(format!(
                "bootstrap: the figure is undefined on {} of {} resamples; there are too few samples",
                self.resamples - figures.len(),
                self.resamples
            )));
        }
        figures.sort_by(f64::total_cmp);
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        let squares: f64 = figures.iter().map(|figure| (figure - mean).powi(2)).sum();
        let tail = (1.0 - self.confidence) / 2.0;
        Ok(Interval {
            low: quantile(&figures, tail),
            value,
            high: quantile(&figures, 1.0 - tail),
            standard_error: (squares / (figures.len().max(2) - 1) as f64).sqrt(),
        })
    }
}

/// Between neighbours as `numpy.quantile`.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * part
}

/// An integer below `bound`, without the bias of a remainder.
pub(crate) fn below(seed: u64, counter: &mut u64, bound: usize) -> usize {
    let bound = bound as u64;
    let usable = u64::MAX - u64::MAX % bound;
    loop {
        let bits = split_mix(seed, *counter);
        *counter += 1;
        if bits < usable {
            return (bits % bound) as usize;
        }
    }
}

/// Number `counter` of the sequence `SplitMix64` of a seed.
fn split_mix(seed: u64, counter: u64) -> u64 {
    let mut bits = seed.wrapping_add(counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Bootstrap, split_mix};

    #[test]
    fn the_sequence_is_the_published_one() {
        // First outputs of SplitMix64 with seed 1234567, as its authors' test prints them.
        assert_eq!(split_mix(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(1_234_567, 1), 3_203_168_211_198_807_973);
    }

    #[test]
    fn intervals_of_a_mean_have_the_width_of_theory() {
        let numbers: Vec<f64> = (0..400).map(|i| f64::from(i % 20)).collect();
        let mean = |samples: &[usize]| {
            Ok(samples.iter().map(|&at| numbers[at]).sum::<f64>() / samples.len() as f64)
        };
        let bootstrap = Bootstrap::new(1).resamples(4000);
        let interval = bootstrap.interval(numbers.len(), mean).unwrap();
        let error = ((399.0_f64 / 12.0) / 400.0).sqrt();
        assert!((interval.standard_error / error - 1.0).abs() < 0.05, "{interval:?}");
        assert!(((interval.high - interval.low) / (2.0 * 1.96 * error) - 1.0).abs() < 0.07);
        assert_eq!(interval, bootstrap.interval(numbers.len(), mean).unwrap());
        assert_ne!(interval, Bootstrap::new(2).resamples(4000).interval(400, mean).unwrap());
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        let one = |_: &[usize]| Ok(1.0);
        assert!(Bootstrap::new(0).interval(0, one).is_err());
        assert!(Bootstrap::new(0).confidence(1.0).interval(3, one).is_err());
        let refused = Bootstrap::new(0).interval(3, |samples| {
            if samples == [0, 1, 2] { Ok(1.0) } else { Err(super::Error::invalid("no")) }
        });
        assert!(refused.unwrap_err().to_string().contains("undefined on"));
    }
}
