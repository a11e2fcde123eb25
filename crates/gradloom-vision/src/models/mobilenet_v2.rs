//! [`MobileNetV2`]: inverted residuals of depthwise convolutions, as torchvision has them.

use crate::blocks::{
    ConvNormActivation, NormOptions, conv, make_divisible, normal_linear, strided,
};
use crate::classifier::{check_classes, check_pictures};
use crate::models::keras_names;
use crate::stack::{Stack, run};
use crate::tensorflow::Layout;
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
    /// Widths of hidden layers before the classes, with a ReLU after each.
    pub hidden: Vec<usize>,
    /// The padding, the norms' epsilon, the names and the layouts of Keras.
    pub keras: bool,
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
        let hidden = Vec::new();
        MobileNetV2Config { width: 1.0, stages, dropout: 0.2, hidden, keras: false, classes: 1000 }
    }

    /// As Keras has it: `keras.applications.MobileNetV2`, in files for TensorFlow.js. Keras' own head of 1000 classes is
    /// named `Logits` or `predictions`; heads that were put in its place, `dense_1` and so on, are read.
    #[must_use]
    pub fn keras(self) -> Self {
        MobileNetV2Config { keras: true, ..self }
    }

    /// Sets the widths of hidden layers before the classes.
    #[must_use]
    pub fn hidden(self, hidden: &[usize]) -> Self {
        MobileNetV2Config { hidden: hidden.to_vec(), ..self }
    }

    fn norm(&self) -> NormOptions {
        if self.keras { NormOptions::SLOW } else { NormOptions::USUAL }
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
        config: &MobileNetV2Config,
        [inputs, outputs]: [usize; 2],
        expansion: usize,
        stride: usize,
        init: &mut Init,
    ) -> Self {
        let (hidden, norm) = (inputs * expansion, config.norm());
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
        let depthwise =
            ConvNormActivation::new(channels, 3, options, norm, Activation::Relu6, init);
        layers.push(depthwise.same(config.keras));
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
        let (norm, relu6) = (config.norm(), Activation::Relu6);
        let mut inputs = scaled(32, width);
        let mut features = Stack::new();
        let first = ConvNormActivation::new([3, inputs], 3, strided(3, 2), norm, relu6, init);
        features.push(first.same(config.keras));
        for &[expansion, channels, blocks, stride] in &config.stages {
            let outputs = scaled(channels, width);
            for block in 0..blocks {
                let stride = if block == 0 { stride } else { 1 };
                features.push(InvertedResidual::new(
                    config,
                    [inputs, outputs],
                    expansion,
                    stride,
                    init,
                ));
                inputs = outputs;
            }
        }
        let last = scaled(1280, width.max(1.0));
        features.push(ConvNormActivation::new([inputs, last], 1, strided(1, 1), norm, relu6, init));
        let mut classifier = Stack::new();
        classifier.push(Dropout::new(config.dropout));
        let mut inputs = last;
        for &outputs in &config.hidden {
            check_classes(Self::FAMILY, outputs)?;
            classifier.push(normal_linear(inputs, outputs, 0.01, init));
            classifier.push(Activation::Relu);
            inputs = outputs;
        }
        classifier.push(normal_linear(inputs, config.classes, 0.01, init));
        Ok(MobileNetV2 { features, classifier })
    }

    fn rename(config: &MobileNetV2Config, name: &str) -> Option<String> {
        if !config.keras {
            return Some(name.to_owned());
        }
        let stages = config.stages.iter();
        let expands: Vec<bool> = stages
            .flat_map(|&[expansion, _, blocks, _]| std::iter::repeat_n(expansion != 1, blocks))
            .collect();
        keras_names::mobilenet_v2(config.hidden.len(), &expands, name)
    }

    fn layout(config: &MobileNetV2Config) -> Layout {
        if config.keras { Layout::TensorFlow } else { Layout::Torch }
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
