//! [`Pretrained`]: networks that are no classifiers and load what was published of them, and what they share with
//! classifiers.

use std::path::Path;

use crate::tensorflow::Layout;
use crate::{Result, error};
use gradloom_nn::{Init, LoadOptions, Module, ModuleExt, StateDict};
use gradloom_tensor::{Device, Key, Tensors, commit};
use gradloom_weights::{Checkpoint, ReadOptions};

/// A network that can be made after a configuration and loaded from what was published of it, and whose outputs are
/// no logits of classes: detectors, descriptors, networks from pictures to pictures. Those with classes are a
/// [`Classifier`](crate::Classifier).
pub trait Pretrained: Module + Tensors + Clone + Sized + 'static {
    /// Its sizes and switches.
    type Config;

    /// The family's name, with which errors begin.
    const FAMILY: &'static str;

    /// A network to be trained from the start.
    ///
    /// # Errors
    /// If the configuration is wrong.
    fn new(config: &Self::Config, init: &mut Init) -> Result<Self>;

    /// The network's name for a name in a file; none for what is no weight of it.
    fn rename(_config: &Self::Config, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    /// In which order a file has the axes of its weights.
    fn layout(_config: &Self::Config) -> Layout {
        Layout::Torch
    }

    /// Reads a file of weights in whatever format [`Checkpoint::open`] finds, or the one in a folder. Floats of
    /// other types become f32.
    ///
    /// # Errors
    /// If the file is missing or damaged, or weights are missing, left over, or of other shapes; the message names
    /// them.
    fn from_file(config: &Self::Config, path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path)
            .map_err(|error| error::weights(format!("loading {}", Self::FAMILY), error))?;
        Self::from_checkpoint(config, &checkpoint, device)
            .map_err(|error| error.context(path.display().to_string()))
    }

    /// As [`from_file`](Self::from_file), of a checkpoint that is open.
    ///
    /// # Errors
    /// If weights are missing, left over, damaged or of other shapes.
    fn from_checkpoint(
        config: &Self::Config,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        let wanted = |name: &str| Self::rename(config, name).is_some();
        let weights = read(Self::FAMILY, checkpoint, wanted, device)?;
        Self::from_weights(config, &weights, device)
    }

    /// Makes a network of weights under the names of a file.
    ///
    /// # Errors
    /// If the configuration is wrong, or weights are missing, left over, or of other shapes.
    fn from_weights(config: &Self::Config, weights: &StateDict, device: &Device) -> Result<Self> {
        // First values are lazy and are replaced before anything computes them.
        let mut model = Self::new(config, &mut Init::new(Key::new(0), device))?;
        let weights = ordered(Self::layout(config), weights);
        let weights = weights.rename(|name| Self::rename(config, name));
        load(Self::FAMILY, &mut model, &weights)?;
        Ok(model)
    }
}

/// The weights of a checkpoint that are wanted, floats as f32.
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
        let tensor = tensor.map_err(|error| error::weights(format!("loading {family}"), error))?;
        weights.insert(name, tensor);
    }
    Ok(weights)
}

/// The same weights with their axes in the order of this crate.
pub(crate) fn ordered(layout: Layout, weights: &StateDict) -> StateDict {
    let weights = weights.iter();
    weights.map(|(name, weight)| (name.to_owned(), layout.to_torch(name, weight))).collect()
}

/// Puts weights under a network's own names into it.
pub(crate) fn load<M: Module + Tensors>(
    family: &str,
    model: &mut M,
    weights: &StateDict,
) -> Result<()> {
    let context = || format!("loading {family}");
    model
        .load_state_dict(weights, &LoadOptions::strict().cast())
        .map_err(|error| error::weights(context(), error))?;
    commit(model).map_err(|error| error.context(context()))
}
