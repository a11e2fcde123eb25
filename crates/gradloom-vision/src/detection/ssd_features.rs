//! [`SsdFeatures`]: VGG-16 until its fourth stage, and further convolutions down to one place.

use crate::blocks::strided;
use crate::stack::{Stack, run};
use crate::{Error, Result, error};
use gradloom_nn::layers::{Conv2d, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Pictures `[N, 3, H, W]` -> six feature maps, the finest first.
///
/// torchvision: `models.detection.ssd.SSDFeatureExtractorVGG`.
#[derive(Module, Clone, Debug)]
pub(crate) struct SsdFeatures {
    /// What the first map's channels, brought to length one, are multiplied with.
    scale_weight: Parameter,
    features: Stack,
    extra: Vec<Stack>,
    #[module(skip)]
    channels: Vec<usize>,
}

/// Pixels along the shorter side, so that the last feature map has a place.
const SIDE_MIN: usize = 268;

/// VGG's own first values: the original's are those of ImageNet, and Xavier's where it has none.
fn conv(channels: [usize; 2], kernel: usize, options: Conv2dOptions, init: &mut Init) -> Conv2d {
    let mut conv = Conv2d::new(channels[0], channels[1], kernel, options, init);
    let fans = (kernel * kernel * (channels[0] + channels[1])) as f64;
    conv.weight = init.uniform(*conv.weight.shape(), (6.0 / fans).sqrt());
    conv.bias = Some(init.zeros(channels[1]));
    conv
}

impl SsdFeatures {
    /// Feature maps.
    pub(crate) const MAPS: usize = 6;

    pub(crate) fn new(stages: &[Vec<usize>; 5], init: &mut Init) -> Result<Self> {
        if stages.iter().any(|stage| stage.is_empty() || stage.contains(&0)) {
            let message =
                format!("stages of {stages:?} channels; give each at least one convolution");
            return Err(error::config("ssd", message));
        }
        let (mut features, mut last, mut inputs) = (Stack::new(), Stack::new(), 3);
        for (index, stage) in stages.iter().enumerate() {
            let layers = if index < 4 { &mut features } else { &mut last };
            if index > 0 {
                // The third pooling keeps a last window that reaches out: 75 places become 38.
                layers.push(MaxPool2d::with_options(PoolOptions::new(2).ceil_mode(index == 3)));
            }
            for &outputs in stage {
                let mut layer = conv([inputs, outputs], 3, strided(3, 1), init);
                let deviation = (2.0 / (9 * outputs) as f64).sqrt();
                layer.weight = init.normal(*layer.weight.shape(), deviation);
                layers.push(layer);
                layers.push(Activation::Relu);
                inputs = outputs;
            }
        }
        let first = stages[3].last().copied().unwrap_or(0);
        let mut dense = Stack::new();
        dense.push(MaxPool2d::with_options(PoolOptions::new(3).stride(1).padding(1)));
        let dilated = Conv2dOptions::default().padding(6).dilation(6);
        dense.push(conv([inputs, 1024], 3, dilated, init));
        dense.push(Activation::Relu);
        dense.push(conv([1024, 1024], 1, Conv2dOptions::default(), init));
        dense.push(Activation::Relu);
        last.push(dense);
        let (mut extra, mut channels) = (vec![last], vec![first, 1024]);
        let (halving, plain) = (strided(3, 2), Conv2dOptions::default());
        for (inputs, middle, outputs, options) in [
            (1024, 256, 512, halving),
            (512, 128, 256, halving),
            (256, 128, 256, plain),
            (256, 128, 256, plain),
        ] {
            let mut layers = Stack::new();
            layers.push(conv([inputs, middle], 1, plain, init));
            layers.push(Activation::Relu);
            layers.push(conv([middle, outputs], 3, options, init));
            layers.push(Activation::Relu);
            extra.push(layers);
            channels.push(outputs);
        }
        Ok(SsdFeatures { scale_weight: init.full(first, 20.0), features, extra, channels })
    }

    /// Channels of each feature map.
    pub(crate) fn channels(&self) -> Vec<usize> {
        self.channels.clone()
    }

    /// The feature maps.
    pub(crate) fn maps(&self, x: &Tensor, ctx: &mut Context) -> Result<Vec<Tensor>> {
        // Halved five times, five places are left for two convolutions without padding.
        if x.size(2).min(x.size(3)) < SIDE_MIN {
            let message = format!("the last feature maps need {SIDE_MIN} pixels a side");
            return Err(Error::invalid(format!("ssd: {message}, got {}", x.shape())));
        }
        let mut x = run("features", &self.features, x, ctx);
        // Clamped before the root, whose derivative at zero is infinite.
        let length = x.square().sum_keepdim(1).clamp(1e-24, f64::INFINITY).sqrt();
        let channels = self.scale_weight.count();
        let scale = self.scale_weight.reshape([1, channels, 1, 1]);
        let mut maps = vec![&x / length * scale];
        ctx.within("extra", |ctx| {
            for (index, layers) in self.extra.iter().enumerate() {
                x = run(&index.to_string(), layers, &x, ctx);
                maps.push(x.clone());
            }
        });
        Ok(maps)
    }
}
