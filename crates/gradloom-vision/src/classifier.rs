//! [`Classifier`]: networks from pictures to classes that load what was published of them.
//!
//! Published vision checkpoints come without a configuration beside them, so the caller names the variant.

use std::path::Path;

use crate::tensorflow::Layout;
use crate::{Result, error, loading};
use gradloom_nn::{Context, Init, Layer, StateDict};
use gradloom_tensor::{Device, Key, Tensor, Tensors};
use gradloom_weights::Checkpoint;

/// A network from pictures `[N, 3, H, W]` to logits `[N, classes]`, or of each pixel `[N, classes, H, W]`, that can be made after a configuration and
/// loaded from what was published of it. Names and shapes of weights are torchvision's.
///
/// ```
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::{Classifier, MobileNetV2, MobileNetV2Config};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = MobileNetV2Config::new().classes(10);
/// let model = MobileNetV2::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let pictures = Tensor::zeros([2, 3, 32, 32], DType::F32, &device);
/// assert_eq!(model.forward(&pictures, &mut Context::eval()).shape(), &[2, 10]);
/// # Ok(())
/// # }
/// ```
pub trait Classifier: Layer + Tensors + Clone + Sized + 'static {
    /// Its sizes and switches.
    type Config;

    /// The family's name, with which errors begin.
    const FAMILY: &'static str;

    /// A network to be trained from the start: first values are the original's.
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

    /// Leaves out the optional parts that the weights do not have, and of the weights what the network does not
    /// need.
    fn fit(&mut self, _weights: &mut StateDict) {}

    /// Puts a new last layer in the place of the old one, for other classes: what fine-tuning begins with.
    ///
    /// # Errors
    /// If there are no classes.
    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()>;

    /// Reads a file of weights in whatever format [`Checkpoint::open`] finds, or the one in a folder. Floats of
    /// other types become f32.
    ///
    /// # Errors
    /// If the file is missing or damaged, or weights are missing, left over, or of other shapes, as those of
    /// another variant are; the message names them.
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
        let mut weights = weights.rename(|name| Self::rename(config, name));
        model.fit(&mut weights);
        loading::fill(Self::FAMILY, &mut model, &weights)?;
        Ok(model)
    }

    /// Logits, and what the named stages put out, in the order of the names: features for detection,
    /// segmentation and similarity. Every part of a network is such a stage by its name, such as `layer3` or
    /// `features.12`.
    ///
    /// `ctx` says whether this is training; it is given back with what batch norms recorded.
    ///
    /// # Errors
    /// If there is no such stage; the message lists what there is.
    fn with_features(
        &self,
        pictures: &Tensor,
        stages: &[&str],
        ctx: Context,
    ) -> Result<(Tensor, Vec<Tensor>, Context)> {
        let mut ctx = ctx.with_taps();
        let logits = self.forward(pictures, &mut ctx);
        let taps = ctx.take_taps();
        let find = |stage: &&str| {
            let name = format!("{stage}.output");
            let found = taps.iter().rev().find(|(tap, _)| *tap == name);
            found.map(|(_, tensor)| tensor.clone()).ok_or_else(|| {
                let known = taps.iter().filter_map(|(tap, _)| tap.strip_suffix(".output"));
                let known: Vec<&str> = known.collect();
                error::config(
                    Self::FAMILY,
                    format!("no stage {stage:?}; there are {}", known.join(", ")),
                )
            })
        };
        let features = stages.iter().map(find).collect::<Result<Vec<Tensor>>>()?;
        Ok((logits, features, ctx))
    }
}

/// Logits of a network and those of its auxiliary heads.
#[derive(Clone, Debug)]
pub struct AuxiliaryLogits {
    /// `[N, classes]`
    pub logits: Tensor,
    /// As `logits`, of each auxiliary head, from the nearest to the pictures. Heads that only learn are left out
    /// outside training.
    pub auxiliary: Vec<Tensor>,
}

/// Checks the number of classes of a configuration or of a new head.
pub(crate) fn check_classes(family: &'static str, classes: usize) -> Result<()> {
    if classes == 0 {
        return Err(error::config(family, "there are no classes; give at least one"));
    }
    Ok(())
}

/// Panics unless these are pictures `[N, channels, H, W]` of floats.
#[track_caller]
pub(crate) fn check_pictures(family: &str, x: &Tensor, channels: usize) {
    let (shape, dtype) = (x.shape(), x.dtype());
    assert!(
        x.rank() == 4 && x.size(1) == channels,
        "{family}: needs pictures [N, {channels}, H, W], got shape {shape}"
    );
    assert!(dtype.is_float(), "{family}: needs floats, got {dtype}; normalise the pictures first");
}
