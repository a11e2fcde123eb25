//! [`Pretrained`]: networks that are no classifiers and load what was published of them.

use std::path::Path;

use crate::tensorflow::Layout;
use crate::{Result, loading};
use gradloom_nn::{Init, Module, StateDict};
use gradloom_tensor::{Device, Key, Tensors};
use gradloom_weights::Checkpoint;

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
        let checkpoint = loading::open(Self::FAMILY, path)?;
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
        let weights = loading::read(Self::FAMILY, checkpoint, wanted, device)?;
        Self::from_weights(config, &weights, device)
    }

    /// Makes a network of weights under the names of a file.
    ///
    /// # Errors
    /// If the configuration is wrong, or weights are missing, left over, or of other shapes.
    fn from_weights(config: &Self::Config, weights: &StateDict, device: &Device) -> Result<Self> {
        let mut model = Self::new(config, &mut Init::new(Key::new(0), device))?;
        let weights = loading::ordered(Self::layout(config), weights);
        let weights = weights.rename(|name| Self::rename(config, name));
        loading::fill(Self::FAMILY, &mut model, &weights)?;
        Ok(model)
    }
}
