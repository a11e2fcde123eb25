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
    #[must_use]
    pub fn initial(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// Sets the factor of growth. PyTorch: `growth_factor`.
    #[must_use]
    pub fn growth(mut self, factor: f64) -> Self {
        self.growth = factor;
        self
    }

    /// Sets the factor after an overflow. PyTorch: `backoff_factor`.
    #[must_use]
    pub fn backoff(mut self, factor: f64) -> Self {
        self.backoff = factor;
        self
    }

    /// Sets the number of steps without overflow after which the scale grows. PyTorch: `growth_interval`.
    #[must_use]
    pub fn growth_interval(mut self, steps: u64) -> Self {
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

    /// An error if so many steps in a row overflowed that no scale helps.
    pub(crate) fn check(&self) -> Result<()> {
        if self.skipped < SKIPPED_MAX {
            return Ok(());
        }
        Err(error::not_finite(format!(
            "loss scaler: {} steps in a row had gradients that are not finite, the scale is down to {:e}; the \
             loss itself overflows in f16: use Precision::Bf16",
            self.skipped, self.scale
        )))
    }

    pub(crate) fn state(&self) -> Value {
        json!({"scale": exact::number(self.scale), "steady": self.steady, "skipped": self.skipped})
    }

    pub(crate) fn load_state(&mut self, state: Entries) -> Result<()> {
        self.scale = state.number("scale")?;
        (self.steady, self.skipped) = (state.count("steady")?, state.count("skipped")?);
        Ok(())
    }
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
