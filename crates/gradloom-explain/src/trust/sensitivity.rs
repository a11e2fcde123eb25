//! [`SensitivityMax`]: how much an explanation changes if the inputs hardly do.

use gradloom_tensor::{Error, Key, Result, Tensor};

use super::infidelity::same_shapes;
use crate::gradients::total;
use crate::{Forward, Inputs, Method, Target};

/// The largest relative change of attributions, in the Euclidean norm, over inputs at most `radius` away in
/// each element.
///
/// Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019. As
/// `captum.metrics.sensitivity_max`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SensitivityMax {
    /// How far elements are moved, uniformly.
    pub radius: f64,
    /// Number of moved inputs.
    pub samples: usize,
    /// What moves them.
    pub key: Key,
}

impl SensitivityMax {
    /// With captum's defaults: 10 inputs within 0.02.
    pub fn new(key: Key) -> Self {
        SensitivityMax { radius: 0.02, samples: 10, key }
    }

    /// The sensitivity of a method at each sample: `[B]`.
    ///
    /// # Errors
    /// As the method's own, and if there are to be no inputs.
    pub fn measure(
        &self,
        method: &dyn Method,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Tensor> {
        let (key, radius) = (self.key, self.radius);
        let moved = |sample: usize, features: &[Tensor]| {
            let key = key.fold(sample as u32);
            let numbered = features.iter().enumerate();
            numbered
                .map(|(number, x)| {
                    let unit = x.rand_like(key.fold(number as u32));
                    x.add(unit.mul(2.0 * radius).sub(radius))
                })
                .collect()
        };
        self.measure_moved(method, forward, inputs, target, moved)
    }

    /// As [`measure`](SensitivityMax::measure), with moved inputs of the caller's own, which are asked for by
    /// number.
    ///
    /// # Errors
    /// As [`measure`](SensitivityMax::measure), and if they have other shapes.
    pub fn measure_moved(
        &self,
        method: &dyn Method,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
        mut moved: impl FnMut(usize, &[Tensor]) -> Vec<Tensor>,
    ) -> Result<Tensor> {
        let op = "sensitivity_max";
        inputs.check(op)?;
        if self.samples == 0 || self.radius.is_nan() || self.radius < 0.0 {
            let (samples, radius) = (self.samples, self.radius);
            return Err(Error::invalid(format!("{op}: {samples} samples within {radius}")));
        }
        let here = method.attribute(forward, inputs, target)?.features;
        let squares: Vec<Tensor> = here.iter().map(Tensor::square).collect();
        let length = total(&squares).sqrt();
        let length = length.eq(0.0).select(length.ones_like(), &length);
        let mut largest: Option<Tensor> = None;
        for sample in 0..self.samples {
            let features = moved(sample, &inputs.features);
            same_shapes(op, "moved feature", &features, &inputs.features)?;
            let there = method.attribute(forward, &inputs.with_features(features), target)?;
            let squares: Vec<Tensor> =
                here.iter().zip(&there.features).map(|(a, b)| a.sub(b).square()).collect();
            let change = total(&squares).sqrt().div(&length);
            let so_far = largest.map_or_else(|| change.clone(), |largest| largest.maximum(&change));
            so_far.eval()?;
            largest = Some(so_far.detach());
        }
        Ok(largest.expect("at least one sample"))
    }
}
