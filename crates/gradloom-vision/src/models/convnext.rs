//! [`ConvNeXt`]: depthwise convolutions of seven by seven with the norms and activations of transformers, as
//! torchvision has them.

use crate::blocks::{ChannelNorm, StochasticDepth, normal_linear};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{Conv2d, LayerNorm, Linear};
use gradloom_nn::{Context, Init, Layer, Module, Parameter};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;

/// Sizes of a ConvNeXt.
#[derive(Clone, Debug, PartialEq)]
pub struct ConvNeXtConfig {
    /// Channels of each stage.
    pub channels: [usize; 4],
    /// Blocks of each stage.
    pub blocks: [usize; 4],
    /// Stochastic depth of the last block; earlier ones have less.
    pub stochastic_depth: f64,
    /// What branches are multiplied with at first.
    pub layer_scale: f64,
    /// Number of classes.
    pub classes: usize,
}

impl ConvNeXtConfig {
    fn of(channels: [usize; 4], blocks: [usize; 4], stochastic_depth: f64) -> Self {
        ConvNeXtConfig { channels, blocks, stochastic_depth, layer_scale: 1e-6, classes: 1000 }
    }

    /// ConvNeXt-T.
    pub fn tiny() -> Self {
        ConvNeXtConfig::of([96, 192, 384, 768], [3, 3, 9, 3], 0.1)
    }

    /// ConvNeXt-S.
    pub fn small() -> Self {
        ConvNeXtConfig::of([96, 192, 384, 768], [3, 3, 27, 3], 0.4)
    }

    /// ConvNeXt-B.
    pub fn base() -> Self {
        ConvNeXtConfig::of([128, 256, 512, 1024], [3, 3, 27, 3], 0.5)
    }

    /// ConvNeXt-L.
    pub fn large() -> Self {
        ConvNeXtConfig::of([192, 384, 768, 1536], [3, 3, 27, 3], 0.5)
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// A ConvNeXt: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `features.1`, `features.3`, `features.5` and
/// `features.7`.
///
/// torchvision: `convnext_tiny` to `convnext_large`. Liu et al., "A ConvNet for the 2020s", 2022.
#[derive(Module, Clone, Debug)]
pub struct ConvNeXt {
    /// To `[N, C, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Head,
}

/// The norm and the linear layer at the end.
#[derive(Module, Clone, Debug)]
pub struct Head {
    #[module(rename = "0")]
    norm: ChannelNorm,
    #[module(rename = "2")]
    linear: Linear,
}

/// `x + scale * linear(gelu(linear(norm(conv(x)))))`.
#[derive(Module, Clone, Debug)]
struct Block {
    layer_scale: Parameter,
    block: Branch,
    stochastic_depth: StochasticDepth,
}

#[derive(Module, Clone, Debug)]
struct Branch {
    #[module(rename = "0")]
    conv: Conv2d,
    #[module(rename = "2")]
    norm: LayerNorm,
    #[module(rename = "3")]
    widen: Linear,
    #[module(rename = "5")]
    narrow: Linear,
}

const DEVIATION: f64 = 0.02;

fn conv(
    [inputs, outputs]: [usize; 2],
    kernel: usize,
    options: Conv2dOptions,
    init: &mut Init,
) -> Conv2d {
    let mut conv = Conv2d::new(inputs, outputs, kernel, options, init);
    conv.weight = init.normal(*conv.weight.shape(), DEVIATION);
    conv.bias = Some(init.zeros(outputs));
    conv
}

impl Block {
    fn new(channels: usize, scale: f64, depth: f64, init: &mut Init) -> Self {
        let options = Conv2dOptions::default().padding(3).groups(channels);
        Block {
            layer_scale: init.full([channels, 1, 1], scale),
            block: Branch {
                conv: conv([channels, channels], 7, options, init),
                norm: LayerNorm::new(channels, init).epsilon(1e-6),
                widen: normal_linear(channels, 4 * channels, DEVIATION, init),
                narrow: normal_linear(4 * channels, channels, DEVIATION, init),
            },
            stochastic_depth: StochasticDepth::new(depth),
        }
    }
}

impl Layer for Block {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let Branch { conv, norm, widen, narrow } = &self.block;
        let y = norm.forward(&conv.forward(x, ctx).permute(&[0, 2, 3, 1]), ctx);
        let y = narrow.forward(&widen.forward(&y, ctx).gelu(), ctx).permute(&[0, 3, 1, 2]);
        let y = &y * self.layer_scale.tensor();
        self.stochastic_depth.forward(&y, ctx) + x
    }
}

impl Classifier for ConvNeXt {
    type Config = ConvNeXtConfig;
    const FAMILY: &'static str = "convnext";

    fn new(config: &ConvNeXtConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let total: usize = config.blocks.iter().sum();
        if config.channels.contains(&0) || total == 0 {
            let (channels, blocks) = (config.channels, config.blocks);
            let message = format!("stages of {channels:?} channels and {blocks:?} blocks");
            return Err(error::config(Self::FAMILY, message));
        }
        if !(0.0..1.0).contains(&config.stochastic_depth) {
            let message = format!("stochastic_depth is {}", config.stochastic_depth);
            return Err(error::config(Self::FAMILY, message));
        }
        let first = config.channels[0];
        let mut stem = Stack::new();
        stem.push(conv([3, first], 4, Conv2dOptions::default().stride(4), init));
        stem.push(ChannelNorm::new(first, init));
        let mut features = Stack::new();
        features.push(stem);
        let mut index = 0;
        for (stage, (&channels, &blocks)) in config.channels.iter().zip(&config.blocks).enumerate()
        {
            let mut layers = Stack::new();
            for _ in 0..blocks {
                let share = index as f64 / total.saturating_sub(1).max(1) as f64;
                let depth = config.stochastic_depth * share;
                layers.push(Block::new(channels, config.layer_scale, depth, init));
                index += 1;
            }
            features.push(layers);
            if let Some(&next) = config.channels.get(stage + 1) {
                let mut down = Stack::new();
                down.push(ChannelNorm::new(channels, init));
                let options = Conv2dOptions::default().stride(2);
                down.push(conv([channels, next], 2, options, init));
                features.push(down);
            }
        }
        let last = config.channels[3];
        let linear = normal_linear(last, config.classes, DEVIATION, init);
        let classifier = Head { norm: ChannelNorm::new(last, init), linear };
        Ok(ConvNeXt { features, classifier })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let inputs = self.classifier.linear.inputs();
        self.classifier.linear = normal_linear(inputs, classes, DEVIATION, init);
        Ok(())
    }
}

impl Layer for Head {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.linear.forward(&self.norm.forward(x, ctx).flatten(1, -1), ctx)
    }
}

impl Layer for ConvNeXt {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx).mean_keepdim([2, 3]);
        run("classifier", &self.classifier, &x, ctx)
    }
}
