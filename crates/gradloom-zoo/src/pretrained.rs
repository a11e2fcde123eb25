//! [`Pretrained`]: models that load what was published: a folder with `config.json` and weights.
//!
//! Weights keep the names of the original. A model says in one function how the names of a file become
//! its own: prefixes that come and go with the task, older spellings, and what a file may carry that is
//! no weight of it.

use std::path::Path;

use crate::{ModelConfig, Result, error};
use gradloom_nn::{Init, LoadOptions, Module, ModuleExt, StateDict};
use gradloom_tensor::{Device, Key, Tensors, commit};
use gradloom_weights::{Checkpoint, ReadOptions};

/// A model that can be made after a configuration and loaded from what was published of it.
///
/// ```no_run
/// use gradloom_zoo::{BertModel, Pretrained};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let device = gradloom_testkit::reference::device();
/// let model = BertModel::from_folder("assets/minilm", &device)?;
/// # Ok(())
/// # }
/// ```
pub trait Pretrained: Module + Tensors + Sized {
    /// Its sizes and switches.
    type Config: ModelConfig;

    /// A model to be trained from the start: first values are the original's.
    ///
    /// # Errors
    /// If the configuration is wrong.
    fn new(config: &Self::Config, init: &mut Init) -> Result<Self>;

    /// The model's name for a name in a file; none for what is no weight of this model.
    fn rename(name: &str) -> Option<String>;

    /// Leaves out the optional parts that the weights do not have, and of the weights what the model
    /// does not need.
    fn fit(&mut self, _weights: &mut StateDict) {}

    /// Reads a folder: `config.json`, and the weights beside it in whatever format
    /// [`Checkpoint::open`] finds.
    ///
    /// Floats of other types become f32.
    ///
    /// # Errors
    /// If a file is missing or damaged, or weights are missing, left over, or of other shapes; the
    /// message names them.
    fn from_folder(folder: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let folder = folder.as_ref();
        let config = config_in(folder)?;
        let checkpoint = Checkpoint::open(folder)
            .map_err(|error| error::weights(format!("loading {}", Self::Config::MODEL), error))?;
        Self::from_checkpoint(&config, &checkpoint, device)
            .map_err(|error| error.context(folder.display().to_string()))
    }

    /// Makes a model of the weights of a checkpoint, under the names of a file; [`config_in`] reads the
    /// configuration beside them. Where [`Checkpoint::open_mapped`] has opened it, they stay in their
    /// files until the model is used.
    ///
    /// Floats of other types become f32, those that stay in a file when they are needed.
    ///
    /// # Errors
    /// If weights are missing, left over, damaged or of other shapes; the message names them.
    fn from_checkpoint(
        config: &Self::Config,
        checkpoint: &Checkpoint,
        device: &Device,
    ) -> Result<Self> {
        let options = ReadOptions::new().floats_as_f32();
        let mut weights = StateDict::new();
        for name in checkpoint.names() {
            // What is no weight of the model may be of a kind that tensors cannot have.
            if Self::rename(name).is_none() {
                continue;
            }
            let tensor = checkpoint.tensor_with(name, &options, device).map_err(|error| {
                error::weights(format!("loading {}", Self::Config::MODEL), error)
            })?;
            weights.insert(name, tensor);
        }
        Self::from_weights(config, &weights, device)
    }

    /// Makes a model of weights under the names of a file.
    ///
    /// # Errors
    /// If the configuration is wrong, or weights are missing, left over, or of other shapes.
    fn from_weights(config: &Self::Config, weights: &StateDict, device: &Device) -> Result<Self> {
        let context = || format!("loading {}", Self::Config::MODEL);
        // First values are lazy and are replaced before anything computes them.
        let mut model = Self::new(config, &mut Init::new(Key::new(0), device))?;
        let mut weights = weights.rename(Self::rename);
        model.fit(&mut weights);
        model
            .load_state_dict(&weights, &LoadOptions::strict().cast())
            .map_err(|error| error::weights(context(), error))?;
        commit(&mut model).map_err(|error| error.context(context()))?;
        Ok(model)
    }
}

/// The checked configuration of a folder.
///
/// # Errors
/// If `config.json` is missing or wrong.
pub fn config_in<C: ModelConfig>(folder: impl AsRef<Path>) -> Result<C> {
    config_at(&folder.as_ref().join("config.json"))
}

/// The checked configuration in a file.
pub(crate) fn config_at<C: ModelConfig>(path: &Path) -> Result<C> {
    const BYTES_MAX: u64 = 1 << 24;
    let failed = |error| error::io(path, error);
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > BYTES_MAX {
        let message = format!("{} has {size} bytes; it is no configuration", path.display());
        return Err(error::config(C::MODEL, message));
    }
    let json = std::fs::read(path).map_err(failed)?;
    C::from_json(json).map_err(|error| error.context(path.display().to_string()))
}
