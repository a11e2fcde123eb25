//! Networks that make pictures: autoencoders, variational and with quantised vectors, adversarial networks, and
//! diffusion.
//!
//! Whatever draws takes a [`Key`](gradloom_tensor::Key): the same key gives the same bits. Training is a loss like
//! any other; a step of two networks in turn stands in the example `25-gan`.

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

use crate::{Error, Result, error};
use gradloom_tensor::{ErrorKind, Tensor, demand};

/// Refuses a deviation that is not above zero.
fn check_likelihood(family: &'static str, likelihood: Likelihood) -> Result<()> {
    match likelihood {
        Likelihood::Gaussian(deviation) if !(deviation > 0.0 && deviation.is_finite()) => {
            Err(error::config(family, format!("a deviation of {deviation}; it is above zero")))
        }
        _ => Ok(()),
    }
}

/// Refuses a weight of a loss that is negative or not finite.
fn check_weight(family: &'static str, name: &str, weight: f64) -> Result<()> {
    if weight >= 0.0 && weight.is_finite() {
        return Ok(());
    }
    Err(error::config(family, format!("{name} is {weight}; it is a number from zero on")))
}

/// Whether labels `[N]` of so many samples are there where the network has classes, and only there.
fn expect_labels(
    op: &str,
    labels: Option<&Tensor>,
    classes: Option<usize>,
    samples: usize,
) -> Result<()> {
    let message = match (labels, classes) {
        (None, None) => return Ok(()),
        (Some(labels), Some(_)) => {
            let (shape, dtype) = (labels.shape(), labels.dtype());
            if shape == &[samples][..] && dtype.int_range().is_some() {
                return Ok(());
            }
            format!("{op}: needs labels [{samples}] of integers, got {dtype} {shape}")
        }
        (None, Some(classes)) => {
            format!("{op}: made for {classes} classes, but there are no labels")
        }
        (Some(_), None) => format!("{op}: there are labels, but it was made without classes"),
    };
    Err(Error::new(ErrorKind::Shape, message))
}

/// As [`expect_labels`], where a wrong call is the caller's fault.
#[track_caller]
fn check_labels(op: &str, labels: Option<&Tensor>, classes: Option<usize>, samples: usize) {
    let expected = expect_labels(op, labels, classes, samples);
    demand!(expected.is_ok(), "{}", expected.err().map_or_else(String::new, |e| e.to_string()));
}
