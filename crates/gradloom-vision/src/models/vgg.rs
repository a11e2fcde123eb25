//! [`Vgg`]: convolutions of three by three in five stages, with batch norms or without, as torchvision has them.

use crate::blocks::{conv, normal_linear, strided};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{AdaptiveAvgPool2d, BatchNorm, Dropout, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// Sizes of a VGG.
#[derive(Clone, Debug, PartialEq)]
pub struct VggConfig {
    /// Channels of the convolutions of each stage; a pooling ends each.
    pub stages: Vec<Vec<usize>>,
    /// A batch norm after each convolution.
    pub batch_norm: bool,
    /// Features of the two hidden linear layers.
    pub hidden: usize,
    /// Dropout after each of them.
    pub dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl VggConfig {
    fn of(depths: [usize; 5]) -> Self {
        let stages = [64, 128, 256, 512, 512].into_iter().zip(depths);
        let stages = stages.map(|(channels, depth)| vec![channels; depth]).collect();
        VggConfig { stages, batch_norm: false, hidden: 4096, dropout: 0.5, classes: 1000 }
    }

    /// VGG 11 (A).
    pub fn vgg11() -> Self {
        VggConfig::of([1, 1, 2, 2, 2])
    }

    /// VGG 13 (B).
    pub fn vgg13() -> Self {
        VggConfig::of([2, 2, 2, 2, 2])
    }

    /// VGG 16 (D).
    pub fn vgg16() -> Self {
        VggConfig::of([2, 2, 3, 3, 3])
    }

    /// VGG 19 (E).
    pub fn vgg19() -> Self {
        VggConfig::of([2, 2, 4, 4, 4])
    }

    /// With a batch norm after each convolution.
    #[must_use]
    pub fn batch_norm(mut self) -> Self {
        self.batch_norm = true;
        self
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// VGG: pictures `[N, 3, H, W]` of at least 32 x 32 -> `[N, classes]`.
///
/// torchvision: `vgg11` to `vgg19_bn`. Simonyan, Zisserman, "Very deep convolutional networks for large-scale
/// image recognition", 2015.
#[derive(Module, Clone, Debug)]
pub struct Vgg {
    /// To `[N, 512, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Stack,
}

impl Classifier for Vgg {
    type Config = VggConfig;
    const FAMILY: &'static str = "vgg";

    fn new(config: &VggConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let (mut features, mut inputs) = (Stack::new(), 3);
        for &outputs in config.stages.iter().flat_map(|stage| stage.iter()) {
            if outputs == 0 {
                return Err(error::config(Self::FAMILY, "a convolution has no channels"));
            }
        }
        for stage in &config.stages {
            for &outputs in stage {
                let mut layer = conv([inputs, outputs], 3, strided(3, 1), init);
                layer.bias = Some(init.zeros(outputs));
                features.push(layer);
                if config.batch_norm {
                    features.push(BatchNorm::new(outputs, init));
                }
                features.push(Activation::Relu);
                inputs = outputs;
            }
            features.push(MaxPool2d::new(2));
        }
        let mut classifier = Stack::new();
        for inputs in [inputs * 7 * 7, config.hidden] {
            classifier.push(normal_linear(inputs, config.hidden, 0.01, init));
            classifier.push(Activation::Relu);
            classifier.push(Dropout::new(config.dropout));
        }
        classifier.push(normal_linear(config.hidden, config.classes, 0.01, init));
        Ok(Vgg { features, classifier })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let hidden = self.classifier.last_inputs();
        self.classifier.replace_last(normal_linear(hidden, classes, 0.01, init));
        Ok(())
    }
}

impl Layer for Vgg {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx);
        let x = AdaptiveAvgPool2d::new(7).forward(&x, ctx).flatten(1, -1);
        run("classifier", &self.classifier, &x, ctx)
    }
}
