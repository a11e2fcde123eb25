//! [`MobileNetV3`]: inverted residuals with squeeze and excitation and hard activations, as torchvision has them.

use crate::blocks::{
    ConvNormActivation, NormOptions, SqueezeExcitation, make_divisible, normal_linear, strided,
};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::Dropout;
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// One block of a MobileNet v3, at width 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MobileNetV3Block {
    /// Kernel of the depthwise convolution.
    pub kernel: usize,
    /// Channels inside.
    pub expanded: usize,
    /// Channels after.
    pub outputs: usize,
    /// With squeeze and excitation.
    pub squeeze: bool,
    /// With hardswish instead of ReLU.
    pub hardswish: bool,
    /// Of the depthwise convolution.
    pub stride: usize,
}

/// Sizes of a MobileNet v3.
#[derive(Clone, Debug, PartialEq)]
pub struct MobileNetV3Config {
    /// What channels are multiplied with.
    pub width: f64,
    /// The blocks.
    pub blocks: Vec<MobileNetV3Block>,
    /// Features before the classes, at width 1.
    pub hidden: usize,
    /// Dropout before the classes.
    pub dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

const LARGE: [(usize, usize, usize, bool, bool, usize); 15] = [
    (3, 16, 16, false, false, 1),
    (3, 64, 24, false, false, 2),
    (3, 72, 24, false, false, 1),
    (5, 72, 40, true, false, 2),
    (5, 120, 40, true, false, 1),
    (5, 120, 40, true, false, 1),
    (3, 240, 80, false, true, 2),
    (3, 200, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 184, 80, false, true, 1),
    (3, 480, 112, true, true, 1),
    (3, 672, 112, true, true, 1),
    (5, 672, 160, true, true, 2),
    (5, 960, 160, true, true, 1),
    (5, 960, 160, true, true, 1),
];

const SMALL: [(usize, usize, usize, bool, bool, usize); 11] = [
    (3, 16, 16, true, false, 2),
    (3, 72, 24, false, false, 2),
    (3, 88, 24, false, false, 1),
    (5, 96, 40, true, true, 2),
    (5, 240, 40, true, true, 1),
    (5, 240, 40, true, true, 1),
    (5, 120, 48, true, true, 1),
    (5, 144, 48, true, true, 1),
    (5, 288, 96, true, true, 2),
    (5, 576, 96, true, true, 1),
    (5, 576, 96, true, true, 1),
];

impl MobileNetV3Config {
    fn of(blocks: &[(usize, usize, usize, bool, bool, usize)], hidden: usize) -> Self {
        let blocks =
            blocks.iter().map(|&(kernel, expanded, outputs, squeeze, hardswish, stride)| {
                MobileNetV3Block { kernel, expanded, outputs, squeeze, hardswish, stride }
            });
        let blocks = blocks.collect();
        MobileNetV3Config { width: 1.0, blocks, hidden, dropout: 0.2, classes: 1000 }
    }

    /// MobileNet v3 large.
    pub fn large() -> Self {
        MobileNetV3Config::of(&LARGE, 1280)
    }

    /// MobileNet v3 small.
    pub fn small() -> Self {
        MobileNetV3Config::of(&SMALL, 1024)
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// MobileNet v3: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `features.0`, `features.1` and so on.
///
/// torchvision: `mobilenet_v3_large`, `mobilenet_v3_small`. Howard et al., "Searching for MobileNetV3", 2019.
#[derive(Module, Clone, Debug)]
pub struct MobileNetV3 {
    /// To `[N, C, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Stack,
}

#[derive(Module, Clone, Debug)]
struct InvertedResidual {
    block: Stack,
    residual: bool,
}

impl InvertedResidual {
    fn new(inputs: usize, block: &MobileNetV3Block, width: f64, init: &mut Init) -> Self {
        let norm = NormOptions::SLOW;
        let expanded = make_divisible(block.expanded as f64 * width, 8);
        let outputs = make_divisible(block.outputs as f64 * width, 8);
        let activation = if block.hardswish { Activation::Hardswish } else { Activation::Relu };
        let mut layers = Stack::new();
        if expanded != inputs {
            let channels = [inputs, expanded];
            layers.push(ConvNormActivation::new(
                channels,
                1,
                strided(1, 1),
                norm,
                activation,
                init,
            ));
        }
        let options = strided(block.kernel, block.stride).groups(expanded);
        let channels = [expanded, expanded];
        layers.push(ConvNormActivation::new(
            channels,
            block.kernel,
            options,
            norm,
            activation,
            init,
        ));
        if block.squeeze {
            let squeezed = make_divisible((expanded / 4) as f64, 8);
            let layer = SqueezeExcitation::new(expanded, squeezed, init);
            layers.push(layer.activations(Activation::Relu, Activation::Hardsigmoid));
        }
        let linear = Activation::Identity;
        let channels = [expanded, outputs];
        layers.push(ConvNormActivation::new(channels, 1, strided(1, 1), norm, linear, init));
        InvertedResidual { block: layers, residual: block.stride == 1 && inputs == outputs }
    }
}

impl Layer for InvertedResidual {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = run("block", &self.block, x, ctx);
        if self.residual { y + x } else { y }
    }
}

impl Classifier for MobileNetV3 {
    type Config = MobileNetV3Config;
    const FAMILY: &'static str = "mobilenet_v3";

    fn new(config: &MobileNetV3Config, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let width = config.width;
        if !(width.is_finite() && width > 0.0 && width < 1e3) {
            return Err(error::config(Self::FAMILY, format!("width is {width}")));
        }
        if config.blocks.iter().any(|block| block.stride == 0 || block.kernel % 2 == 0) {
            return Err(error::config(Self::FAMILY, "a block has no stride or an even kernel"));
        }
        let scaled = |channels: usize| make_divisible(channels as f64 * width, 8);
        let (norm, hardswish) = (NormOptions::SLOW, Activation::Hardswish);
        let mut inputs = scaled(16);
        let mut features = Stack::new();
        let options = strided(3, 2);
        features.push(ConvNormActivation::new([3, inputs], 3, options, norm, hardswish, init));
        for block in &config.blocks {
            features.push(InvertedResidual::new(inputs, block, width, init));
            inputs = scaled(block.outputs);
        }
        let (channels, hidden) = ([inputs, 6 * inputs], scaled(config.hidden));
        features.push(ConvNormActivation::new(channels, 1, strided(1, 1), norm, hardswish, init));
        let mut classifier = Stack::new();
        classifier.push(normal_linear(6 * inputs, hidden, 0.01, init));
        classifier.push(hardswish);
        classifier.push(Dropout::new(config.dropout));
        classifier.push(normal_linear(hidden, config.classes, 0.01, init));
        Ok(MobileNetV3 { features, classifier })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let inputs = self.classifier.last_inputs();
        self.classifier.replace_last(normal_linear(inputs, classes, 0.01, init));
        Ok(())
    }
}

impl Layer for MobileNetV3 {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx).global_avg_pool2d();
        run("classifier", &self.classifier, &x, ctx)
    }
}
