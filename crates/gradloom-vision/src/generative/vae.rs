//! [`Vae`]: an autoencoder whose vector is a distribution, so that new pictures can be drawn.
//!
//! Letters: N batch, C channels, S size of pictures, Z the vector.

use super::autoencoder::{AutoencoderConfig, ConvDecoder, ConvEncoder};
use super::checks::check_weight;
use crate::{Result, error};
use gradloom_nn::losses::{BceOptions, LossReduction, bce_with_logits};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::{Called, DType, Device, Key, Tensor, demand};

/// How likely a picture is under the outputs of a decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Likelihood {
    /// Each pixel is on with probability `sigmoid(output)`, independently; pictures lie in 0..=1.
    Bernoulli,
    /// Each pixel is normal around the output with this deviation; `1 / sqrt(2)` makes it the squared error and a
    /// constant.
    Gaussian(f64),
}

impl Likelihood {
    /// `-ln p(x | outputs)` in nats, summed over each sample: `[N, ..]` twice `-> [N]`.
    ///
    /// # Panics
    /// If shapes or dtypes differ, or a deviation is not above zero.
    #[track_caller]
    #[must_use]
    pub fn negative_log(self, outputs: &Tensor, x: &Tensor) -> Tensor {
        let _called = Called::op("negative_log");
        let (output, target) = (outputs.shape(), x.shape());
        demand!(
            output == target && x.rank() > 0,
            "negative_log: outputs {output}, but pictures {target}"
        );
        let each = match self {
            Likelihood::Bernoulli => {
                let options =
                    BceOptions { reduction: LossReduction::None, ..BceOptions::default() };
                bce_with_logits(&outputs.wide(), &x.wide(), &options)
            }
            Likelihood::Gaussian(deviation) => {
                demand!(deviation > 0.0, "negative_log: a deviation of {deviation}");
                let constant = deviation.ln() + 0.5 * std::f64::consts::TAU.ln();
                ((outputs.wide() - x.wide()) * (1.0 / deviation)).square() * 0.5 + constant
            }
        };
        each.reshape([x.size(0) as isize, -1]).sum(1)
    }

    /// Refuses a deviation that is not above zero.
    pub(super) fn check(self, family: &'static str) -> Result<()> {
        match self {
            Likelihood::Gaussian(deviation) if !(deviation > 0.0 && deviation.is_finite()) => {
                let message = format!("a deviation of {deviation}; it is above zero");
                Err(error::config(family, message))
            }
            _ => Ok(()),
        }
    }

    /// The mean of each pixel.
    #[must_use]
    pub fn mean(self, outputs: &Tensor) -> Tensor {
        match self {
            Likelihood::Bernoulli => outputs.sigmoid(),
            Likelihood::Gaussian(_) => outputs.clone(),
        }
    }
}

/// `KL(N(mean, exp(log_variance)) || N(0, 1))` in nats, summed over each sample: `[N, Z]` twice `-> [N]`, that is
/// `1/2 sum(mean^2 + exp(log_variance) - log_variance - 1)`.
///
/// # Panics
/// If shapes differ.
#[track_caller]
#[must_use]
pub fn kl_to_standard_normal(mean: &Tensor, log_variance: &Tensor) -> Tensor {
    let _called = Called::op("kl_to_standard_normal");
    let (left, right) = (mean.shape(), log_variance.shape());
    demand!(left == right, "kl_to_standard_normal: means {left}, but variances {right}");
    let (mean, log_variance) = (mean.wide(), log_variance.wide());
    ((mean.square() + log_variance.exp() - log_variance - 1.0) * 0.5).sum(-1)
}

/// The distribution that an encoder gives a picture's vector: normal, each element by itself.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// `[N, Z]`
    pub mean: Tensor,
    /// `[N, Z]`
    pub log_variance: Tensor,
}

impl Posterior {
    /// A draw `mean + deviation * noise`, through which gradients flow to both: the reparameterisation. The same key
    /// gives the same bits.
    #[track_caller]
    #[must_use]
    pub fn sample(&self, key: Key) -> Tensor {
        self.at(&self.mean.randn_like(key))
    }

    /// The draw of this noise.
    #[track_caller]
    #[must_use]
    pub fn at(&self, noise: &Tensor) -> Tensor {
        &self.mean + (&self.log_variance * 0.5).exp() * noise
    }

    /// How far it is from the prior, `[N]`.
    #[track_caller]
    #[must_use]
    pub fn kl(&self) -> Tensor {
        kl_to_standard_normal(&self.mean, &self.log_variance)
    }
}

/// What a variational autoencoder minimises, in nats per picture; each is a mean over the batch, `[]`.
#[derive(Clone, Debug)]
pub struct VaeLoss {
    /// `reconstruction + beta * kl`: with beta 1 the negative of the evidence lower bound.
    pub total: Tensor,
    /// `-ln p(x | z)` of one draw of z.
    pub reconstruction: Tensor,
    /// How far posteriors are from the prior.
    pub kl: Tensor,
}

