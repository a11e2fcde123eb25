//! [`Detector`]: networks that find objects, and load what was published of them.

use std::path::Path;

use crate::detection::{Detections, ObjectBoxes};
use crate::{Result, error, loading};
use gradloom_nn::{Context, Init, ModuleExt, StateDict};
use gradloom_tensor::{Device, Key, Tensor, Tensors};

/// A network from pictures to boxes. Names and shapes of weights are torchvision's.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::ResNetConfig;
/// use gradloom_vision::detection::{Detector, ObjectBoxes, RetinaNet, RetinaNetConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let mut config = RetinaNetConfig::resnet50_fpn().classes(3).size(64, 64);
/// config.backbone.body = ResNetConfig { width: 8, ..ResNetConfig::resnet18() };
/// config.backbone.channels = 16;
/// let model = RetinaNet::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let picture = Tensor::ones([3, 48, 64], DType::F32, &device);
/// let objects = ObjectBoxes { boxes: vec![[8.0, 8.0, 40.0, 44.0]], labels: vec![2] };
/// let losses = model.losses(&[picture], &[objects], &mut Context::train(Key::new(1)))?;
/// assert!(losses.total().item()? > 0.0);
/// # Ok(())
/// # }
/// ```
pub trait Detector: ModuleExt + Tensors + Clone + Sized + 'static {
    /// Its sizes and switches.
    type Config;

    /// The family's name, with which errors begin.
    const FAMILY: &'static str;

    /// A network to be trained: first values are the original's.
    ///
    /// # Errors
    /// If the configuration is wrong.
    fn new(config: &Self::Config, init: &mut Init) -> Result<Self>;

    /// The network's name for a name in a file; none for what is no weight of it.
    fn rename(name: &str) -> Option<String>;

    /// What there is to learn from pictures and their objects, by torchvision's names. What is drawn comes from the
    /// keys of `ctx`.
    ///
    /// # Errors
    /// If pictures are not `[3, H, W]` of floats on one device, there are not as many lists of objects, a box is not
    /// finite, without area or wholly outside of its picture, a label is out of range, or what the network says is
    /// not finite.
    fn losses(
        &self,
        pictures: &[Tensor],
        objects: &[ObjectBoxes],
        ctx: &mut Context,
    ) -> Result<DetectionLosses>;

    /// The objects of each picture, the surest first.
    ///
    /// # Errors
    /// If pictures are not `[3, H, W]` of floats on one device, or what the network says is not finite.
    fn detect(&self, pictures: &[Tensor]) -> Result<Vec<Detections>>;

    /// Puts new last layers in the place of the old ones, for other classes: what fine-tuning begins with.
    ///
    /// # Errors
    /// If there are too few classes.
    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()>;

    /// Reads a file of weights in whatever format [`Checkpoint::open`](gradloom_weights::Checkpoint::open) finds, or
    /// the one in a folder. Floats of
    /// other types become f32.
    ///
    /// # Errors
    /// If the file is missing or damaged, or weights are missing, left over, or of other shapes, as those of
    /// another variant are; the message names them.
    fn from_file(config: &Self::Config, path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let named = |error: crate::Error| error.context(path.display().to_string());
        let checkpoint = loading::open(Self::FAMILY, path)?;
        let wanted = |name: &str| Self::rename(name).is_some();
        let weights = loading::read(Self::FAMILY, &checkpoint, wanted, device).map_err(named)?;
        Self::from_weights(config, &weights, device).map_err(named)
    }

    /// Makes a network of weights under the names of a file.
    ///
    /// # Errors
    /// If the configuration is wrong, or weights are missing, left over, or of other shapes.
    fn from_weights(config: &Self::Config, weights: &StateDict, device: &Device) -> Result<Self> {
        let mut model = Self::new(config, &mut Init::new(Key::new(0), device))?;
        loading::fill(Self::FAMILY, &mut model, &weights.rename(Self::rename))?;
        Ok(model)
    }
}

/// Fails unless there are classes beside the background, which is one of them.
pub(crate) fn check_with_background(family: &'static str, classes: usize) -> Result<()> {
    if classes < 2 {
        let message = format!("{classes} classes; give the background and at least one more");
        return Err(error::config(family, message));
    }
    Ok(())
}

/// Losses of a detector, each a number.
#[derive(Clone, Debug)]
pub struct DetectionLosses {
    parts: Vec<(&'static str, Tensor)>,
    total: Tensor,
}

impl DetectionLosses {
    /// Every detector has some of classes and some of boxes.
    pub(crate) fn new<const N: usize>(parts: [(&'static str, Tensor); N]) -> Self {
        const { assert!(N > 0) }
        let total = parts[1..].iter().fold(parts[0].1.clone(), |sum, (_, loss)| sum + loss);
        DetectionLosses { parts: parts.to_vec(), total }
    }

    /// Their sum `[]`: what is learnt from.
    pub fn total(&self) -> &Tensor {
        &self.total
    }

    /// One of them by its name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.parts.iter().find(|(other, _)| *other == name).map(|(_, loss)| loss)
    }

    /// All, by torchvision's names.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        self.parts.iter().map(|(name, loss)| (*name, loss))
    }
}
