//! [`LossScaler`]: keeps gradients of f16 within its range by scaling the loss.

use gradloom_nn::Gradients;
use gradloom_tensor::Tensor;
use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Result, error};

/// The scale of a loss, which halves when gradients overflow and doubles when they have not for long.
///
/// ```
/// use gradloom_train::LossScaler;
///
/// let mut scaler = LossScaler::default().growth_interval(2);
/// assert_eq!(scaler.scale(), 65536.0);
/// let scales = [true, false, false].map(|overflowed| {
///     scaler.update(overflowed);
///     scaler.scale()
/// });
/// assert_eq!(scales, [32768.0, 32768.0, 65536.0]);
/// ```
///
/// PyTorch: `torch.amp.GradScaler`, whose trace of scales is the same. Micikevicius et al., "Mixed precision
/// training", 2017.
#[derive(Clone, Debug, PartialEq)]
pub struct LossScaler {
    initial: f64,
    scale: f64,
    growth: f64,
    backoff: f64,
    interval: u64,
    /// Steps without overflow since the scale changed.
    steady: u64,
    /// Steps in a row that overflowed.
    skipped: u64,
}

/// Overflows in a row after which the loss itself must be at fault: the scale has then gone from its first
/// value through all that f32 has.
const SKIPPED_MAX: u64 = 60;

impl Default for LossScaler {
    /// From 65536, times 2 after 2000 steps, times 0.5 at an overflow.
    fn default() -> Self {
        LossScaler {
            initial: 65536.0,
            scale: 65536.0,
            growth: 2.0,
            backoff: 0.5,
            interval: 2000,
            steady: 0,
            skipped: 0,
        }
    }
}

impl LossScaler {
    /// Sets the first scale. PyTorch: `init_scale`.
    ///
    /// # Panics
    /// If it is not positive, or more or less than f32 holds.
    #[must_use]
    #[track_caller]
    pub fn initial(mut self, scale: f64) -> Self {
        assert!(usable(scale), "loss scaler: a scale of {scale}");
        (self.initial, self.scale) = (scale, scale);
        self
    }

    /// Sets the factor of growth. PyTorch: `growth_factor`.
    ///
    /// # Panics
    /// If it is not above 1 and finite.
    #[must_use]
    #[track_caller]
    pub fn growth(mut self, factor: f64) -> Self {
        assert!(factor > 1.0 && factor.is_finite(), "loss scaler: growth by {factor}");
        self.growth = factor;
        self
    }

    /// Sets the factor after an overflow. PyTorch: `backoff_factor`.
    ///
    /// # Panics
    /// If it is not between 0 and 1.
    #[must_use]
    #[track_caller]
    pub fn backoff(mut self, factor: f64) -> Self {
        assert!(0.0 < factor && factor < 1.0, "loss scaler: after an overflow times {factor}");
        self.backoff = factor;
        self
    }

    /// Sets the number of steps without overflow after which the scale grows. PyTorch: `growth_interval`.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn growth_interval(mut self, steps: u64) -> Self {
        assert!(steps > 0, "loss scaler: growth after 0 steps");
        self.interval = steps;
        self
    }

    /// The scale now.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// The loss, scaled: what gradients are taken of.
    #[track_caller]
    #[must_use]
    pub fn scaled(&self, loss: &Tensor) -> Tensor {
        loss.wide() * self.scale
    }

    /// Gradients of a scaled loss as those of the loss.
    #[must_use]
    pub fn unscaled(&self, gradients: &Gradients) -> Gradients {
        let factor = 1.0 / self.scale;
        gradients.map(|_, gradient| gradient.wide() * factor)
    }

    /// Takes in whether the gradients of a step had a NaN or an infinity. Such a step is left out.
    pub fn update(&mut self, overflowed: bool) {
        if overflowed {
            self.scale = narrow(self.scale * self.backoff);
            (self.steady, self.skipped) = (0, self.skipped + 1);
            return;
        }
        (self.steady, self.skipped) = (self.steady + 1, 0);
        if self.steady == self.interval {
            let grown = narrow(self.scale * self.growth);
            self.scale = if grown.is_finite() { grown } else { self.scale };
            self.steady = 0;
        }
    }

    /// An error if so many steps in a row overflowed that no scale helps, or the scale has left f32.
    pub(crate) fn check(&self) -> Result<()> {
        if self.skipped < SKIPPED_MAX && usable(self.scale) {
            return Ok(());
        }
        Err(error::not_finite(format!(
            "loss scaler: {} steps in a row had gradients that are not finite, the scale is down to {:e}; the \
             loss itself overflows in f16: use Precision::Bf16",
            self.skipped, self.scale
        )))
    }

    pub(crate) fn settings(&self) -> Value {
        json!({
            "initial": exact::number(self.initial),
            "growth": exact::number(self.growth),
            "backoff": exact::number(self.backoff),
            "growth_interval": self.interval,
        })
    }

    pub(crate) fn state(&self) -> Value {
        json!({"scale": exact::number(self.scale), "steady": self.steady, "skipped": self.skipped})
    }

    pub(crate) fn load_state(&mut self, state: Entries) -> Result<()> {
        self.scale = state.number("scale")?;
        if !usable(self.scale) {
            return Err(state.wrong("scale", "is no scale"));
        }
        (self.steady, self.skipped) = (state.count("steady")?, state.count("skipped")?);
        Ok(())
    }
}

/// True if gradients in f32 can be scaled so and back: the inverse of less is infinite.
fn usable(scale: f64) -> bool {
    scale >= f64::from(f32::MIN_POSITIVE) && scale <= f64::from(f32::MAX)
}

/// As PyTorch, which keeps the scale as f32.
fn narrow(scale: f64) -> f64 {
    f64::from(scale as f32)
}

/// One bool: whether all gradients are finite.
#[track_caller]
pub(crate) fn all_finite(gradients: &Gradients) -> Option<Tensor> {
    let each = gradients.iter().map(|(_, gradient)| {
        let count = gradient.is_finite().sum(..);
        count.eq(gradient.count() as i64)
    });
    each.reduce(|all, finite| all.logical_and(finite.to_device(all.device())))
}

#[cfg(test)]
mod tests {
    use super::LossScaler;
    use std::panic::catch_unwind;

    #[test]
    fn scales_that_would_make_gradients_of_nothing_are_refused() {
        for scale in [0.0, -8.0, f64::NAN, f64::INFINITY, 1e-44] {
            assert!(catch_unwind(|| LossScaler::default().initial(scale)).is_err(), "{scale}");
        }
        assert!(catch_unwind(|| LossScaler::default().backoff(2.0)).is_err());
        assert!(catch_unwind(|| LossScaler::default().growth(0.5)).is_err());
        assert!(catch_unwind(|| LossScaler::default().growth_interval(0)).is_err());
        // A factor that leaves f32 after few overflows ends the run before the inverse is infinite.
        let mut scaler = LossScaler::default().backoff(1e-30);
        scaler.update(true);
        assert!(scaler.check().is_ok());
        scaler.update(true);
        let message = scaler.check().unwrap_err().to_string();
        assert!(message.contains("2 steps in a row"), "{message}");
    }
}
