//! [`GoogLeNet`]: inception modules with batch norms and two auxiliary heads, as torchvision has them.

use crate::classifier::{AuxiliaryLogits, check_classes, check_pictures};
use crate::models::inception_parts::{BasicConv, linear, transform_input};
use crate::stack::{Stack, run};
use crate::{Classifier, Result};
use gradloom_nn::layers::{AdaptiveAvgPool2d, Dropout, Linear, MaxPool2d};
use gradloom_nn::{Context, Init, Layer, Module, StateDict};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Switches of GoogLeNet.
#[derive(Clone, Debug, PartialEq)]
pub struct GoogLeNetConfig {
    /// With two more heads, which learn in training.
    pub auxiliary: bool,
    /// Pictures are normalised by ImageNet's statistics, and the weights expect -1..1: the published ones do.
    pub transform_input: bool,
    /// Dropout before the classes.
    pub dropout: f64,
    /// Dropout of the auxiliary heads.
    pub auxiliary_dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl GoogLeNetConfig {
    /// To be trained: with auxiliary heads.
    pub fn new() -> Self {
        GoogLeNetConfig {
            auxiliary: true,
            transform_input: false,
            dropout: 0.2,
            auxiliary_dropout: 0.7,
            classes: 1000,
        }
    }

    /// What torchvision's published weights are used with: without auxiliary heads.
    pub fn published() -> Self {
        GoogLeNetConfig { auxiliary: false, transform_input: true, ..GoogLeNetConfig::new() }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

impl Default for GoogLeNetConfig {
    fn default() -> Self {
        GoogLeNetConfig::new()
    }
}

/// GoogLeNet: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `inception3a` to `inception5b`.
///
/// torchvision: `googlenet`, whose branch of five by five is one of three by three. Szegedy et al., "Going deeper
/// with convolutions", 2015.
#[derive(Module, Clone, Debug)]
pub struct GoogLeNet {
    conv1: BasicConv,
    conv2: BasicConv,
    conv3: BasicConv,
    #[module(flatten)]
    modules: Stack,
    aux1: Option<GoogLeNetHead>,
    aux2: Option<GoogLeNetHead>,
    /// To classes.
    pub fc: Linear,
    dropout: Dropout,
    transform_input: bool,
}

/// Four branches side by side.
#[derive(Module, Clone, Debug)]
struct Inception {
    branch1: BasicConv,
    branch2: [BasicConv; 2],
    branch3: [BasicConv; 2],
    branch4: PoolBranch,
}

#[derive(Module, Clone, Debug)]
struct PoolBranch {
    #[module(rename = "1")]
    conv: BasicConv,
}

/// An auxiliary head.
#[derive(Module, Clone, Debug)]
struct GoogLeNetHead {
    conv: BasicConv,
    fc1: Linear,
    fc2: Linear,
    dropout: Dropout,
}

const DEVIATION: f64 = 0.01;

fn basic(channels: [usize; 2], kernel: usize, init: &mut Init) -> BasicConv {
    let options = Conv2dOptions::default().padding(kernel / 2);
    BasicConv::new(channels, kernel, options, DEVIATION, init)
}

impl Inception {
    fn new(
        inputs: usize,
        [one, reduce3, three, reduce5, five, pool]: [usize; 6],
        init: &mut Init,
    ) -> Self {
        Inception {
            branch1: basic([inputs, one], 1, init),
            branch2: [basic([inputs, reduce3], 1, init), basic([reduce3, three], 3, init)],
            branch3: [basic([inputs, reduce5], 1, init), basic([reduce5, five], 3, init)],
            branch4: PoolBranch { conv: basic([inputs, pool], 1, init) },
        }
    }
}

impl Layer for Inception {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let [reduce3, three] = &self.branch2;
        let [reduce5, five] = &self.branch3;
        let pool = PoolOptions::new(3).stride(1).padding(1).ceil_mode(true);
        let branches = [
            self.branch1.forward(x, ctx),
            three.forward(&reduce3.forward(x, ctx), ctx),
            five.forward(&reduce5.forward(x, ctx), ctx),
            self.branch4.conv.forward(&x.max_pool2d(&pool), ctx),
        ];
        Tensor::concat(&branches, 1)
    }
}

impl GoogLeNetHead {
    fn new(inputs: usize, config: &GoogLeNetConfig, init: &mut Init) -> Self {
        GoogLeNetHead {
            conv: basic([inputs, 128], 1, init),
            fc1: linear(2048, 1024, DEVIATION, init),
            fc2: linear(1024, config.classes, DEVIATION, init),
            dropout: Dropout::new(config.auxiliary_dropout),
        }
    }
}

impl Layer for GoogLeNetHead {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = AdaptiveAvgPool2d::new(4).forward(x, ctx);
        let x = self.conv.forward(&x, ctx).flatten(1, -1);
        let x = self.fc1.forward(&x, ctx).relu();
        self.fc2.forward(&self.dropout.forward(&x, ctx), ctx)
    }
}

/// Name, channels before, channels of the branches.
const MODULES: [(&str, usize, [usize; 6]); 9] = [
    ("inception3a", 192, [64, 96, 128, 16, 32, 32]),
    ("inception3b", 256, [128, 128, 192, 32, 96, 64]),
    ("inception4a", 480, [192, 96, 208, 16, 48, 64]),
    ("inception4b", 512, [160, 112, 224, 24, 64, 64]),
    ("inception4c", 512, [128, 128, 256, 24, 64, 64]),
    ("inception4d", 512, [112, 144, 288, 32, 64, 64]),
    ("inception4e", 528, [256, 160, 320, 32, 128, 128]),
    ("inception5a", 832, [256, 160, 320, 32, 128, 128]),
    ("inception5b", 832, [384, 192, 384, 48, 128, 128]),
];

impl GoogLeNet {
    /// Logits, and in training those of the auxiliary heads.
    #[track_caller]
    pub fn forward_with_auxiliary(&self, x: &Tensor, ctx: &mut Context) -> AuxiliaryLogits {
        check_pictures(Self::FAMILY, x, 3);
        let pool =
            |size: usize| MaxPool2d::with_options(PoolOptions::new(size).stride(2).ceil_mode(true));
        let transformed = if self.transform_input { transform_input(x) } else { x.clone() };
        let x = pool(3).forward(&run("conv1", &self.conv1, &transformed, ctx), ctx);
        let x = run("conv3", &self.conv3, &run("conv2", &self.conv2, &x, ctx), ctx);
        let (mut x, mut auxiliary) = (pool(3).forward(&x, ctx), Vec::new());
        for (name, ..) in MODULES {
            if let Some(module) = self.modules.get(name) {
                x = run(name, module, &x, ctx);
            }
            let head = match name {
                "inception4a" => self.aux1.as_ref(),
                "inception4d" => self.aux2.as_ref(),
                _ => None,
            };
            if let Some(head) = head.filter(|_| ctx.is_training()) {
                auxiliary.push(head.forward(&x, ctx));
            }
            x = match name {
                "inception3b" => pool(3).forward(&x, ctx),
                "inception4e" => pool(2).forward(&x, ctx),
                _ => x,
            };
        }
        let x = self.dropout.forward(&x.global_avg_pool2d(), ctx);
        AuxiliaryLogits { logits: run("fc", &self.fc, &x, ctx), auxiliary }
    }
}

impl Classifier for GoogLeNet {
    type Config = GoogLeNetConfig;
    const FAMILY: &'static str = "googlenet";

