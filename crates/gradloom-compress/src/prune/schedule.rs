//! [`SparsitySchedule`]: how many weights are gone at which step of training.

use super::errors::invalid;
use gradloom_tensor::Result;

/// From no sparsity to the final one, while a model learns.
///
/// ```
/// use gradloom_compress::prune::SparsitySchedule;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// let schedule = SparsitySchedule::cubic(0.8, 0, 100)?.every(50);
/// assert_eq!(schedule.at(50), Some(0.8 - 0.8 * 0.125));
/// assert_eq!(schedule.at(51), None);
/// assert_eq!(schedule.at(100), Some(0.8));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SparsitySchedule {
    /// Of what is not yet gone, `(1 - progress) ^ power`.
    power: i32,
    first: f64,
    last: f64,
    begin: u64,
    end: u64,
    every: u64,
}

impl SparsitySchedule {
    /// Fast at first and slower towards the end, where what is left is needed:
    /// `last + (first - last) * (1 - progress)^3` from step `begin` to `end`.
    ///
    /// Zhu, Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017.
    ///
    /// # Errors
    /// If the sparsity is not between 0 and 1, or the end is not after the beginning.
    pub fn cubic(sparsity: f64, begin: u64, end: u64) -> Result<Self> {
        SparsitySchedule::of(3, sparsity, begin, end)
    }

    /// By the same amount at each step.
    ///
    /// # Errors
    /// As [`cubic`](SparsitySchedule::cubic).
    pub fn linear(sparsity: f64, begin: u64, end: u64) -> Result<Self> {
        SparsitySchedule::of(1, sparsity, begin, end)
    }

    /// All at one step.
    ///
    /// # Errors
    /// If the sparsity is not between 0 and 1.
    pub fn one_shot(sparsity: f64, step: u64) -> Result<Self> {
        Ok(SparsitySchedule {
            first: sparsity,
            ..SparsitySchedule::of(1, sparsity, step, step + 1)?
        }
        .every(2))
    }

    fn of(power: i32, last: f64, begin: u64, end: u64) -> Result<Self> {
        if !(last > 0.0 && last < 1.0) {
            return Err(invalid(format!("prune: a sparsity of {last}; give one between 0 and 1")));
        }
        if end <= begin {
            return Err(invalid(format!("prune: from step {begin} to step {end}")));
        }
        Ok(SparsitySchedule { power, first: 0.0, last, begin, end, every: 1 })
    }

    /// Begins with this sparsity.
    #[must_use]
    pub fn from(mut self, sparsity: f64) -> Self {
        self.first = sparsity;
        self
    }

    /// Changes masks at every so many steps only, and at the last.
    #[must_use]
    pub fn every(mut self, steps: u64) -> Self {
        self.every = steps.max(1);
        self
    }

    /// The sparsity that masks get at a step, if they change there.
    pub fn at(&self, step: u64) -> Option<f64> {
        let changes = (self.begin..=self.end).contains(&step)
            && ((step - self.begin).is_multiple_of(self.every) || step == self.end);
        changes.then(|| {
            let progress = (step - self.begin) as f64 / (self.end - self.begin) as f64;
            self.last + (self.first - self.last) * (1.0 - progress).powi(self.power)
        })
    }

    /// The last step at which masks change.
    pub fn end(&self) -> u64 {
        self.end
    }
}
