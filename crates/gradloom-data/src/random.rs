//! [`RandomStream`]: random numbers on the host, drawn from a [`Key`].
//!
//! The stream of a key is the same everywhere, so a transform that draws from the key of its sample
//! does the same on any thread. Distributions beyond the few that data needs are absent on purpose.

use gradloom_tensor::Key;

/// Random numbers from a key. Two streams of one key give the same numbers.
#[derive(Clone, Debug)]
pub struct RandomStream {
    key: Key,
    counter: u32,
    spare: Option<u32>,
}

impl RandomStream {
    /// The stream of a key.
    pub fn new(key: Key) -> Self {
        RandomStream { key, counter: 0, spare: None }
    }

    /// 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        let [first, second] = self.key.fold(self.counter).words();
        if self.counter == u32::MAX {
            // A stream longer than its counter goes on with the next key instead of repeating.
            self.key = self.key.fold(u32::MAX);
        }
        self.counter = self.counter.wrapping_add(1);
        self.spare = Some(second);
        first
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        u64::from(self.next_u32()) << 32 | u64::from(self.next_u32())
    }

    /// A number in `0..bound`, each equally likely.
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "below: no number is below zero");
        let bound = bound as u64;
        // The top of the range that is no multiple of the bound would favour small numbers.
        let biased = u64::MAX - (u64::MAX % bound + 1) % bound;
        loop {
            let bits = self.next_u64();
            if bits <= biased {
                return (bits % bound) as usize;
            }
        }
    }

    /// A number in `[0, 1)`, a multiple of 2^-24.
    pub fn unit(&mut self) -> f32 {
        (self.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// A number in `[low, high)`.
    pub fn uniform(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }

    /// A number from the standard normal distribution (Box and Muller).
    pub fn normal(&mut self) -> f32 {
        // Away from zero, whose logarithm is infinite.
        let radius = (-2.0 * f64::from(1.0 - self.unit()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * f64::from(self.unit())).cos()) as f32
    }

    /// The logarithm of a number from the gamma distribution with this shape (Marsaglia and Tsang, 2000);
    /// the number itself may be less than any float where the shape is small.
    fn log_gamma(&mut self, shape: f32) -> f64 {
        let shape = f64::from(shape);
        // A shape below one is brought above by a power of a uniform number.
        let lift = if shape < 1.0 { f64::from(1.0 - self.unit()).ln() / shape } else { 0.0 };
        let d = (if shape < 1.0 { shape + 1.0 } else { shape }) - 1.0 / 3.0;
        loop {
            let normal = f64::from(self.normal());
            let cube = (1.0 + normal / (9.0 * d).sqrt()).powi(3);
            let uniform = f64::from(1.0 - self.unit()).ln();
            if cube > 0.0 && uniform < 0.5 * normal * normal + d - d * cube + d * cube.ln() {
                return (d * cube).ln() + lift;
            }
        }
    }

    /// A number in `0..=1` from the beta distribution.
    ///
    /// # Panics
    /// If a parameter is not positive.
    #[track_caller]
    pub fn beta(&mut self, a: f32, b: f32) -> f32 {
        assert!(a > 0.0 && b > 0.0 && (a + b).is_finite(), "beta: parameters {a} and {b}");
        let (first, second) = (self.log_gamma(a), self.log_gamma(b));
        (1.0 / (1.0 + (second - first).exp())) as f32
    }

    /// Weights that add up to one, from the symmetric Dirichlet distribution with this parameter.
    ///
    /// # Panics
    /// If the parameter is not positive.
    #[track_caller]
    pub fn dirichlet(&mut self, alpha: f32, count: usize) -> Vec<f32> {
        assert!(alpha > 0.0 && alpha.is_finite(), "dirichlet: a parameter of {alpha}");
        let logs: Vec<f64> = (0..count).map(|_| self.log_gamma(alpha)).collect();
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logs.iter().map(|log| (log - most).exp()).sum();
        logs.iter().map(|log| ((log - most).exp() / sum) as f32).collect()
    }

    /// Puts the values in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, values: &mut [T]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below(last + 1));
        }
    }
}

/// The key of sample number `index`.
pub fn sample_key(key: Key, index: usize) -> Key {
    let low = key.fold(index as u32);
    match (index as u64 >> 32) as u32 {
        0 => low,
        high => low.fold(high),
    }
}

/// The numbers `0..len` in a random order.
pub fn permutation(len: usize, key: Key) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    RandomStream::new(key).shuffle(&mut order);
    order
}

#[cfg(test)]
mod tests {
    use super::{RandomStream, permutation};
    use gradloom_tensor::Key;

    #[test]
    fn a_permutation_holds_every_number_once_and_depends_on_the_key() {
        let first = permutation(1000, Key::new(1));
        let mut sorted = first.clone();
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..1000));
        assert_eq!(first, permutation(1000, Key::new(1)));
        assert_ne!(first, permutation(1000, Key::new(2)));
    }

    #[test]
    fn numbers_below_a_bound_are_about_equally_frequent() {
        let mut stream = RandomStream::new(Key::new(3));
        let mut counts = [0usize; 7];
        for _ in 0..70_000 {
            counts[stream.below(7)] += 1;
        }
        assert!(counts.iter().all(|&count| (9_500..10_500).contains(&count)), "{counts:?}");
    }

    #[test]
    fn normal_and_beta_numbers_have_their_moments() {
        let mut stream = RandomStream::new(Key::new(9));
        let moments = |values: Vec<f32>| {
            let mean = values.iter().sum::<f32>() / values.len() as f32;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>();
            (mean, squares / values.len() as f32)
        };
        let (mean, variance) = moments((0..40_000).map(|_| stream.normal()).collect());
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        for (a, b) in [(0.2f32, 0.2f32), (1.0, 1.0), (2.0, 5.0), (0.001, 0.001)] {
            let values: Vec<f32> = (0..40_000).map(|_| stream.beta(a, b)).collect();
            assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
            let (mean, variance) = moments(values);
            let expected = a * b / ((a + b).powi(2) * (a + b + 1.0));
            assert!((mean - a / (a + b)).abs() < 0.01, "{a} {b}: {mean}");
            assert!((variance - expected).abs() < 0.01, "{a} {b}: {variance} {expected}");
        }
    }

    #[test]
    fn unit_numbers_stay_below_one() {
        let mut stream = RandomStream::new(Key::new(4));
        let mean = (0..10_000).map(|_| stream.unit()).inspect(|u| assert!(*u < 1.0)).sum::<f32>();
        assert!((mean / 10_000.0 - 0.5).abs() < 0.02);
    }
}
