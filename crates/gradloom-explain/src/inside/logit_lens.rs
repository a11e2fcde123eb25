//! [`logit_lens`]: what each layer would say if it were the last one.

use gradloom_tensor::{Result, Tensor};

use crate::{Forward, Inputs};

/// The logits that a model's head makes of the hidden states of each of some layers, with their names. `head`
/// is the model's final norm and its output layer.
///
/// nostalgebraist, "interpreting GPT: the logit lens", 2020.
///
/// # Errors
/// If the model has no layer of one of the names, or runs it twice.
pub fn logit_lens(
    forward: &Forward,
    inputs: &Inputs,
    layers: &[&str],
    head: impl Fn(&Tensor) -> Tensor,
) -> Result<Vec<(String, Tensor)>> {
    let run = forward.run_tapped(&inputs.all())?;
    layers.iter().map(|&layer| Ok((layer.to_owned(), head(run.layer(layer)?)))).collect()
}
