//! [`MobileNetV2`]: inverted residuals of depthwise convolutions, as torchvision has them.

use crate::blocks::{
    ConvNormActivation, NormOptions, conv, make_divisible, normal_linear, strided,
};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::Dropout;
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// Sizes of a MobileNet v2.
#[derive(Clone, Debug, PartialEq)]
pub struct MobileNetV2Config {
    /// What channels are multiplied with.
    pub width: f64,
    /// Expansion, channels, blocks and first stride of each stage.
    pub stages: Vec<[usize; 4]>,
    /// Dropout before the classifier.
    pub dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl MobileNetV2Config {
    /// The published one, at width 1.
    pub fn new() -> Self {
        let stages = vec![
            [1, 16, 1, 1],
            [6, 24, 2, 2],
            [6, 32, 3, 2],
            [6, 64, 4, 2],
            [6, 96, 3, 1],
            [6, 160, 3, 2],
            [6, 320, 1, 1],
        ];
        MobileNetV2Config { width: 1.0, stages, dropout: 0.2, classes: 1000 }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

impl Default for MobileNetV2Config {
    fn default() -> Self {
        MobileNetV2Config::new()
    }
}

/// MobileNet v2: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `features.0`, `features.1` and so on.
///
/// torchvision: `mobilenet_v2`. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", 2018.
#[derive(Module, Clone, Debug)]
pub struct MobileNetV2 {
    /// To `[N, 1280, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Stack,
}

#[derive(Module, Clone, Debug)]
struct InvertedResidual {
    conv: Stack,
    residual: bool,
}

impl InvertedResidual {
    fn new(
        [inputs, outputs]: [usize; 2],
        expansion: usize,
        stride: usize,
        init: &mut Init,
    ) -> Self {
        let (hidden, norm) = (inputs * expansion, NormOptions::USUAL);
        let mut layers = Stack::new();
        if expansion != 1 {
            let channels = [inputs, hidden];
            let options = strided(1, 1);
            layers.push(ConvNormActivation::new(
                channels,
                1,
                options,
                norm,
                Activation::Relu6,
                init,
            ));
        }
        let options = strided(3, stride).groups(hidden);
        let channels = [hidden, hidden];
        layers.push(ConvNormActivation::new(channels, 3, options, norm, Activation::Relu6, init));
        layers.push(conv([hidden, outputs], 1, strided(1, 1), init));
        layers.push(norm.norm(outputs, init));
        InvertedResidual { conv: layers, residual: stride == 1 && inputs == outputs }
    }
}

impl Layer for InvertedResidual {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = run("conv", &self.conv, x, ctx);
        if self.residual { x + y } else { y }
    }
}

impl Classifier for MobileNetV2 {
    type Config = MobileNetV2Config;
    const FAMILY: &'static str = "mobilenet_v2";

    fn new(config: &MobileNetV2Config, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let width = config.width;
        if !(width.is_finite() && width > 0.0 && width < 1e3) {
            return Err(error::config(Self::FAMILY, format!("width is {width}")));
        }
        if config.stages.iter().any(|&[expansion, _, _, stride]| expansion == 0 || stride == 0) {
            return Err(error::config(Self::FAMILY, "a stage has no expansion or no stride"));
        }
        let scaled = |channels: usize, width: f64| make_divisible(channels as f64 * width, 8);
        let (norm, relu6) = (NormOptions::USUAL, Activation::Relu6);
        let mut inputs = scaled(32, width);
        let mut features = Stack::new();
        features.push(ConvNormActivation::new([3, inputs], 3, strided(3, 2), norm, relu6, init));
        for &[expansion, channels, blocks, stride] in &config.stages {
            let outputs = scaled(channels, width);
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                features.push(InvertedResidual::new([inputs, outputs], expansion, stride, init));
                inputs = outputs;
            }
        }
        let last = scaled(1280, width.max(1.0));
        features.push(ConvNormActivation::new([inputs, last], 1, strided(1, 1), norm, relu6, init));
        let mut classifier = Stack::new();
        classifier.push(Dropout::new(config.dropout));
        classifier.push(normal_linear(last, config.classes, 0.01, init));
        Ok(MobileNetV2 { features, classifier })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let inputs = self.classifier.last_inputs();
        self.classifier.replace_last(normal_linear(inputs, classes, 0.01, init));
        Ok(())
    }
}

impl Layer for MobileNetV2 {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx).global_avg_pool2d();
        run("classifier", &self.classifier, &x, ctx)
    }
}
