//! Networks that make pictures: autoencoders, variational and with quantised vectors, adversarial networks, and
//! diffusion.
//!
//! Whatever draws takes a [`Key`](gradloom_tensor::Key): the same key gives the same bits. Training is a loss like
//! any other; a step of two networks in turn stands in the example `25-gan`.

mod checks;
mod autoencoder;
mod vae;

mod vector_quantizer;
mod vq_vae;
mod pixel_cnn;

mod adversarial;
mod dcgan;
mod discriminator;

mod noise_schedule;
mod denoiser;
mod ddpm;
mod diffusion_blocks;
mod diffusion_unet;
mod diffusers;

pub use adversarial::{CriticLoss, GanLoss, WganGp, gradient_penalty};
pub use autoencoder::{Autoencoder, AutoencoderConfig, ConvDecoder, ConvEncoder};
pub use dcgan::{DcganConfig, DcganGenerator};
pub use ddpm::{Ddpm, DrawOptions, Sampler};
pub use denoiser::{Denoiser, Prediction};
pub use diffusion_unet::{DiffusionUNet, DiffusionUNetConfig};
pub use discriminator::{DcganDiscriminator, DiscriminatorConfig, DiscriminatorNorm, LabelUse};
pub use noise_schedule::NoiseSchedule;
pub use pixel_cnn::{PixelCnn, PixelCnnConfig};
pub use vae::{Likelihood, Posterior, Vae, VaeConfig, VaeLoss, kl_to_standard_normal};
pub use vector_quantizer::{Quantized, QuantizerConfig, VectorQuantizer};
pub use vq_vae::{VqVae, VqVaeConfig, VqVaeLoss};