    fn new(config: &GoogLeNetConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let mut modules = Stack::new();
        for (name, inputs, channels) in MODULES {
            modules.insert(name, Inception::new(inputs, channels, init));
        }
        let first = Conv2dOptions::default().stride(2).padding(3);
        let mut head = |inputs| config.auxiliary.then(|| GoogLeNetHead::new(inputs, config, init));
        let (aux1, aux2) = (head(512), head(528));
        Ok(GoogLeNet {
            conv1: BasicConv::new([3, 64], 7, first, DEVIATION, init),
            conv2: basic([64, 64], 1, init),
            conv3: basic([64, 192], 3, init),
            modules,
            aux1,
            aux2,
            fc: linear(1024, config.classes, DEVIATION, init),
            dropout: Dropout::new(config.dropout),
            transform_input: config.transform_input,
        })
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.aux1.is_none() {
            let kept = |name: &str| !name.starts_with("aux1.") && !name.starts_with("aux2.");
            *weights = weights.rename(|name| kept(name).then(|| name.to_owned()));
        }
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.fc = linear(1024, classes, DEVIATION, init);
        for head in [&mut self.aux1, &mut self.aux2].into_iter().flatten() {
            head.fc2 = linear(1024, classes, DEVIATION, init);
        }
        Ok(())
    }
}

impl Layer for GoogLeNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.forward_with_auxiliary(x, ctx).logits
    }
}
