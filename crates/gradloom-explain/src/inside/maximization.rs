//! [`ActivationMaximization`]: the input that a neuron answers to most.

use gradloom_tensor::{Error, Result, Tensor, eval};

use crate::gradients::gradients;
use crate::{Forward, Inputs, Target};

/// Gradient ascent on the features, from where they are. A neuron is a target of a function
/// [`up_to`](Forward::up_to) its layer.
///
/// Steps have the length of `step` per element whatever the gradient's size. `decay` pulls elements to zero,
/// which keeps pictures calm. Erhan et al., "Visualizing higher-layer features of a deep network", 2009.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivationMaximization {
    /// Number of steps.
    pub steps: usize,
    /// The root of the mean square of a step.
    pub step: f64,
    /// The share of each element that every step takes away.
    pub decay: f64,
    /// What elements stay within.
    pub bounds: [f64; 2],
}

impl Default for ActivationMaximization {
    fn default() -> Self {
        let bounds = [f64::NEG_INFINITY, f64::INFINITY];
        ActivationMaximization { steps: 100, step: 0.05, decay: 0.01, bounds }
    }
}

impl ActivationMaximization {
    /// The features after the last step, evaluated.
    ///
    /// # Errors
    /// If the target does not fit, bounds are no range, or a number is negative.
    pub fn maximize(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Vec<Tensor>> {
        let op = "activation_maximization";
        inputs.check(op)?;
        let [low, high] = self.bounds;
        if !(low <= high && self.step >= 0.0 && (0.0..1.0).contains(&self.decay)) {
            return Err(Error::invalid(format!("{op}: {self:?}")));
        }
        let mut features = inputs.features.clone();
        for _ in 0..self.steps {
            let (_, gradients) = gradients(forward, &features, inputs, target)?;
            features = features
                .iter()
                .zip(&gradients)
                .map(|(x, gradient)| {
                    let axes: Vec<isize> = (1..x.rank() as isize).collect();
                    let size = match axes.is_empty() {
                        true => gradient.abs(),
                        false => gradient.square().mean_keepdim(&axes[..]).sqrt(),
                    };
                    let step = gradient.div(size.maximum(1e-12)).mul(self.step);
                    let mut moved = x.mul(1.0 - self.decay).add(step);
                    if low.is_finite() {
                        moved = moved.maximum(low);
                    }
                    if high.is_finite() {
                        moved = moved.minimum(high);
                    }
                    moved
                })
                .collect();
            eval(&features)?;
            features.iter_mut().for_each(|feature| *feature = feature.detach());
        }
        Ok(features)
    }
}
