//! [`activation_patching`]: which layer carries what makes the difference between two inputs.

use gradloom_tensor::{Error, Result};

use crate::{Forward, Inputs, Target, rows};

/// What a layer's activation of the clean inputs does in a run of the corrupted ones.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchEffect {
    /// The layer.
    pub layer: String,
    /// The share of the difference between the clean and the corrupted target that it brings back, for each
    /// sample: 1 all of it, 0 none. NaN where there is no difference.
    pub restored: Vec<f64>,
}

/// Runs the model on corrupted inputs with the activation of the clean ones in each layer in turn.
///
/// With `place`, only the activation at that index of its axis 1 is put in: one token of texts.
/// Vig et al., "Causal mediation analysis", 2020; Meng et al., "Locating and editing factual associations in
/// GPT", 2022.
///
/// # Errors
/// If the two inputs have other shapes, a layer does not exist or runs twice, or it has no such place.
pub fn activation_patching(
    forward: &Forward,
    clean: &Inputs,
    corrupted: &Inputs,
    target: &Target,
    layers: &[&str],
    place: Option<usize>,
) -> Result<Vec<PatchEffect>> {
    let op = "activation_patching";
    let (batch, shapes) = (clean.batch(), |inputs: &Inputs| {
        inputs.all().iter().map(|tensor| *tensor.shape()).collect::<Vec<_>>()
    });
    if shapes(clean) != shapes(corrupted) {
        return Err(Error::shape(format!(
            "{op}: clean inputs of shapes {:?}, corrupted ones of {:?}; both need the same",
            shapes(clean),
            shapes(corrupted)
        )));
    }
    let (run, other) = (forward.run_tapped(&clean.all())?, forward.run_tapped(&corrupted.all())?);
    let whole = rows::numbers(&target.select(&run.output, batch)?)?;
    let broken = rows::numbers(&target.select(&other.output, batch)?)?;
    let mut effects = Vec::with_capacity(layers.len());
    for &layer in layers {
        let mut activation = run.layer(layer)?.clone();
        if let Some(place) = place {
            let there = other.layer(layer)?;
            if there.rank() < 2 || place >= there.shape()[1] {
                let shape = there.shape();
                return Err(Error::invalid(format!(
                    "{op}: no place {place} in {layer} of {shape}"
                )));
            }
            activation =
                there.select_scatter(&activation.index(1, place as isize), 1, place as isize);
        }
        let mut inputs = vec![activation];
        inputs.extend(corrupted.all());
        let patched = forward.from_layer(layer).run(&inputs)?;
        let patched = rows::numbers(&target.select(&patched, batch)?)?;
        let share =
            |sample: usize| (patched[sample] - broken[sample]) / (whole[sample] - broken[sample]);
        let restored = (0..batch).map(share).collect();
        effects.push(PatchEffect { layer: layer.to_owned(), restored });
    }
    Ok(effects)
}
