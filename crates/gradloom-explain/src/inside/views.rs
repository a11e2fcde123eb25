//! [`layer_views`]: every layer of a run, with its gradient.

use gradloom_autodiff::vjp;
use gradloom_tensor::{Result, Tensor};

use crate::{Forward, Inputs, Target};

/// A layer in one run.
#[derive(Clone, Debug)]
pub struct LayerView {
    /// The name that it is tapped under.
    pub name: String,
    /// What it gave.
    pub activation: Tensor,
    /// How the target changes with that, of the same shape; zeros where it does not.
    pub gradient: Tensor,
}

/// The activations of all layers that show them, in the order of the run, with the gradients of the target
/// in them. What is not asked for is not computed.
///
/// # Errors
/// If the target does not fit the output.
pub fn layer_views(forward: &Forward, inputs: &Inputs, target: &Target) -> Result<Vec<LayerView>> {
    let run = forward.run_tapped(&inputs.all())?;
    let selected = target.select(&run.output, inputs.batch())?;
    let taps: Vec<(String, Tensor)> =
        run.taps.into_iter().filter(|(_, tensor)| tensor.dtype().is_float()).collect();
    let asked: Vec<&Tensor> = taps.iter().map(|(_, tensor)| tensor).collect();
    let gradients = vjp(&selected, &selected.ones_like(), &asked);
    let views = taps.into_iter().zip(gradients).map(|((name, activation), gradient)| LayerView {
        name,
        activation,
        gradient,
    });
    Ok(views.collect())
}
