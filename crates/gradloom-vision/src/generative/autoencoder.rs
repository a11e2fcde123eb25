//! [`Autoencoder`]: pictures through a short vector and back; and the two halves, which variational autoencoders
//! have too.
//!
//! Letters: N batch, C channels of pictures, S their height and width, Z the vector.

use crate::classifier::check_pictures;
use crate::stack::Stack;
use crate::{Result, error};
use gradloom_nn::layers::{Conv2d, ConvTranspose2d, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::{Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::{Tensor, demand};

/// The largest number of channels or elements of a vector that a configuration may ask for.
pub(super) const WIDTH_MAX: usize = 1 << 20;

/// Sizes of a convolutional autoencoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AutoencoderConfig {
    /// Channels of the pictures.
    pub channels: usize,
    /// Height and width of the pictures; each step down halves it, so `2^steps` divides it.
    pub size: usize,
    /// Channels after each step down.
    pub widths: Vec<usize>,
    /// Size of the vector.
    pub latent: usize,
}

impl AutoencoderConfig {
    /// Two steps down, to 32 and 64 channels, and a vector of 32.
    pub fn new(channels: usize, size: usize) -> Self {
        AutoencoderConfig { channels, size, widths: vec![32, 64], latent: 32 }
    }

    /// Height and width after all steps down.
    pub(super) fn smallest(&self, family: &'static str) -> Result<usize> {
        let AutoencoderConfig { channels, size, widths, latent } = self;
        let numbers = widths.iter().chain([channels, latent]);
        if widths.is_empty() || numbers.clone().any(|&number| number == 0 || number > WIDTH_MAX) {
            let message = format!("{channels} channels, widths {widths:?}, a vector of {latent}");
            return Err(error::config(family, message));
        }
        halved(family, *size, widths.len())
    }
}

/// `size` after so many halvings.
pub(super) fn halved(family: &'static str, size: usize, steps: usize) -> Result<usize> {
    let parts = u32::try_from(steps).ok().and_then(|steps| 2usize.checked_pow(steps));
    match parts {
        Some(parts) if size > 0 && size <= WIDTH_MAX && size.is_multiple_of(parts) => {
            Ok(size / parts)
        }
        _ => {
            let message =
                format!("pictures of {size} pixels a side cannot be halved {steps} times");
            Err(error::config(family, message))
        }
    }
}

/// Pictures to numbers: `[N, C, S, S] -> [N, outputs]`. Convolutions of 4 x 4 with stride 2 and ReLU, then a linear
/// layer.
#[derive(Module, Clone, Debug)]
pub struct ConvEncoder {
    /// Convolutions and activations.
    pub convs: Stack,
    /// To the outputs.
    pub head: Linear,
    channels: usize,
    size: usize,
}

impl ConvEncoder {
    /// With so many outputs, of which a variational autoencoder has twice those of its vector.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &AutoencoderConfig, outputs: usize, init: &mut Init) -> Result<Self> {
        let smallest = config.smallest("autoencoder")?;
        let mut convs = Stack::new();
        let mut inputs = config.channels;
        for &width in &config.widths {
            let options = Conv2dOptions::default().stride(2).padding(1);
            convs.push(Conv2d::new(inputs, width, 4, options, init));
            convs.push(Activation::Relu);
            inputs = width;
        }
        let head = Linear::new(inputs * smallest * smallest, outputs, init);
        Ok(ConvEncoder { convs, head, channels: config.channels, size: config.size })
    }
}

impl Layer for ConvEncoder {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures("autoencoder", x, self.channels);
        let size = self.size;
        demand!(
            x.size(2) == size && x.size(3) == size,
            "autoencoder: needs pictures of {size} x {size}, got shape {}",
            x.shape()
        );
        let features = ctx.within("convs", |ctx| self.convs.forward(x, ctx));
        self.head.forward(&features.flatten(1, -1), ctx)
    }
}

/// A vector to the outputs of a picture: `[N, Z] -> [N, C, S, S]`. A linear layer, then transposed convolutions of
/// 4 x 4 with stride 2, all but the last with ReLU.
#[derive(Module, Clone, Debug)]
pub struct ConvDecoder {
    /// From the vector.
    pub stem: Linear,
    /// Transposed convolutions and activations.
    pub convs: Stack,
    latent: usize,
    smallest: usize,
}

impl ConvDecoder {
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &AutoencoderConfig, init: &mut Init) -> Result<Self> {
        let smallest = config.smallest("autoencoder")?;
        let outputs = config.widths.iter().rev().skip(1).chain([&config.channels]);
        let mut inputs = config.widths[config.widths.len() - 1];
        let stem = Linear::new(config.latent, inputs * smallest * smallest, init);
        let mut convs = Stack::new();
        for &width in outputs {
            convs.push(Activation::Relu);
            let options = ConvTranspose2dOptions::default().stride(2).padding(1);
            convs.push(ConvTranspose2d::new(inputs, width, 4, options, init));
            inputs = width;
        }
        Ok(ConvDecoder { stem, convs, latent: config.latent, smallest })
    }
}

impl Layer for ConvDecoder {
    #[track_caller]
    fn forward(&self, z: &Tensor, ctx: &mut Context) -> Tensor {
        let latent = self.latent;
        demand!(
            z.rank() == 2 && z.size(1) == latent,
            "autoencoder: needs vectors [N, {latent}], got shape {}",
            z.shape()
        );
        let features = self.stem.forward(z, ctx);
        let size = self.smallest as isize;
        let features = features.unflatten(1, &[-1, size, size]);
        ctx.within("convs", |ctx| self.convs.forward(&features, ctx))
    }
}

/// Pictures through a vector and back: `[N, C, S, S] -> [N, C, S, S]`. The outputs are logits or numbers, as the loss
/// takes them: `bce_with_logits` for pictures in 0..=1, `mse_loss` for any. Fed with spoilt pictures and held to the
/// clean ones it removes noise.
///
/// Hinton, Salakhutdinov, "Reducing the dimensionality of data with neural networks", 2006; Vincent et al.,
/// "Extracting and composing robust features with denoising autoencoders", 2008.
///
/// ```
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::generative::{Autoencoder, AutoencoderConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let model =
///     Autoencoder::new(&AutoencoderConfig::new(1, 28), &mut Init::new(Key::new(0), &device))?;
/// let pictures = Tensor::zeros([2, 1, 28, 28], DType::F32, &device);
/// let loss = model.forward(&pictures, &mut Context::eval()).bce_with_logits(&pictures);
/// assert!((loss.item()? - 2f64.ln()).abs() < 0.1);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct Autoencoder {
    /// To the vector.
    pub encoder: ConvEncoder,
    /// From the vector.
    pub decoder: ConvDecoder,
}

impl Autoencoder {
    /// First values as PyTorch's layers have them.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &AutoencoderConfig, init: &mut Init) -> Result<Self> {
        let encoder = ConvEncoder::new(config, config.latent, init)?;
        Ok(Autoencoder { encoder, decoder: ConvDecoder::new(config, init)? })
    }
}

impl Layer for Autoencoder {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let z = ctx.within("encoder", |ctx| self.encoder.forward(x, ctx));
        let z = ctx.tap("vector", &z);
        ctx.within("decoder", |ctx| self.decoder.forward(&z, ctx))
    }
}
