//! [`Ddpm`]: noise into pictures, step by step, and the way back, with noise in each step or with little or none.
//!
//! Letters: N batch, C channels, H and W sizes, T steps, `a` the `alpha_bar` of a step, `b` that of the one before.

use super::denoiser::{Denoiser, Prediction};
use super::noise_schedule::NoiseSchedule;
use crate::{Error, Result};
use gradloom_nn::{Context, ModuleExt};
use gradloom_tensor::{DType, Device, Key, Tensor, commit, demand};

/// How a picture is drawn from noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sampler {
    /// So many steps with fresh noise in each. Ho, Jain, Abbeel, 2020.
    Ancestral(usize),
    /// So many steps; `eta` is the share of fresh noise: 0 none, so that the first noise decides all, 1 as much as
    /// [`Ancestral`](Sampler::Ancestral). Song, Meng, Ermon, "Denoising diffusion implicit models", 2021.
    Ddim {
        /// How many steps.
        steps: usize,
        /// Share of fresh noise.
        eta: f64,
    },
}

/// What is drawn.
#[derive(Clone, Copy, Debug)]
pub struct DrawOptions<'a> {
    /// How.
    pub sampler: Sampler,
    /// A class for each picture, `[N]`, where there are classes.
    pub labels: Option<&'a Tensor>,
    /// `s` in `none + s (label - none)` of the predictions without and with the label: 1 leaves it as it is, more
    /// makes pictures more typical and less various. Ho, Salimans, "Classifier-free diffusion guidance", 2022, whose w
    /// is `s - 1`.
    pub guidance: f64,
}

impl DrawOptions<'_> {
    /// Fifty steps without fresh noise, without labels.
    pub fn new() -> Self {
        DrawOptions { sampler: Sampler::Ddim { steps: 50, eta: 0.0 }, labels: None, guidance: 1.0 }
    }
}

impl Default for DrawOptions<'_> {
    fn default() -> Self {
        DrawOptions::new()
    }
}

/// A denoising diffusion: the schedule, and what its network predicts.
///
/// Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020.
///
/// ```
/// use gradloom_nn::{Context, Init};
/// use gradloom_tensor::{DType, Key, Tensor};
/// use gradloom_vision::generative::{
///     Ddpm, DiffusionUNet, DiffusionUNetConfig, DrawOptions, NoiseSchedule, Sampler,
/// };
///
/// # fn main() -> gradloom_tensor::Result<()> {
/// # let device = gradloom_cpu::device();
/// let config = DiffusionUNetConfig { widths: vec![8, 16], ..DiffusionUNetConfig::new(1) };
/// let config = config.groups(4).classes(10);
/// let model = DiffusionUNet::new(&config, &mut Init::new(Key::new(0), &device))?;
/// let ddpm = Ddpm::new(NoiseSchedule::cosine(100)?);
///
/// let pictures = Tensor::zeros([4, 1, 8, 8], DType::F32, &device);
/// let labels = Tensor::new([0, 1, 2, 3], &device)?;
/// let loss = ddpm.loss(&model, &pictures, Some(&labels), &mut Context::train(Key::new(1)))?;
/// assert!((loss.item()? - 1.0).abs() < 0.3); // nothing learnt: the variance of the noise
///
/// let options = DrawOptions {
///     sampler: Sampler::Ddim { steps: 4, eta: 0.0 },
///     labels: Some(&labels),
///     guidance: 2.0,
/// };
/// let drawn = ddpm.sample(&model, [4, 1, 8, 8], &options, Key::new(2), &device)?;
/// assert_eq!(drawn.shape(), &[4, 1, 8, 8]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ddpm {
    schedule: NoiseSchedule,
    prediction: Prediction,
    clip: Option<f64>,
    unlabelled: f64,
}

impl Ddpm {
    /// Of a network that predicts the noise; pictures lie in -1..=1, and are held there while they are drawn.
    pub fn new(schedule: NoiseSchedule) -> Self {
        Ddpm { schedule, prediction: Prediction::Noise, clip: Some(1.0), unlabelled: 0.1 }
    }

    /// Sets what the network predicts.
    #[must_use]
    pub fn prediction(mut self, prediction: Prediction) -> Self {
        self.prediction = prediction;
        self
    }

    /// Sets within which bound predicted pictures are held while drawing, if any. diffusers: `clip_sample_range`.
    #[must_use]
    pub fn clip(mut self, bound: Option<f64>) -> Self {
        self.clip = bound;
        self
    }

    /// Sets with which probability a label is left out in training, so that there can be guidance: 0.1.
    #[must_use]
    pub fn unlabelled(mut self, share: f64) -> Self {
        self.unlabelled = share;
        self
    }

