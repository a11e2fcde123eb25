//! [`DcganGenerator`]: noise, and perhaps a label, to a picture.
//!
//! Letters: N batch, Z noise, C channels, S size of pictures.

use super::autoencoder::{WIDTH_MAX, halved};
use super::checks::check_labels;
use crate::stack::Stack;
use crate::{Result, error};
use gradloom_nn::layers::{BatchNorm, ConvTranspose2d, Embedding};
use gradloom_nn::{Activation, Context, Init, Layer, Module, Parameter};
use gradloom_tensor::ops::convolution::ConvTranspose2dOptions;
use gradloom_tensor::{Device, Key, Tensor, demand};

const FAMILY: &str = "dcgan";
/// Deviation of first values.
pub(super) const DEVIATION: f64 = 0.02;

/// Sizes of a generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DcganConfig {
    /// Channels of the pictures.
    pub channels: usize,
    /// Height and width of the pictures.
    pub size: usize,
    /// Steps up, each of which doubles the size.
    pub steps: usize,
    /// Size of the noise.
    pub latent: usize,
    /// Channels before the last step; twice as many before each step before.
    pub width: usize,
    /// Number of classes, if a label says what to make.
    pub classes: Option<usize>,
    /// Numbers that stand for a label beside the noise.
    pub label_size: usize,
}

impl DcganConfig {
    /// Noise of 100 and 64 channels, steps up from 4 to 7 pixels, no classes. With 64 pixels it is the paper's.
    pub fn new(channels: usize, size: usize) -> Self {
        let mut steps = 1;
        while size >> steps > 7 && (size >> steps).is_multiple_of(2) {
            steps += 1;
        }
        DcganConfig { channels, size, steps, latent: 100, width: 64, classes: None, label_size: 32 }
    }

    /// A label says what to make.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = Some(classes);
        self
    }
}

/// The deeper side's channels: `width * 2^(steps - 1)`.
pub(super) fn deepest(family: &'static str, width: usize, steps: usize) -> Result<usize> {
    let factor =
        u32::try_from(steps).ok().and_then(|steps| 2usize.checked_pow(steps.saturating_sub(1)));
    let widest = factor.and_then(|factor| factor.checked_mul(width));
    match widest {
        Some(widest) if widest > 0 && widest <= WIDTH_MAX && steps > 0 => Ok(widest),
        _ => Err(error::config(family, format!("width {width} and {steps} steps"))),
    }
}

/// A norm of normal weights around one.
pub(super) fn batch_norm(channels: usize, init: &mut Init) -> BatchNorm {
    let mut norm = BatchNorm::new(channels, init);
    let weight = init.normal(channels, DEVIATION);
    norm.weight = Some(Parameter::new(weight.detach() + 1.0));
    norm
}

/// Noise `[N, Z]` and, where there are classes, labels `[N]` to pictures in -1..=1, `[N, C, S, S]`: transposed
/// convolutions of 4 x 4 with batch norms and ReLU, and a hyperbolic tangent.
///
/// Names of weights are those of PyTorch's DCGAN tutorial (`main.0.weight`), whose generator this is with 64 pixels.
/// Radford, Metz, Chintala, "Unsupervised representation learning with deep convolutional generative adversarial
/// networks", 2016; the label beside the noise as in Mirza, Osindero, "Conditional generative adversarial nets", 2014.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{Key, Tensor};
/// use gradloom_vision::generative::{DcganConfig, DcganGenerator};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = DcganConfig { width: 8, ..DcganConfig::new(1, 28).classes(10) };
/// let generator = DcganGenerator::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let labels = Tensor::new([3, 7], &device)?;
/// let pictures = generator.sample(2, Some(&labels), Key::new(1), &device);
/// assert_eq!(pictures.shape(), &[2, 1, 28, 28]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct DcganGenerator {
    /// All layers.
    pub main: Stack,
    /// `[classes, label_size]`
    pub label: Option<Embedding>,
    #[module(skip)]
    config: DcganConfig,
}

impl DcganGenerator {
    /// Normal first values of deviation 0.02, as in the paper.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &DcganConfig, init: &mut Init) -> Result<Self> {
        let DcganConfig { channels, size, steps, latent, width, classes, label_size } = *config;
        let start = halved(FAMILY, size, steps)?;
        let numbers = [channels, latent, classes.unwrap_or(1), label_size];
        if numbers.into_iter().any(|number| number == 0 || number > WIDTH_MAX) {
            let message = format!(
                "{channels} channels, noise of {latent}, {label_size} for {classes:?} classes"
            );
            return Err(error::config(FAMILY, message));
        }
        let mut outputs = deepest(FAMILY, width, steps)?;
        let label = classes.map(|classes| Embedding::new(classes, label_size, init));
        let mut inputs = latent + classes.map_or(0, |_| label_size);
        let mut main = Stack::new();
        let doubled = ConvTranspose2dOptions::default().stride(2).padding(1);
        for step in 0..=steps {
            let (kernel, options) = match step {
                0 => (start, ConvTranspose2dOptions::default()),
                _ => (4, doubled),
            };
            let out = if step == steps { channels } else { outputs };
            let mut conv = ConvTranspose2d::new(inputs, out, kernel, options, init).without_bias();
            conv.weight = init.normal(*conv.weight.shape(), DEVIATION);
            main.push(conv);
            if step == steps {
                main.push(Activation::Tanh);
            } else {
                main.push(batch_norm(out, init));
                main.push(Activation::Relu);
            }
            (inputs, outputs) = (out, outputs / 2);
        }
        Ok(DcganGenerator { main, label, config: *config })
    }

    /// Pictures of noise.
    ///
    /// # Panics
    /// If shapes do not fit, or labels are missing or not expected.
    #[track_caller]
    #[must_use]
    pub fn forward(&self, z: &Tensor, labels: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        let latent = self.config.latent;
        demand!(
            z.rank() == 2 && z.size(1) == latent,
            "{FAMILY}: needs noise [N, {latent}], got shape {}",
            z.shape()
        );
        check_labels(FAMILY, labels, self.config.classes, z.size(0));
        let z = match (&self.label, labels) {
            (Some(table), Some(labels)) => {
                Tensor::concat(&[z, &table.forward(labels, ctx).cast(z.dtype())], 1)
            }
            _ => z.clone(),
        };
        ctx.within("main", |ctx| self.main.forward(&z.unsqueeze(2).unsqueeze(3), ctx))
    }

    /// Noise for so many pictures, `[count, Z]`.
    #[must_use]
    pub fn noise(&self, count: usize, key: Key, device: &Device) -> Tensor {
        Tensor::normal(key, [count, self.config.latent], 0.0, 1.0, device)
    }

    /// Pictures of noise of a key, with running statistics. The same key gives the same bits.
    ///
    /// # Panics
    /// If labels are missing or not expected.
    #[track_caller]
    #[must_use]
    pub fn sample(
        &self,
        count: usize,
        labels: Option<&Tensor>,
        key: Key,
        device: &Device,
    ) -> Tensor {
        self.forward(&self.noise(count, key, device), labels, &mut Context::eval())
    }
}
