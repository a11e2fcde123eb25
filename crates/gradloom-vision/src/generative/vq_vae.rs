//! [`VqVae`]: an autoencoder of pictures whose middle is a grid of codes.
//!
//! Letters: N batch, C channels, S size of pictures, G size of the grid, K codes.

use super::autoencoder::{WIDTH_MAX, halved};
use super::checks::check_weight;
use super::vae::Likelihood;
use super::vector_quantizer::{Quantized, QuantizerConfig, VectorQuantizer};
use crate::classifier::check_pictures;
use crate::stack::Stack;
use crate::{Result, error};
use gradloom_nn::layers::{Conv2d, ConvTranspose2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::{Conv2dOptions, ConvTranspose2dOptions};
use gradloom_tensor::{Tensor, demand};

const FAMILY: &str = "vq_vae";

/// Sizes and losses of a VQ-VAE.
#[derive(Clone, Debug, PartialEq)]
pub struct VqVaeConfig {
    /// Channels of the pictures.
    pub channels: usize,
    /// Height and width of the pictures.
    pub size: usize,
    /// Steps down, each of which halves the size.
    pub steps: usize,
    /// Channels of hidden layers.
    pub width: usize,
    /// Channels inside of residual blocks.
    pub residual_width: usize,
    /// Residual blocks on each side of the codes.
    pub blocks: usize,
    /// The codebook.
    pub quantizer: QuantizerConfig,
    /// Of pictures under the decoder's outputs.
    pub likelihood: Likelihood,
    /// Weight of the quantiser's losses beside the likelihood, which is summed over the pixels of a picture.
    pub weight: f64,
}

impl VqVaeConfig {
    /// The paper's shape, small: two steps down, two residual blocks, 64 channels, and a Bernoulli likelihood.
    pub fn new(channels: usize, size: usize, quantizer: QuantizerConfig) -> Self {
        VqVaeConfig {
            channels,
            size,
            steps: 2,
            width: 64,
            residual_width: 32,
            blocks: 2,
            quantizer,
            likelihood: Likelihood::Bernoulli,
            weight: 100.0,
        }
    }
}

/// What a VQ-VAE minimises; each is a mean over the batch, `[]`.
#[derive(Clone, Debug)]
pub struct VqVaeLoss {
    /// `reconstruction + weight * loss of the quantiser`.
    pub total: Tensor,
    /// `-ln p(x | codes)` in nats per picture.
    pub reconstruction: Tensor,
    /// The grid of codes and the quantiser's own losses.
    pub quantized: Quantized,
}

/// `x + conv1x1(relu(conv3x3(relu(x))))`.
#[derive(Module, Clone, Debug)]
struct ResidualBlock {
    conv1: Conv2d,
    conv2: Conv2d,
}

impl ResidualBlock {
    fn new(width: usize, inner: usize, init: &mut Init) -> Self {
        let padded = Conv2dOptions::default().padding(1);
        ResidualBlock {
            conv1: Conv2d::new(width, inner, 3, padded, init),
            conv2: Conv2d::new(inner, width, 1, Conv2dOptions::default(), init),
        }
    }
}

impl Layer for ResidualBlock {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let inner = self.conv1.forward(&x.relu(), ctx);
        x + self.conv2.forward(&inner.relu(), ctx)
    }
}

/// An autoencoder whose middle is a grid of codes: pictures `[N, C, S, S]` to codes `[N, G, G]` and back. What codes
/// are likely to stand together is learnt apart, for instance by [`PixelCnn`](super::PixelCnn), which then draws new
/// grids.
///
/// van den Oord, Vinyals, Kavukcuoglu, "Neural discrete representation learning", 2017.
#[derive(Module, Clone, Debug)]
pub struct VqVae {
    /// Strided convolutions, residual blocks, and a convolution to the size of codes.
    pub encoder: Stack,
    /// The codebook.
    pub quantizer: VectorQuantizer,
    /// The way back.
    pub decoder: Stack,
    #[module(skip)]
    config: VqVaeConfig,
}