    /// The schedule.
    pub fn schedule(&self) -> &NoiseSchedule {
        &self.schedule
    }

    /// `a` of steps `[N]`, as `[N, 1, 1, 1]` in this dtype.
    fn alpha_bars(&self, steps: &Tensor, dtype: DType) -> Result<Tensor> {
        let all = self.schedule.alpha_bars().to_vec();
        let table = match dtype {
            DType::F64 => Tensor::from_vec(all, self.schedule.steps(), steps.device())?,
            _ => {
                let all: Vec<f32> = all.into_iter().map(|a| a as f32).collect();
                Tensor::from_vec(all, self.schedule.steps(), steps.device())?
            }
        };
        Ok(table.take(0, steps).reshape([steps.count(), 1, 1, 1]))
    }

    /// Pictures with the noise of their steps `[N]`: `sqrt(a) picture + sqrt(1 - a) noise`.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn noised(&self, pictures: &Tensor, noise: &Tensor, steps: &Tensor) -> Result<Tensor> {
        let a = self.alpha_bars(steps, pictures.dtype().compute())?;
        Ok(noised(&pictures.wide(), &noise.wide(), &a).cast(pictures.dtype()))
    }

    /// What the network is held to for pictures with noise after steps `[N]`.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn target(&self, pictures: &Tensor, noise: &Tensor, steps: &Tensor) -> Result<Tensor> {
        let a = self.alpha_bars(steps, pictures.dtype().compute())?;
        let target = self.prediction.target(&pictures.wide(), &noise.wide(), &a);
        Ok(target.cast(pictures.dtype()))
    }

    /// The mean squared error of a batch of pictures `[N, C, H, W]`, `[]`: steps, noise, and whether a label is left
    /// out are drawn by the context's next keys.
    ///
    /// # Errors
    /// If the share of left out labels is no probability, or the device fails.
    ///
    /// # Panics
    /// If shapes do not fit, or labels are missing or not expected.
    #[track_caller]
    pub fn loss(
        &self,
        model: &impl Denoiser,
        pictures: &Tensor,
        labels: Option<&Tensor>,
        ctx: &mut Context,
    ) -> Result<Tensor> {
        let (count, device) = (pictures.size(0), pictures.device());
        if !(0.0..=1.0).contains(&self.unlabelled) {
            let message = format!("ddpm: a share of {} without labels", self.unlabelled);
            return Err(Error::invalid(message));
        }
        let last = i32::try_from(self.schedule.steps()).unwrap_or(i32::MAX);
        let steps = Tensor::randint(ctx.key(), [count], 0, last, device);
        let noise = pictures.randn_like(ctx.key());
        let labels = match (labels, model.no_label()) {
            (Some(labels), Some(none)) if self.unlabelled > 0.0 => {
                let left_out = Tensor::bernoulli(ctx.key(), [count], self.unlabelled, device);
                Some(left_out.select(none, labels.cast(DType::I32)))
            }
            (labels, _) => labels.cloned(),
        };
        let x = self.noised(pictures, &noise, &steps)?;
        let predicted = model.denoise(&x, &steps, labels.as_ref(), ctx);
        Ok(predicted.wide().mse_loss(&self.target(pictures, &noise, &steps)?.wide()))
    }

    /// `a` of a step and `b` of the one before; before the first there is no noise.
    #[track_caller]
    fn pair(&self, step: usize, before: Option<usize>) -> (f64, f64) {
        demand!(
            before.is_none_or(|before| before < step),
            "ddpm: from step {step} to {before:?}, which is not before it"
        );
        (
            self.schedule.alpha_bar(step),
            before.map_or(1.0, |before| self.schedule.alpha_bar(before)),
        )
    }

    /// The picture that a prediction means, within the bound.
    fn picture(&self, x: &Tensor, predicted: &Tensor, a: f64) -> Tensor {
        let picture = self.prediction.picture(x, predicted, a);
        self.clip.map_or(picture.clone(), |bound| picture.clamp(-bound, bound))
    }

    /// From a step to one before it, or to the picture: the mean of the posterior and noise with its deviation.
    /// diffusers: `DDPMScheduler.step` with `variance_type="fixed_small"`.
    ///
    /// # Panics
    /// If there is no such step, or the other is not before it.
    #[track_caller]
    #[must_use]
    pub fn ancestral_step(
        &self,
        x: &Tensor,
        predicted: &Tensor,
        noise: &Tensor,
        step: usize,
        before: Option<usize>,
    ) -> Tensor {
        let (a, b) = self.pair(step, before);
        let kept = a / b;
        let picture = self.picture(x, predicted, a);
        let mean = picture * (b.sqrt() * (1.0 - kept) / (1.0 - a))
            + x * (kept.sqrt() * (1.0 - b) / (1.0 - a));
        match before {
            Some(_) => mean + noise * ((1.0 - b) / (1.0 - a) * (1.0 - kept)).sqrt(),
            None => mean,
        }
    }

    /// From a step to one before it, or to the picture, with a share `eta` of fresh noise. Where the predicted picture
    /// was held within the bound, the noise in `x` is what the rest of it leaves. diffusers: `DDIMScheduler.step` with
    /// `use_clipped_model_output=True`.
    ///
    /// # Panics
    /// If there is no such step, or the other is not before it.
    #[track_caller]
    #[must_use]
    pub fn ddim_step(
        &self,
        x: &Tensor,
        predicted: &Tensor,
        noise: &Tensor,
        eta: f64,
        step: usize,
        before: Option<usize>,
    ) -> Tensor {
        let (a, b) = self.pair(step, before);
        let picture = self.picture(x, predicted, a);
        let within = (x - &picture * a.sqrt()) * (1.0 / (1.0 - a).sqrt());
        let deviation = eta * ((1.0 - b) / (1.0 - a) * (1.0 - a / b)).sqrt();
        let along = (1.0 - b - deviation * deviation).max(0.0).sqrt();
        let next = picture * b.sqrt() + within * along;
        if eta > 0.0 { next + noise * deviation } else { next }
    }

    /// Draws pictures `[N, C, H, W]`. The same key gives the same bits.
    ///
    /// # Errors
    /// If there are no steps or more than the schedule has, eta is no share, guidance is asked of a network without
    /// labels, labels do not fit, or the device fails.
    pub fn sample(
        &self,
        model: &impl Denoiser,
        shape: [usize; 4],
        options: &DrawOptions,
        key: Key,
        device: &Device,
    ) -> Result<Tensor> {
        let (count, eta) = match options.sampler {
            Sampler::Ancestral(count) => (count, None),
            Sampler::Ddim { steps, eta } => (steps, Some(eta)),
        };
        if eta.is_some_and(|eta| !(0.0..=1.0).contains(&eta)) || !options.guidance.is_finite() {
            let message = format!("ddpm: eta {eta:?} and guidance {}", options.guidance);
            return Err(Error::invalid(message));
        }
        let dtype = model.parameters().first().map_or(DType::F32, |(_, weight)| weight.dtype());
        let steps = self.schedule.spaced(count)?;
        let normal = |index| Tensor::normal(key.fold(index), shape, 0.0, 1.0, device).cast(dtype);
        let mut x = normal(0);
        for (place, &step) in steps.iter().enumerate() {
            let before = steps.get(place + 1).copied();
            let predicted = guided(model, &x, step, options)?;
            let noise = normal(1 + step as u32);
            x = match eta {
                None => self.ancestral_step(&x, &predicted, &noise, step, before),
                Some(eta) => self.ddim_step(&x, &predicted, &noise, eta, step, before),
            };
            // No gradient goes back through a drawing.
            x = x.detach();
            commit(&mut x)?;
        }
        Ok(x)
    }
}

