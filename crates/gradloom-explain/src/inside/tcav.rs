//! [`ConceptVector`] and [`tcav`]: whether a class depends on a concept that examples define.

use gradloom_autodiff::vjp;
use gradloom_tensor::{DType, Result, Tensor};

use super::probe::Probe;
use crate::{Forward, Inputs, Target, rows};

/// A direction in a layer: from examples without a concept to examples with it.
#[derive(Clone, Debug)]
pub struct ConceptVector {
    /// The layer.
    pub layer: String,
    /// Of length 1, in the shape of one sample of the layer's activation.
    pub direction: Tensor,
    /// The share of the examples that a linear classifier puts on the right side. A concept that the layer
    /// does not know has about one half, and its vector means nothing.
    pub accuracy: f64,
}

impl ConceptVector {
    /// Of a layer, from inputs that show the concept and others that do not.
    ///
    /// Kim et al., "Interpretability beyond feature attribution: testing with concept activation vectors",
    /// 2017.
    ///
    /// # Errors
    /// If there is no such layer, or a set has no inputs.
    pub fn new(forward: &Forward, layer: &str, with: &Inputs, without: &Inputs) -> Result<Self> {
        let [yes, no] = [with, without].map(|inputs| forward.activation(layer, inputs));
        let (yes, no) = (yes?, no?);
        let mut labels = vec![1; yes.shape()[0]];
        labels.extend(vec![0; no.shape()[0]]);
        let activations = Tensor::concat(&[&yes, &no], 0);
        let probe = Probe::fit(&activations, &labels, 2, 0.01)?;
        let accuracy = probe.accuracy(&activations, &labels)?;
        let direction = probe.weights.index(1, 1).sub(probe.weights.index(1, 0));
        let direction = direction.div(direction.square().sum(..).sqrt().maximum(1e-12));
        let shape: gradloom_tensor::Shape = yes.shape()[1..].iter().copied().collect();
        Ok(ConceptVector { layer: layer.to_owned(), direction: direction.reshape(shape), accuracy })
    }
}

/// The share of inputs whose target rises if the layer's activation moves along the concept.
///
/// Compare it with what vectors of random sets of examples give before believing it.
///
/// # Errors
/// If the target does not fit or there is no such layer.
pub fn tcav(
    forward: &Forward,
    inputs: &Inputs,
    target: &Target,
    concept: &ConceptVector,
) -> Result<f64> {
    let run = forward.run_tapped(&inputs.all())?;
    let activation = run.layer(&concept.layer)?;
    let selected = target.select(&run.output, inputs.batch())?;
    let gradient = vjp(&selected, &selected.ones_like(), &[activation]).remove(0);
    let along = gradient.cast(DType::F32).mul(concept.direction.unsqueeze(0));
    let along = rows::numbers(&rows::sums(&along))?;
    Ok(along.iter().filter(|slope| **slope > 0.0).count() as f64 / along.len().max(1) as f64)
}
