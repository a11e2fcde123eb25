//! [`GradientShap`]: expected gradients.

use gradloom_tensor::{Error, Key, Result, Tensor};

use crate::draws::Draws;
use crate::gradients::{gradients, total};
use crate::{Attribution, Forward, Inputs, Method, Target, rows};

/// An estimate of SHAP values: the mean over draws of `(x - x0) dF/dx`, where `x0` is a row of a distribution
/// of baselines and the gradient is taken at a random place between the two, with noise on `x`.
///
/// Erion et al., "Improving performance of deep learning models with axiomatic attribution priors and
/// expected gradients", 2019. As `captum.attr.GradientShap`.
#[derive(Clone, Debug)]
pub struct GradientShap {
    /// Rows to draw baselines from, `[D, ..]` for each feature; a row of all features belongs together.
    pub baselines: Vec<Tensor>,
    /// Draws for each sample.
    pub samples: usize,
    /// Standard deviation of the noise on the features.
    pub deviation: f64,
    /// Whether gradients are multiplied by `x - x0`.
    pub multiply_by_inputs: bool,
    /// What the draws come from.
    pub key: Key,
}

impl GradientShap {
    /// With captum's defaults: 5 draws, no noise.
    pub fn new(baselines: impl IntoIterator<Item = Tensor>, key: Key) -> Self {
        let baselines = baselines.into_iter().collect();
        GradientShap { baselines, samples: 5, deviation: 0.0, multiply_by_inputs: true, key }
    }
}

/// The number of rows of distributions of baselines that fit features.
pub(crate) fn distribution_size(op: &str, rows: &[Tensor], features: &[Tensor]) -> Result<usize> {
    if rows.len() != features.len() {
        return Err(Error::invalid(format!(
            "{op}: {} distributions of baselines for {} features; give one for each",
            rows.len(),
            features.len()
        )));
    }
    let count = rows[0].shape().first().copied().unwrap_or(0);
    for (number, (row, feature)) in rows.iter().zip(features).enumerate() {
        let (shape, of_feature) = (row.shape(), feature.shape());
        let fits = shape.rank() == of_feature.rank()
            && shape[1..] == of_feature[1..]
            && shape[0] == count
            && row.dtype() == feature.dtype();
        if !fits || count == 0 {
            return Err(Error::shape(format!(
                "{op}: baselines {number} are {} {shape}, the feature {} {of_feature}; they have the \
                 feature's shape and dtype but for the number of rows, which is the same for all and not 0",
                row.dtype(),
                feature.dtype()
            )));
        }
    }
    Ok(count)
}

impl Method for GradientShap {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "gradient_shap";
        inputs.check(op)?;
        let count = distribution_size(op, &self.baselines, &inputs.features)?;
        if self.samples == 0 {
            return Err(Error::invalid(format!("{op}: 0 samples; one is the fewest")));
        }
        let (copies, rows_all) = (self.samples, self.samples * inputs.batch());
        let mut draws = Draws::new(self.key);
        let chosen: Vec<i32> = (0..rows_all).map(|_| draws.below(count) as i32).collect();
        let places: Vec<f64> = (0..rows_all).map(|_| draws.unit()).collect();
        let (mut between, mut steps, mut starts, mut ends) = (vec![], vec![], vec![], vec![]);
        for (number, (x, rows)) in inputs.features.iter().zip(&self.baselines).enumerate() {
            let chosen = Tensor::from_slice(&chosen, [rows_all], x.device())?;
            let x0 = rows.index_select(0, &chosen);
            let mut x = rows::tiled(x, copies);
            if self.deviation != 0.0 {
                let noise = x.randn_like(self.key.fold(u32::MAX - number as u32));
                x = x.add(noise.mul(self.deviation));
            }
            let places = rows::tensor_like(&places, rows_all.into(), &x)?;
            let step = x.sub(&x0);
            between.push(x0.add(step.mul(rows::beside(&places, x.rank()))));
            steps.push(step);
            starts.push(x0);
            ends.push(x);
        }
        let (_, gradients) = gradients(forward, &between, inputs, target)?;
        let mean = |tensor: &Tensor| rows::apart(tensor, copies).mean(0);
        let features: Vec<Tensor> = match self.multiply_by_inputs {
            true => gradients.iter().zip(&steps).map(|(g, step)| mean(&g.mul(step))).collect(),
            false => gradients.iter().map(mean).collect(),
        };
        let at = |features: &[Tensor]| {
            let given = inputs.given_tiled(copies);
            let all: Vec<Tensor> = features.iter().cloned().chain(given).collect();
            target.select(&forward.run(&all)?, inputs.batch())
        };
        let delta = match self.multiply_by_inputs {
            true => Some(total(&features).sub(mean(&at(&ends)?.sub(at(&starts)?)))),
            false => None,
        };
        Ok(Attribution { features, delta })
    }
}
