//! [`DcganDiscriminator`]: a picture, and perhaps a label, to one score.
//!
//! Letters: N batch, C channels, S size of pictures.

use super::autoencoder::{WIDTH_MAX, halved};
use super::checks::check_labels;
use super::dcgan::{DEVIATION, DcganConfig, batch_norm, deepest};
use crate::classifier::check_pictures;
use crate::stack::Stack;
use crate::{Result, error};
use gradloom_nn::layers::{Conv2d, Embedding, GroupNorm};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Tensor, demand};

const FAMILY: &str = "dcgan discriminator";

/// What stands after the convolutions of a discriminator, but for the first and the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscriminatorNorm {
    /// Batch norms, as in the paper.
    Batch,
    /// Norms of each sample, as a critic with a gradient penalty needs them: a group norm of one group.
    Sample,
    /// None; the convolutions have biases.
    None,
}

/// How a discriminator takes a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelUse {
    /// The score gets the product of a vector for the class with the features' sum over places. Miyato, Koyama, "cGANs
    /// with projection discriminator", 2018.
    Projection,
    /// A plane of numbers for the class is a further channel of the picture. As Mirza, Osindero, 2014, for
    /// convolutions.
    Channel,
}

/// Sizes of a discriminator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiscriminatorConfig {
    /// Channels of the pictures.
    pub channels: usize,
    /// Height and width of the pictures.
    pub size: usize,
    /// Steps down, each of which halves the size.
    pub steps: usize,
    /// Channels after the first step; twice as many after each further one.
    pub width: usize,
    /// What stands after convolutions.
    pub norm: DiscriminatorNorm,
    /// Number of classes and how a label is taken, if there is one.
    pub classes: Option<(usize, LabelUse)>,
}

impl DiscriminatorConfig {
    /// The counterpart of [`DcganConfig::new`](super::DcganConfig::new): batch norms, no classes.
    pub fn new(channels: usize, size: usize) -> Self {
        let DcganConfig { steps, width, .. } = DcganConfig::new(channels, size);
        let norm = DiscriminatorNorm::Batch;
        DiscriminatorConfig { channels, size, steps, width, norm, classes: None }
    }
}

/// Pictures `[N, C, S, S]` and, where there are classes, labels `[N]` to scores `[N]`, without a sigmoid:
/// convolutions of 4 x 4 with stride 2, norms and leaky ReLU of slope 0.2.
///
/// Names of weights are those of PyTorch's DCGAN tutorial (`main.0.weight`), whose discriminator this is with 64
/// pixels, but for the sigmoid. Radford, Metz, Chintala, 2016.
#[derive(Module, Clone, Debug)]
pub struct DcganDiscriminator {
    /// All layers; the last convolution makes the score.
    pub main: Stack,
    /// A vector, or a plane, of each class.
    pub label: Option<Embedding>,
    #[module(skip)]
    config: DiscriminatorConfig,
}

impl DcganDiscriminator {
    /// Normal first values of deviation 0.02, as in the paper.
    ///
    /// # Errors
    /// If the sizes make no sense.
    pub fn new(config: &DiscriminatorConfig, init: &mut Init) -> Result<Self> {
        let DiscriminatorConfig { channels, size, steps, width, norm, classes } = *config;
        let end = halved(FAMILY, size, steps)?;
        let count = classes.map_or(1, |(count, _)| count);
        if channels == 0 || channels > WIDTH_MAX || count == 0 || count > WIDTH_MAX {
            return Err(error::config(FAMILY, format!("{channels} channels, {count} classes")));
        }
        let deepest = deepest(FAMILY, width, steps)?;
        let mut conv = |inputs, outputs, kernel, options, biased: bool| {
            let mut conv = Conv2d::new(inputs, outputs, kernel, options, init);
            conv.weight = init.normal(*conv.weight.shape(), DEVIATION);
            conv.bias = biased.then(|| init.zeros(outputs));
            conv
        };
        let halving = Conv2dOptions::default().stride(2).padding(1);
        let plane = matches!(classes, Some((_, LabelUse::Channel)));
        let mut inputs = channels + usize::from(plane);
        let mut convs = Vec::new();
        for step in 0..steps {
            let outputs = width << step;
            convs.push(conv(inputs, outputs, 4, halving, norm == DiscriminatorNorm::None));
            inputs = outputs;
        }
        let last = conv(inputs, 1, end, Conv2dOptions::default(), false);
        let mut main = Stack::new();
        for (step, conv) in convs.into_iter().enumerate() {
            main.push(conv);
            match norm {
                DiscriminatorNorm::Batch if step > 0 => main.push(batch_norm(width << step, init)),
                DiscriminatorNorm::Sample if step > 0 => {
                    main.push(GroupNorm::new(1, width << step, init));
                }
                _ => {}
            }
            main.push(Activation::LeakyRelu(0.2));
        }
        main.push(last);
        let label = classes.map(|(count, how)| match how {
            LabelUse::Projection => {
                Embedding::from_weight(init.normal([count, deepest], DEVIATION))
            }
            LabelUse::Channel => Embedding::from_weight(init.normal([count, size * size], 1.0)),
        });
        Ok(DcganDiscriminator { main, label, config: *config })
    }

    /// Scores of pictures, `[N]`.
    ///
    /// # Panics
    /// If shapes do not fit, or labels are missing or not expected.
    #[track_caller]
    #[must_use]
    pub fn forward(&self, x: &Tensor, labels: Option<&Tensor>, ctx: &mut Context) -> Tensor {
        let DiscriminatorConfig { channels, size, classes, .. } = self.config;
        check_pictures(FAMILY, x, channels);
        demand!(
            x.size(2) == size && x.size(3) == size,
            "{FAMILY}: needs pictures of {size} x {size}, got shape {}",
            x.shape()
        );
        check_labels(FAMILY, labels, classes.map(|(count, _)| count), x.size(0));
        let samples = x.size(0);
        let vector = |ctx: &mut Context| match (&self.label, labels) {
            (Some(table), Some(labels)) => Some(table.forward(labels, ctx)),
            _ => None,
        };
        let x = match classes {
            Some((_, LabelUse::Channel)) => match vector(ctx) {
                Some(plane) => Tensor::concat(&[x, &plane.reshape([samples, 1, size, size])], 1),
                None => x.clone(),
            },
            _ => x.clone(),
        };
        let (features, scores) = ctx.within("main", |ctx| self.features_and_scores(&x, ctx));
        match classes {
            Some((_, LabelUse::Projection)) => match vector(ctx) {
                Some(vector) => scores + (features.sum([2, 3]) * vector).sum(1),
                None => scores,
            },
            _ => scores,
        }
    }

    /// What the last convolution reads, and what it makes of it, `[N]`.
    #[track_caller]
    fn features_and_scores(&self, x: &Tensor, ctx: &mut Context) -> (Tensor, Tensor) {
        let mut features = x.clone();
        let mut scores = x.clone();
        for place in 0..self.main.len() {
            let name = place.to_string();
            if let Some(layer) = self.main.get(&name) {
                features = scores;
                scores = crate::stack::run(&name, layer, &features, ctx);
            }
        }
        (features, scores.flatten(0, -1))
    }
}