/// `sqrt(a) picture + sqrt(1 - a) noise`
fn noised(pictures: &Tensor, noise: &Tensor, a: &Tensor) -> Tensor {
    a.sqrt() * pictures + (a.neg() + 1.0).sqrt() * noise
}

/// The prediction at one step, of both kinds in one batch where there is guidance.
fn guided(model: &impl Denoiser, x: &Tensor, step: usize, options: &DrawOptions) -> Result<Tensor> {
    let count = x.size(0);
    let at = |count: usize| Tensor::full([count], step as i64, DType::I32, x.device());
    let ctx = &mut Context::eval();
    if options.guidance == 1.0 {
        return Ok(model.denoise(x, &at(count), options.labels, ctx));
    }
    let (Some(labels), Some(none)) = (options.labels, model.no_label()) else {
        let message =
            "ddpm: guidance without labels; give labels to a network that knows a label for none";
        return Err(Error::invalid(message));
    };
    let labels = labels.cast(DType::I32);
    let labels = Tensor::concat(&[&labels, &labels.full_like(none)], 0);
    let both = model.denoise(&Tensor::concat(&[x, x], 0), &at(2 * count), Some(&labels), ctx);
    let (with, without) = (both.narrow(0, 0, count), both.narrow(0, count, count));
    Ok(&without + (with - &without) * options.guidance)
}
