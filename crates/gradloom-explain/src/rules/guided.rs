//! [`GuidedBackprop`] and [`Deconvolution`]: gradients that ReLUs let through differently.

use gradloom_tensor::op::Unary;
use gradloom_tensor::{Op, Result, Tensor};

use super::graph::{Graph, pulled_back};
use crate::{Attribution, Forward, Inputs, Method, Target};

/// The gradient of which every ReLU lets only positive parts through.
///
/// ReLUs are nodes of that op, in layers or not. Springenberg et al., "Striving for simplicity", 2014. As
/// `captum.attr.GuidedBackprop`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuidedBackprop;

/// As [`GuidedBackprop`], where ReLUs do not look at what they got on the way forward.
///
/// Zeiler, Fergus, "Visualizing and understanding convolutional networks", 2013. As
/// `captum.attr.Deconvolution`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deconvolution;

impl Method for GuidedBackprop {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("guided_backprop")?;
        with_relu(forward, inputs, target, |relu, x, gradient| {
            pulled_back(relu, &gradient.relu(), vec![x.clone()]).remove(0).1
        })
    }
}

impl Method for Deconvolution {
    fn attribute(
        &self,
        forward: &Forward,
        inputs: &Inputs,
        target: &Target,
    ) -> Result<Attribution> {
        inputs.check("deconvolution")?;
        with_relu(forward, inputs, target, |_, _, gradient| gradient.relu())
    }
}

fn with_relu(
    forward: &Forward,
    inputs: &Inputs,
    target: &Target,
    rule: impl Fn(&Tensor, &Tensor, &Tensor) -> Tensor,
) -> Result<Attribution> {
    let leaves: Vec<Tensor> = inputs.features.iter().map(Tensor::detach).collect();
    let output = forward.run(&inputs.with_features(leaves.clone()).all())?;
    let selected = target.select(&output, inputs.batch())?;
    let graph = Graph::between(&leaves, &selected, false);
    let mut rule = |node: &Tensor, gradient: &Tensor| match (node.op(), node.inputs()) {
        (Op::Unary(Unary::Relu), [x]) => Ok(vec![(x.clone(), rule(node, x, gradient))]),
        _ => Ok(graph.derivative(node, gradient)),
    };
    let features = graph.pass(&selected, selected.ones_like(), &leaves, &mut rule)?;
    Ok(Attribution { features, delta: None })
}
