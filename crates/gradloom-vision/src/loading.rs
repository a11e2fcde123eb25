//! What all families share when they read what was published of them: files to named weights, and those into a
//! network.

use std::path::Path;

use crate::tensorflow::Layout;
use crate::{Result, error};
use gradloom_nn::{LoadOptions, ModuleExt, StateDict};
use gradloom_tensor::{Device, Tensors, commit};
use gradloom_weights::{Checkpoint, ReadOptions};

fn context(family: &str) -> String {
    format!("loading {family}")
}

/// Opens a file of weights, or the one in a folder.
pub(crate) fn open(family: &str, path: &Path) -> Result<Checkpoint> {
    Checkpoint::open(path).map_err(|error| error::weights(context(family), error))
}

/// The weights of a checkpoint that `wanted` is true for, floats as f32.
pub(crate) fn read(
    family: &str,
    checkpoint: &Checkpoint,
    wanted: impl Fn(&str) -> bool,
    device: &Device,
) -> Result<StateDict> {
    let options = ReadOptions::new().floats_as_f32();
    let mut weights = StateDict::new();
    for name in checkpoint.names().filter(|name| wanted(name)) {
        let tensor = checkpoint.tensor_with(name, &options, device);
        weights.insert(name, tensor.map_err(|error| error::weights(context(family), error))?);
    }
    Ok(weights)
}

/// The same weights with their axes in the order of this crate.
pub(crate) fn ordered(layout: Layout, weights: &StateDict) -> StateDict {
    let weights = weights.iter();
    weights.map(|(name, weight)| (name.to_owned(), layout.to_torch(name, weight))).collect()
}

/// Puts weights under the network's own names into it. First values are lazy and are replaced before anything
/// computes them.
pub(crate) fn fill<M: ModuleExt + Tensors>(
    family: &str,
    model: &mut M,
    weights: &StateDict,
) -> Result<()> {
    model
        .load_state_dict(weights, &LoadOptions::strict().cast())
        .map_err(|error| error::weights(context(family), error))?;
    commit(model).map_err(|error| error.context(context(family)))
}