/// Sizes and losses of a variational autoencoder.
#[derive(Clone, Debug, PartialEq)]
pub struct VaeConfig {
    /// Sizes of the encoder and the decoder.
    pub network: AutoencoderConfig,
    /// Of pictures under the decoder's outputs.
    pub likelihood: Likelihood,
    /// Weight of the divergence: above one for elements that mean one thing each (Higgins et al., "beta-VAE", 2017).
    pub beta: f64,
}

impl VaeConfig {
    /// Bernoulli, beta 1.
    pub fn new(network: AutoencoderConfig) -> Self {
        VaeConfig { network, likelihood: Likelihood::Bernoulli, beta: 1.0 }
    }
}

/// A variational autoencoder of pictures `[N, C, S, S]` with a standard normal prior.
///
/// Kingma, Welling, "Auto-encoding variational Bayes", 2014.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::generative::{AutoencoderConfig, Vae, VaeConfig};
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = VaeConfig::new(AutoencoderConfig::new(1, 28));
/// let model = Vae::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let pictures = Tensor::zeros([8, 1, 28, 28], DType::F32, &device);
/// let loss = model.loss(&pictures, &mut Context::train(Key::new(1)));
/// assert!(loss.total.item()? > 0.0);
/// let drawn = model.sample(4, Key::new(2), &device);
/// assert_eq!(drawn.shape(), &[4, 1, 28, 28]);
/// # Ok(())
/// # }
/// ```
#[derive(Module, Clone, Debug)]
pub struct Vae {
    /// To means and logarithms of variances, side by side.
    pub encoder: ConvEncoder,
    /// From a vector to what the likelihood takes.
    pub decoder: ConvDecoder,
    #[module(skip)]
    likelihood: Likelihood,
    latent: usize,
    beta: f64,
}

impl Vae {
    /// First values as PyTorch's layers have them.
    ///
    /// # Errors
    /// If the sizes make no sense, beta is negative or a deviation is not above zero.
    pub fn new(config: &VaeConfig, init: &mut Init) -> Result<Self> {
        let VaeConfig { network, likelihood, beta } = config;
        likelihood.check("vae")?;
        check_weight("vae", "beta", *beta)?;
        Ok(Vae {
            encoder: ConvEncoder::new(network, 2 * network.latent, init)?,
            decoder: ConvDecoder::new(network, init)?,
            likelihood: *likelihood,
            latent: network.latent,
            beta: *beta,
        })
    }

    /// The posterior of each picture.
    #[track_caller]
    #[must_use]
    pub fn encode(&self, x: &Tensor, ctx: &mut Context) -> Posterior {
        let both = ctx.within("encoder", |ctx| self.encoder.forward(x, ctx));
        let [mean, log_variance] =
            [0, 1].map(|part| both.narrow(1, part * self.latent, self.latent));
        Posterior {
            mean: ctx.tap("mean", &mean),
            log_variance: ctx.tap("log_variance", &log_variance),
        }
    }

    /// The outputs of vectors `[N, Z]`: logits for Bernoulli pixels, else their means.
    #[track_caller]
    #[must_use]
    pub fn decode(&self, z: &Tensor, ctx: &mut Context) -> Tensor {
        ctx.within("decoder", |ctx| self.decoder.forward(z, ctx))
    }

    /// The loss of a batch, with one draw from each posterior by the context's next key. Outside training it draws as
    /// well, since the bound is a mean over draws; an evaluation's key is always the same.
    #[track_caller]
    #[must_use]
    pub fn loss(&self, x: &Tensor, ctx: &mut Context) -> VaeLoss {
        let posterior = self.encode(x, ctx);
        let z = posterior.sample(ctx.key());
        self.loss_at(x, &posterior, &z, ctx)
    }

    /// The loss of a batch at these vectors.
    #[track_caller]
    #[must_use]
    pub fn loss_at(
        &self,
        x: &Tensor,
        posterior: &Posterior,
        z: &Tensor,
        ctx: &mut Context,
    ) -> VaeLoss {
        let outputs = self.decode(z, ctx);
        let reconstruction = self.likelihood.negative_log(&outputs, x).mean(..);
        let kl = posterior.kl().mean(..);
        VaeLoss { total: &reconstruction + &kl * self.beta, reconstruction, kl }
    }

    /// Pictures through the means of their posteriors and back.
    #[track_caller]
    #[must_use]
    pub fn reconstruct(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let z = self.encode(x, ctx).mean;
        self.likelihood.mean(&self.decode(&z, ctx))
    }

    /// Means of pictures of vectors from the prior, `[count, C, S, S]`. The same key gives the same bits.
    #[track_caller]
    #[must_use]
    pub fn sample(&self, count: usize, key: Key, device: &Device) -> Tensor {
        let z = Tensor::normal(key, [count, self.latent], 0.0, 1.0, device);
        let z = z.cast(self.decoder.stem.weight.dtype());
        self.likelihood.mean(&self.decode(&z, &mut Context::eval()))
    }

    /// Size of the vector.
    pub fn latent(&self) -> usize {
        self.latent
    }

    /// Of pictures under the decoder's outputs.
    pub fn likelihood(&self) -> Likelihood {
        self.likelihood
    }

    /// Dtype of its weights.
    pub fn dtype(&self) -> DType {
        self.decoder.stem.weight.dtype()
    }
}
