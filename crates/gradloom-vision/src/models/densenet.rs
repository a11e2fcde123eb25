//! [`DenseNet`]: blocks whose layers read what all layers before them put out, as torchvision has them.

use crate::blocks::{conv, strided};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{AvgPool2d, BatchNorm, Conv2d, Dropout, Linear, MaxPool2d};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Sizes of a DenseNet.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseNetConfig {
    /// Channels that each layer adds.
    pub growth: usize,
    /// Layers of each block.
    pub layers: [usize; 4],
    /// Channels before the first block.
    pub stem: usize,
    /// Channels inside a layer, as a multiple of the growth.
    pub bottleneck: usize,
    /// Dropout of what a layer adds.
    pub dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl DenseNetConfig {
    fn of(growth: usize, layers: [usize; 4], stem: usize) -> Self {
        DenseNetConfig { growth, layers, stem, bottleneck: 4, dropout: 0.0, classes: 1000 }
    }

    /// DenseNet-121.
    pub fn densenet121() -> Self {
        DenseNetConfig::of(32, [6, 12, 24, 16], 64)
    }

    /// DenseNet-161.
    pub fn densenet161() -> Self {
        DenseNetConfig::of(48, [6, 12, 36, 24], 96)
    }

    /// DenseNet-169.
    pub fn densenet169() -> Self {
        DenseNetConfig::of(32, [6, 12, 32, 32], 64)
    }

    /// DenseNet-201.
    pub fn densenet201() -> Self {
        DenseNetConfig::of(32, [6, 12, 48, 32], 64)
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// A densely connected network: pictures `[N, 3, H, W]` -> `[N, classes]`.
///
/// torchvision: `densenet121` to `densenet201`, old names of its files included. Huang et al., "Densely connected
/// convolutional networks", 2017.
#[derive(Module, Clone, Debug)]
pub struct DenseNet {
    /// To `[N, C, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Linear,
}

/// Layers that each add channels to what they read.
#[derive(Module, Clone, Debug)]
struct DenseBlock {
    #[module(flatten)]
    layers: Stack,
}

#[derive(Module, Clone, Debug)]
struct DenseLayer {
    norm1: BatchNorm,
    conv1: Conv2d,
    norm2: BatchNorm,
    conv2: Conv2d,
    dropout: Dropout,
}

impl DenseLayer {
    fn new(inputs: usize, config: &DenseNetConfig, init: &mut Init) -> Self {
        let inner = config.bottleneck * config.growth;
        DenseLayer {
            norm1: BatchNorm::new(inputs, init),
            conv1: conv([inputs, inner], 1, strided(1, 1), init),
            norm2: BatchNorm::new(inner, init),
            conv2: conv([inner, config.growth], 3, strided(3, 1), init),
            dropout: Dropout::new(config.dropout),
        }
    }
}

impl Layer for DenseLayer {
    /// What was read and what is added to it.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.conv1.forward(&self.norm1.forward(x, ctx).relu(), ctx);
        let y = self.conv2.forward(&self.norm2.forward(&y, ctx).relu(), ctx);
        Tensor::concat(&[x, &self.dropout.forward(&y, ctx)], 1)
    }
}

impl Layer for DenseBlock {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.layers.forward(x, ctx)
    }
}

impl Classifier for DenseNet {
    type Config = DenseNetConfig;
    const FAMILY: &'static str = "densenet";

    fn new(config: &DenseNetConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        if config.growth == 0 || config.stem == 0 || config.bottleneck == 0 {
            return Err(error::config(
                Self::FAMILY,
                "growth, stem and bottleneck must not be zero",
            ));
        }
        let pool = PoolOptions::new(3).stride(2).padding(1);
        let mut features = Stack::new()
            .with("conv0", conv([3, config.stem], 7, strided(7, 2), init))
            .with("norm0", BatchNorm::new(config.stem, init))
            .with("relu0", Activation::Relu)
            .with("pool0", MaxPool2d::with_options(pool));
        let mut channels = config.stem;
        for (index, &count) in config.layers.iter().enumerate() {
            let mut layers = Stack::new();
            for layer in 1..=count {
                layers
                    .insert(format!("denselayer{layer}"), DenseLayer::new(channels, config, init));
                channels += config.growth;
            }
            features.insert(format!("denseblock{}", index + 1), DenseBlock { layers });
            if index + 1 < config.layers.len() {
                let transition = Stack::new()
                    .with("norm", BatchNorm::new(channels, init))
                    .with("relu", Activation::Relu)
                    .with("conv", conv([channels, channels / 2], 1, strided(1, 1), init))
                    .with("pool", AvgPool2d::new(2));
                features.insert(format!("transition{}", index + 1), transition);
                channels /= 2;
            }
        }
        features.insert("norm5", BatchNorm::new(channels, init));
        Ok(DenseNet { features, classifier: head(channels, config.classes, init) })
    }

    fn rename(_: &DenseNetConfig, name: &str) -> Option<String> {
        if !name.contains(".denselayer") {
            return Some(name.to_owned());
        }
        let old = [".norm.1.", ".norm.2.", ".conv.1.", ".conv.2."];
        let new = [".norm1.", ".norm2.", ".conv1.", ".conv2."];
        let pairs = old.iter().zip(new);
        Some(pairs.fold(name.to_owned(), |name, (old, new)| name.replace(old, new)))
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.classifier = head(self.classifier.inputs(), classes, init);
        Ok(())
    }
}

fn head(inputs: usize, classes: usize, init: &mut Init) -> Linear {
    let mut head = Linear::new(inputs, classes, init);
    head.bias = Some(init.zeros(classes));
    head
}

impl Layer for DenseNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx).relu().global_avg_pool2d();
        run("classifier", &self.classifier, &x, ctx)
    }
}