impl VqVae {
    /// First values as PyTorch's layers have them.
    ///
    /// # Errors
    /// If sizes or rates make no sense.
    pub fn new(config: &VqVaeConfig, init: &mut Init) -> Result<Self> {
        let VqVaeConfig { channels, size, steps, width, residual_width, blocks, .. } = *config;
        halved(FAMILY, size, steps)?;
        let least = [channels, steps, width, residual_width].into_iter().min();
        let widest = [channels, width, residual_width, blocks].into_iter().max();
        if least == Some(0) || widest > Some(WIDTH_MAX) {
            let message = format!(
                "{channels} channels, {steps} steps, widths {width} and {residual_width}, {blocks} blocks"
            );
            return Err(error::config(FAMILY, message));
        }
        config.likelihood.check(FAMILY)?;
        check_weight(FAMILY, "weight", config.weight)?;
        let quantizer = VectorQuantizer::new(&config.quantizer, init)?;
        let padded = Conv2dOptions::default().padding(1);
        let mut encoder = Stack::new();
        for step in 0..steps {
            let inputs = if step == 0 { channels } else { width };
            encoder.push(Conv2d::new(inputs, width, 4, padded.stride(2), init));
            encoder.push(Activation::Relu);
        }
        encoder.push(Conv2d::new(width, width, 3, padded, init));
        for _ in 0..blocks {
            encoder.push(ResidualBlock::new(width, residual_width, init));
        }
        encoder.push(Activation::Relu);
        let code_size = config.quantizer.size;
        encoder.push(Conv2d::new(width, code_size, 1, Conv2dOptions::default(), init));

        let mut decoder = Stack::new();
        decoder.push(Conv2d::new(code_size, width, 3, padded, init));
        for _ in 0..blocks {
            decoder.push(ResidualBlock::new(width, residual_width, init));
        }
        for step in 0..steps {
            let outputs = if step + 1 == steps { channels } else { width };
            let options = ConvTranspose2dOptions::default().stride(2).padding(1);
            decoder.push(Activation::Relu);
            decoder.push(ConvTranspose2d::new(width, outputs, 4, options, init));
        }
        Ok(VqVae { encoder, quantizer, decoder, config: config.clone() })
    }

    /// Height and width of the grid of codes.
    pub fn grid(&self) -> usize {
        self.config.size >> self.config.steps
    }

    /// The vectors before they are quantised, `[N, D, G, G]`.
    #[track_caller]
    fn features(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(FAMILY, x, self.config.channels);
        let size = self.config.size;
        demand!(
            x.size(2) == size && x.size(3) == size,
            "{FAMILY}: needs pictures of {size} x {size}, got shape {}",
            x.shape()
        );
        ctx.within("encoder", |ctx| self.encoder.forward(x, ctx))
    }

    /// The loss of a batch; in training the context gets the codebook's next value.
    #[track_caller]
    #[must_use]
    pub fn loss(&self, x: &Tensor, ctx: &mut Context) -> VqVaeLoss {
        let z = self.features(x, ctx);
        let quantized = self.quantizer.forward(&z, ctx);
        let outputs = ctx.within("decoder", |ctx| self.decoder.forward(&quantized.vectors, ctx));
        let reconstruction = self.config.likelihood.negative_log(&outputs, x).mean(..);
        let total = &reconstruction + &quantized.loss * self.config.weight;
        VqVaeLoss { total, reconstruction, quantized }
    }

    /// The codes of pictures, `[N, G, G]`, i32.
    #[track_caller]
    #[must_use]
    pub fn encode(&self, x: &Tensor) -> Tensor {
        self.quantizer.encode(&self.features(x, &mut Context::eval()))
    }

    /// Means of the pictures of codes: integers `[N, G, G] -> [N, C, S, S]`.
    #[track_caller]
    #[must_use]
    pub fn decode(&self, codes: &Tensor) -> Tensor {
        let outputs = self.decoder.forward(&self.quantizer.embed(codes), &mut Context::eval());
        self.config.likelihood.mean(&outputs)
    }
}
