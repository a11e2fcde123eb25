//! [`NoiseSchedule`]: how much noise each step of a diffusion adds.

use crate::{Result, error};

/// The largest number of steps.
const STEPS_MAX: usize = 1 << 20;
/// The largest variance of one step of a cosine schedule, as its paper has it.
const BETA_MAX: f64 = 0.999;

/// The variance `beta_t` that each step adds, and `alpha_bar_t`, the product of all `1 - beta` up to it: what is left
/// of a picture's variance after step t. Steps are counted from zero.
///
/// ```
/// use gradloom_vision::generative::NoiseSchedule;
///
/// let schedule = NoiseSchedule::cosine(1000)?;
/// assert!(schedule.alpha_bar(0) > 0.999 && schedule.alpha_bar(999) < 1e-8);
/// # Ok::<(), gradloom_vision::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NoiseSchedule {
    betas: Vec<f64>,
    alpha_bars: Vec<f64>,
}

impl NoiseSchedule {
    /// Of these variances, one for each step.
    ///
    /// # Errors
    /// If there are none, more than 2^20, or one is not between 0 and 1.
    pub fn from_betas(betas: Vec<f64>) -> Result<Self> {
        const FAMILY: &str = "noise schedule";
        if betas.is_empty() || betas.len() > STEPS_MAX {
            return Err(error::config(FAMILY, format!("{} steps", betas.len())));
        }
        if let Some(step) = betas.iter().position(|&beta| !(beta > 0.0 && beta < 1.0)) {
            let message = format!("beta {} of step {step} is not between 0 and 1", betas[step]);
            return Err(error::config(FAMILY, message));
        }
        let left = betas.iter().scan(1.0, |left, beta| {
            *left *= 1.0 - beta;
            Some(*left)
        });
        Ok(NoiseSchedule { alpha_bars: left.collect(), betas })
    }

    /// Variances at equal distances from 1e-4 to 0.02. Ho, Jain, Abbeel, "Denoising diffusion probabilistic models",
    /// 2020, with 1000 steps.
    ///
    /// # Errors
    /// If there are no steps, or more than 2^20.
    pub fn linear(steps: usize) -> Result<Self> {
        NoiseSchedule::linear_between(steps, 1e-4, 0.02)
    }

    /// Variances at equal distances.
    ///
    /// # Errors
    /// As [`from_betas`](NoiseSchedule::from_betas).
    pub fn linear_between(steps: usize, first: f64, last: f64) -> Result<Self> {
        let steps = steps.min(STEPS_MAX + 1);
        let share = |step: usize| step as f64 / (steps.max(2) - 1) as f64;
        let betas = (0..steps).map(|step| first + (last - first) * share(step));
        NoiseSchedule::from_betas(betas.collect())
    }

    /// `alpha_bar` falls as `cos((t / T + 0.008) / 1.008 * pi / 2)^2`; no beta is above 0.999. Nichol, Dhariwal,
    /// "Improved denoising diffusion probabilistic models", 2021.
    ///
    /// # Errors
    /// If there are no steps, or more than 2^20.
    pub fn cosine(steps: usize) -> Result<Self> {
        let steps = steps.min(STEPS_MAX + 1);
        let left = |place: usize| {
            let share = place as f64 / steps as f64;
            ((share + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2)
        };
        let betas = (0..steps).map(|step| (1.0 - left(step + 1) / left(step)).min(BETA_MAX));
        NoiseSchedule::from_betas(betas.collect())
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.betas.len()
    }

    /// The variance that each step adds.
    pub fn betas(&self) -> &[f64] {
        &self.betas
    }

    /// What is left of a picture's variance after each step.
    pub fn alpha_bars(&self) -> &[f64] {
        &self.alpha_bars
    }

    /// What is left of a picture's variance after a step.
    ///
    /// # Panics
    /// If there is no such step.
    #[track_caller]
    pub fn alpha_bar(&self, step: usize) -> f64 {
        assert!(step < self.steps(), "noise schedule: step {step} of {}", self.steps());
        self.alpha_bars[step]
    }

    /// `count` steps from the last one down, at equal distances, rounded half to even: `T - 1`, `T - T / count - 1`
    /// and so on, so that drawing begins where there is nothing but noise. diffusers: `timestep_spacing="trailing"`.
    /// Lin et al., "Common diffusion noise schedules and sample steps are flawed", 2024.
    ///
    /// # Errors
    /// If there are none, or more than there are.
    pub fn spaced(&self, count: usize) -> Result<Vec<usize>> {
        let steps = self.steps();
        if count == 0 || count > steps {
            let message = format!("{count} of {steps} steps; there must be 1 to {steps}");
            return Err(error::config("noise schedule", message));
        }
        let width = steps as f64 / count as f64;
        let place = |index: usize| (steps as f64 - index as f64 * width).round_ties_even() - 1.0;
        Ok((0..count).map(|index| place(index).max(0.0) as usize).collect())
    }
}
