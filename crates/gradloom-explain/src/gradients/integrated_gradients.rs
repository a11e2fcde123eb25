//! [`IntegratedGradients`]: gradients along the way from a baseline.

use gradloom_tensor::{Result, Tensor, eval};

use crate::gradients::{Quadrature, difference, gradients, total};
use crate::{Attribution, Baseline, Forward, Inputs, Method, Target, rows};

/// `(x - x0)` times the mean gradient on the straight way from a baseline `x0` to the features `x`. The
/// attributions of a sample sum to `F(x) - F(x0)`; [`Attribution::delta`] says what is left by the sum that
/// stands for the integral.
///
/// Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", 2017. As
/// `captum.attr.IntegratedGradients`.
///
/// ```
/// use gradloom_explain::{Forward, IntegratedGradients, Method, Target};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// let forward = Forward::new(|x, _| x[0].index(1, 0) * x[0].index(1, 1));
/// let x = Tensor::new([[3f32, 4.0]], &device)?;
/// let ig = IntegratedGradients::default();
/// let attribution = ig.attribute(&forward, &(&x).into(), &Target::Output)?;
/// let values = attribution.first().to_vec::<f32>()?;
/// assert!(values.iter().all(|value| (value - 6.0).abs() < 1e-4), "{values:?}");
/// assert!(attribution.delta.unwrap().item()?.abs() < 1e-4);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct IntegratedGradients {
    /// Where the way begins.
    pub baseline: Baseline,
    /// Number of gradients on the way.
    pub steps: usize,
    /// Where they are taken.
    pub quadrature: Quadrature,
    /// Whether the mean gradient is multiplied by `x - x0`. Without, it is the local form, of which nothing
    /// is promised about sums.
    pub multiply_by_inputs: bool,
    /// Rows that the model is run on at once, at most, if at least one step of all samples fits; all steps
    /// at once without.
    pub internal_batch_size: Option<usize>,
}

impl Default for IntegratedGradients {
    fn default() -> Self {
        IntegratedGradients {
            baseline: Baseline::Zero,
            steps: 50,
            quadrature: Quadrature::GaussLegendre,
            multiply_by_inputs: true,
            internal_batch_size: None,
        }
    }
}

impl Method for IntegratedGradients {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let baselines = self.baseline.of("integrated_gradients", inputs)?;
        let points = self.quadrature.points(self.steps)?;
        let at_once = self.internal_batch_size.map_or(points.len(), |most| most / inputs.batch());
        let mut means: Option<Vec<Tensor>> = None;
        for points in points.chunks(at_once.max(1)) {
            let part = weighted_gradients(forward, inputs, &baselines, target, points)?;
            let sum: Vec<Tensor> = match means {
                Some(means) => means.iter().zip(&part).map(|(sum, part)| sum.add(part)).collect(),
                None => part,
            };
            if self.internal_batch_size.is_some() {
                // One part after another in memory, which is what the limit is for.
                eval(&sum)?;
                means = Some(sum.iter().map(Tensor::detach).collect());
            } else {
                means = Some(sum);
            }
        }
        let means = means.unwrap_or_default();
        if !self.multiply_by_inputs {
            return Ok(Attribution { features: means, delta: None });
        }
        let ends = inputs.features.iter().zip(&baselines);
        let features: Vec<Tensor> =
            means.iter().zip(ends).map(|(mean, (x, x0))| mean.mul(x.sub(x0))).collect();
        let explained = difference(forward, inputs, &baselines, target)?;
        let delta = Some(total(&features).sub(explained));
        Ok(Attribution { features, delta })
    }
}

/// The sum of the gradients at some points of the way, with their weights.
fn weighted_gradients(
    forward: &Forward,
    inputs: &Inputs,
    baselines: &[Tensor],
    target: &Target,
    points: &[(f64, f64)],
) -> Result<Vec<Tensor>> {
    let copies = points.len();
    let (places, weights): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
    let column = |numbers: &[f64], beside: &Tensor| -> Result<Tensor> {
        let numbers = rows::tensor_like(numbers, copies.into(), beside)?;
        Ok(rows::beside(&numbers, beside.rank() + 1))
    };
    let ends = inputs.features.iter().zip(baselines);
    let on_the_way = ends.map(|(x, x0)| -> Result<Tensor> {
        let way = column(&places, x)?.mul(x.sub(x0).unsqueeze(0));
        Ok(rows::merged(&way.add(x0.unsqueeze(0))))
    });
    let on_the_way = on_the_way.collect::<Result<Vec<Tensor>>>()?;
    let (_, gradients) = gradients(forward, &on_the_way, inputs, target)?;
    let weighted = gradients
        .iter()
        .map(|gradient| rows::weighted_sum(&rows::apart(gradient, copies), &weights));
    weighted.collect()
}
