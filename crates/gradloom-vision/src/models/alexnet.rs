//! [`AlexNet`]: five convolutions and three linear layers, as torchvision has them.

use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result};
use gradloom_nn::layers::{AdaptiveAvgPool2d, Conv2d, Dropout, Linear, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Sizes of AlexNet; the default is the published one.
#[derive(Clone, Debug, PartialEq)]
pub struct AlexNetConfig {
    /// Number of classes.
    pub classes: usize,
    /// Features of the two hidden linear layers.
    pub hidden: usize,
    /// Dropout before each of them.
    pub dropout: f64,
}

impl Default for AlexNetConfig {
    fn default() -> Self {
        AlexNetConfig { classes: 1000, hidden: 4096, dropout: 0.5 }
    }
}

/// AlexNet with the widths of one GPU: pictures `[N, 3, H, W]` of at least 63 x 63 -> `[N, classes]`.
///
/// torchvision: `alexnet`. Krizhevsky, "One weird trick for parallelizing convolutional neural networks", 2014.
#[derive(Module, Clone, Debug)]
pub struct AlexNet {
    /// To `[N, 256, ..]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Stack,
}

impl Classifier for AlexNet {
    type Config = AlexNetConfig;
    const FAMILY: &'static str = "alexnet";

    fn new(config: &AlexNetConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let pool = || MaxPool2d::with_options(PoolOptions::new(3).stride(2));
        let mut features = Stack::new();
        let layers = [
            (3, 64, 11, 4, 2, true),
            (64, 192, 5, 1, 2, true),
            (192, 384, 3, 1, 1, false),
            (384, 256, 3, 1, 1, false),
            (256, 256, 3, 1, 1, true),
        ];
        for (inputs, outputs, kernel, stride, padding, pooled) in layers {
            let options = Conv2dOptions::default().stride(stride).padding(padding);
            features.push(Conv2d::new(inputs, outputs, kernel, options, init));
            features.push(Activation::Relu);
            if pooled {
                features.push(pool());
            }
        }
        let mut classifier = Stack::new();
        for inputs in [256 * 6 * 6, config.hidden] {
            classifier.push(Dropout::new(config.dropout));
            classifier.push(Linear::new(inputs, config.hidden, init));
            classifier.push(Activation::Relu);
        }
        classifier.push(Linear::new(config.hidden, config.classes, init));
        Ok(AlexNet { features, classifier })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let hidden = self.classifier.last_inputs();
        self.classifier.replace_last(Linear::new(hidden, classes, init));
        Ok(())
    }
}

impl Layer for AlexNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx);
        let x = AdaptiveAvgPool2d::new(6).forward(&x, ctx).flatten(1, -1);
        run("classifier", &self.classifier, &x, ctx)
    }
}
