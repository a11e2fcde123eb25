//! [`Draws`]: random choices on the host, from a key, the same on every device.

use gradloom_tensor::Key;

/// A stream of random numbers.
pub(crate) struct Draws {
    key: Key,
    drawn: u32,
}

impl Draws {
    pub(crate) fn new(key: Key) -> Self {
        Draws { key, drawn: 0 }
    }

    fn word(&mut self) -> u32 {
        let words = self.key.fold(self.drawn).words();
        self.drawn = self.drawn.wrapping_add(1);
        words[0]
    }

    /// In `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f64 {
        f64::from(self.word()) / 4_294_967_296.0
    }

    /// One of `0..count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        ((self.unit() * count as f64) as usize).min(count.saturating_sub(1))
    }

    /// The numbers `0..count` in random order.
    pub(crate) fn permutation(&mut self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        for last in (1..count).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}
