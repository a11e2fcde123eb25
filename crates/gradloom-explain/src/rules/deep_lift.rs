//! [`DeepLift`] and [`DeepLiftShap`]: what the difference from a baseline does, node by node.

use gradloom_tensor::{Error, Result, Tensor};

use super::deep_lift_rules::Pair;
use super::graph::Graph;
use crate::gradients::{distribution_size, total};
use crate::{Attribution, Baseline, Forward, Inputs, Method, Target, rows};

/// Multipliers in place of derivatives: how much a node's difference from its value at the baseline brings
/// about in the output. Attributions of a sample sum to `F(x) - F(x0)`, through any nonlinear function.
///
/// The rescale rule: an elementwise function of one variable hands on `dy / dx` of differences, products
/// and quotients of two variables share their difference evenly, maxima hand it to whom it comes from.
/// The pairs of values belong to nodes of the graph, so layers that run twice, functions that are no layers,
/// softmax, norms and attention keep the sum as well. What is detached counts as well, because the output
/// depends on it.
///
/// Shrikumar, Greenside, Kundaje, "Learning important features through propagating activation differences",
/// 2017. As `captum.attr.DeepLift`, to which it is equal where that keeps the sum.
///
/// ```
/// use gradloom_explain::{DeepLift, Forward, Method, Target};
/// use gradloom_tensor::Tensor;
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_testkit::reference::device();
/// // One activation, used twice.
/// let forward = Forward::new(|x, _| ((&x[0] * 2.0).relu() - 1.0).relu().sum(1));
/// let x = Tensor::new([[3f32, -1.0]], &device)?;
/// let attribution = DeepLift::default().attribute(&forward, &(&x).into(), &Target::Output)?;
/// assert_eq!(attribution.first().to_vec::<f32>()?, [5.0, 0.0]);
/// assert_eq!(attribution.delta.unwrap().item()?, 0.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct DeepLift {
    /// What the features are compared with.
    pub baseline: Baseline,
    /// A layer by the name of its tap: its activation is attributed to in place of the features, as
    /// `captum.attr.LayerDeepLift`.
    pub layer: Option<String>,
    /// Whether multipliers are multiplied by the difference of the features.
    pub multiply_by_inputs: bool,
    /// Differences smaller than this have the derivative for a multiplier.
    pub epsilon: f64,
}

impl Default for DeepLift {
    fn default() -> Self {
        let baseline = Baseline::Zero;
        DeepLift { baseline, layer: None, multiply_by_inputs: true, epsilon: 1e-10 }
    }
}

impl Method for DeepLift {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let baselines = self.baseline.of("deep_lift", inputs)?;
        self.between(forward, inputs, &baselines, target)
    }
}

impl DeepLift {
    fn between(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        baselines: &[Tensor],
        target: &Target,
    ) -> Result<Attribution> {
        let leaves: Vec<Tensor> = inputs.features.iter().map(Tensor::detach).collect();
        let baselines: Vec<Tensor> = baselines.iter().map(Tensor::detach).collect();
        let run = forward.run_tapped(&inputs.with_features(leaves.clone()).all())?;
        let wanted = match &self.layer {
            Some(layer) => vec![run.layer(layer)?.clone()],
            None => leaves.clone(),
        };
        let selected = target.select(&run.output, inputs.batch())?;
        let graph = Graph::between(&leaves, &selected, true);
        let pair = Pair::new(&graph, &leaves, &baselines, &wanted, self.epsilon)?;
        let mut rule = |node: &Tensor, multiplier: &Tensor| pair.parts(node, multiplier);
        let multipliers = graph.pass(&selected, selected.ones_like(), &wanted, &mut rule)?;
        if !self.multiply_by_inputs {
            return Ok(Attribution { features: multipliers, delta: None });
        }
        let differences = wanted.iter().map(|node| pair.difference(node));
        let features: Vec<Tensor> =
            multipliers.iter().zip(differences).map(|(m, d)| m.mul(d)).collect();
        let delta = Some(total(&features).sub(pair.difference(&selected)));
        Ok(Attribution { features, delta })
    }
}

/// The mean of [`DeepLift`] over a distribution of baselines: an estimate of SHAP values.
///
/// Lundberg, Lee, "A unified approach to interpreting model predictions", 2017. As
/// `captum.attr.DeepLiftShap`.
#[derive(Clone, Debug)]
pub struct DeepLiftShap {
    /// The baselines, `[D, ..]` for each feature; a row of all features belongs together.
    pub baselines: Vec<Tensor>,
    /// What else there is to say; its own baseline is not used.
    pub deep_lift: DeepLift,
}

impl DeepLiftShap {
    /// With [`DeepLift`]'s defaults.
    pub fn new(baselines: impl IntoIterator<Item = Tensor>) -> Self {
        let baselines = baselines.into_iter().collect();
        DeepLiftShap { baselines, deep_lift: DeepLift::default() }
    }
}

impl Method for DeepLiftShap {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "deep_lift_shap";
        inputs.check(op)?;
        let copies = distribution_size(op, &self.baselines, &inputs.features)?;
        let batch = inputs.batch();
        let Some(rows_all) = copies.checked_mul(batch) else {
            return Err(Error::invalid(format!("{op}: {copies} baselines for {batch} samples")));
        };
        // Copies of the batch one after another: all samples with the first baseline, then the second.
        let features = inputs.features.iter().map(|x| rows::tiled(x, copies)).collect();
        let baselines: Vec<Tensor> =
            self.baselines.iter().map(|x0| x0.repeat_interleave(batch, 0)).collect();
        debug_assert!(baselines.iter().all(|x0| x0.shape()[0] == rows_all));
        let tiled = Inputs { features, given: inputs.given_tiled(copies) };
        let target = target.tiled(copies);
        let found = self.deep_lift.between(forward, &tiled, &baselines, &target)?;
        let mean = |tensor: &Tensor| rows::apart(tensor, copies).mean(0);
        let features = found.features.iter().map(mean).collect();
        Ok(Attribution { features, delta: found.delta.as_ref().map(mean) })
    }
}
