//! [`Accumulator`]: what all metrics that are fed batch by batch share. Their `update` differs, because what
//! they are fed with differs.

use gradloom_error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A metric that is fed batch by batch by its own `update`. Its state can be saved and continued, and states
/// of several threads or machines can be merged.
///
/// A failed `update` or `merge` leaves the state as it was.
pub trait Accumulator: Clone + Serialize + DeserializeOwned {
    /// What it measures.
    type Value;

    /// The figure over all that was added so far.
    ///
    /// # Errors
    /// If nothing was added, or the figure is undefined for what was.
    fn value(&self) -> Result<Self::Value>;

    /// Forgets all that was added; settings stay.
    fn reset(&mut self);

    /// Adds all that was added to another one.
    ///
    /// # Errors
    /// If the settings differ.
    fn merge(&mut self, other: &Self) -> Result<()>;
}

/// The mean of numbers by their weights: the loss of an epoch, whose last batch is smaller.
///
/// ```
/// use gradloom_metrics::{Accumulator, Mean};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut loss = Mean::default();
/// loss.update(1.0, 32.0)?;
/// loss.update(4.0, 16.0)?;
/// assert_eq!(loss.value()?, 2.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    /// Adds a number that stands for `weight` samples. A NaN stays one: a loss that broke must be seen.
    ///
    /// # Errors
    /// If the weight is negative or not finite.
    pub fn update(&mut self, value: f64, weight: f64) -> Result<()> {
        if weight < 0.0 || !weight.is_finite() {
            return Err(Error::invalid(format!(
                "mean: a weight of {weight}; it must be 0 or more, and finite"
            )));
        }
        if weight > 0.0 {
            self.sum += value * weight;
            self.weight += weight;
        }
        Ok(())
    }

    /// Sum of the weights.
    pub fn weight(&self) -> f64 {
        self.weight
    }
}

impl Accumulator for Mean {
    type Value = f64;

    fn value(&self) -> Result<f64> {
        if self.weight == 0.0 {
            return Err(Error::invalid("mean: nothing was added"));
        }
        Ok(self.sum / self.weight)
    }

    fn reset(&mut self) {
        *self = Mean::default();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.sum += other.sum;
        self.weight += other.weight;
        Ok(())
    }
}
