//! [`LayerConductance`], [`NeuronConductance`] and [`InternalInfluence`]: a layer while the features go from
//! a baseline to where they are.

use gradloom_autodiff::vjp;
use gradloom_tensor::{Error, Result, Tensor};

use crate::{Attribution, Baseline, Forward, Inputs, Method, Quadrature, Target, rows};

/// What integrated gradients of the features owe to each neuron of a layer: the sum over steps of the
/// gradient in the neuron times how far the step moves it.
///
/// Dhamdhere, Sundararajan, Yan, "How important is a neuron?", 2018. As `captum.attr.LayerConductance`.
#[derive(Clone, Debug)]
pub struct LayerConductance {
    /// The name that the layer is tapped under.
    pub layer: String,
    /// Where the way begins.
    pub baseline: Baseline,
    /// Steps on the way.
    pub steps: usize,
    /// Where they are.
    pub quadrature: Quadrature,
}

impl LayerConductance {
    /// With captum's defaults: 50 steps of Gauss and Legendre from zero.
    pub fn new(layer: impl Into<String>) -> Self {
        LayerConductance {
            layer: layer.into(),
            baseline: Baseline::Zero,
            steps: 50,
            quadrature: Quadrature::GaussLegendre,
        }
    }
}

impl Method for LayerConductance {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let op = "layer_conductance";
        if self.steps == 0 {
            return Err(Error::invalid(format!("{op}: 0 steps; one is the fewest")));
        }
        let points = self.quadrature.points(self.steps + 1)?;
        let from = Start { op, baseline: &self.baseline, layer: &self.layer };
        let Way { values, gradients, .. } = from.way(forward, inputs, target, &points)?;
        let moved = values.narrow(0, 1, self.steps).sub(values.narrow(0, 0, self.steps));
        let conductance = moved.mul(gradients.narrow(0, 0, self.steps)).sum(0);
        Ok(Attribution { features: vec![conductance], delta: None })
    }
}

/// The mean gradient in each neuron of a layer while the features go from a baseline to where they are.
///
/// Leino et al., "Influence-directed explanations for deep convolutional networks", 2018. As
/// `captum.attr.InternalInfluence`.
#[derive(Clone, Debug)]
pub struct InternalInfluence {
    /// The name that the layer is tapped under.
    pub layer: String,
    /// Where the way begins.
    pub baseline: Baseline,
    /// Gradients on the way.
    pub steps: usize,
    /// Where they are taken.
    pub quadrature: Quadrature,
}

impl InternalInfluence {
    /// With captum's defaults: 50 steps of Gauss and Legendre from zero.
    pub fn new(layer: impl Into<String>) -> Self {
        let LayerConductance { layer, baseline, steps, quadrature } = LayerConductance::new(layer);
        InternalInfluence { layer, baseline, steps, quadrature }
    }
}

impl Method for InternalInfluence {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let points = self.quadrature.points(self.steps)?;
        let op = "internal_influence";
        let from = Start { op, baseline: &self.baseline, layer: &self.layer };
        let way = from.way(forward, inputs, target, &points)?;
        let mean = rows::weighted_sum(&way.gradients, &way.weights)?;
        Ok(Attribution { features: vec![mean], delta: None })
    }
}

/// The part of integrated gradients of each feature that goes through one neuron of a layer.
///
/// As `captum.attr.NeuronConductance`.
#[derive(Clone, Debug)]
pub struct NeuronConductance {
    /// The name that the layer is tapped under.
    pub layer: String,
    /// The neuron, as a target of the layer's activation.
    pub neuron: Target,
    /// Where the way begins.
    pub baseline: Baseline,
    /// Gradients on the way.
    pub steps: usize,
    /// Where they are taken.
    pub quadrature: Quadrature,
}

impl NeuronConductance {
    /// With captum's defaults: 50 points of the trapezoidal rule from zero.
    pub fn new(layer: impl Into<String>, neuron: Target) -> Self {
        let LayerConductance { layer, baseline, steps, .. } = LayerConductance::new(layer);
        let quadrature = Quadrature::RiemannTrapezoid;
        NeuronConductance { layer, neuron, baseline, steps, quadrature }
    }
}

impl Method for NeuronConductance {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        let points = self.quadrature.points(self.steps)?;
        let op = "neuron_conductance";
        let from = Start { op, baseline: &self.baseline, layer: &self.layer };
        let way = from.way(forward, inputs, target, &points)?;
        let (copies, batch) = (points.len(), inputs.batch());
        let neuron = self.neuron.select(&rows::merged(&way.values), batch)?;
        let slope = self.neuron.select(&rows::merged(&way.gradients), batch)?;
        let asked: Vec<&Tensor> = way.features.iter().collect();
        let gradients = vjp(&neuron, &slope, &asked);
        let ends = inputs.features.iter().zip(&way.baselines);
        let parts = gradients.iter().zip(ends).map(|(gradient, (x, x0))| -> Result<Tensor> {
            Ok(rows::weighted_sum(&rows::apart(gradient, copies), &way.weights)?.mul(x.sub(x0)))
        });
        Ok(Attribution { features: parts.collect::<Result<_>>()?, delta: None })
    }
}

/// A layer along the way: `[steps, B, ..]`.
struct Way {
    values: Tensor,
    gradients: Tensor,
    /// What it is a function of, `[steps * B, ..]` each.
    features: Vec<Tensor>,
    /// Where the features began.
    baselines: Vec<Tensor>,
    /// What each step counts.
    weights: Vec<f64>,
}

/// What the methods here have in common.
struct Start<'s> {
    op: &'static str,
    baseline: &'s Baseline,
    layer: &'s str,
}

impl Start<'_> {
    fn way(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
        points: &[(f64, f64)],
    ) -> Result<Way> {
        let baselines = self.baseline.of(self.op, inputs)?;
        let copies = points.len();
        let (places, weights): (Vec<f64>, Vec<f64>) = points.iter().copied().unzip();
        let mut all = Vec::with_capacity(inputs.features.len() + inputs.given.len());
        for (x, x0) in inputs.features.iter().zip(&baselines) {
            let places = rows::tensor_like(&places, copies.into(), x)?;
            let way = rows::beside(&places, x.rank() + 1).mul(x.sub(x0).unsqueeze(0));
            all.push(rows::merged(&way.add(x0.unsqueeze(0))).detach());
        }
        let features = all.clone();
        all.extend(inputs.given_tiled(copies));
        let run = forward.run_tapped(&all)?;
        let (op, layer) = (self.op, self.layer);
        let values = run.layer(layer)?;
        if !values.dtype().is_float() || values.shape().first() != all[0].shape().first() {
            return Err(Error::shape(format!(
                "{op}: layer {layer} is {} {}; it needs floating-point rows of the batch",
                values.dtype(),
                values.shape()
            )));
        }
        let selected = target.select(&run.output, inputs.batch())?;
        let gradients = vjp(&selected, &selected.ones_like(), &[values]).remove(0);
        let (values, gradients) = (rows::apart(values, copies), rows::apart(&gradients, copies));
        Ok(Way { values, gradients, features, baselines, weights })
    }
}
