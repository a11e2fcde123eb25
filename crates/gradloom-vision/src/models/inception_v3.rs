//! [`InceptionV3`]: factorised inception modules and an auxiliary head, as torchvision has them.

use crate::classifier::{AuxiliaryLogits, check_classes, check_pictures};
use crate::models::inception_parts::{BasicConv, linear, transform_input};
use crate::stack::{Stack, run};
use crate::{Classifier, Result};
use gradloom_nn::layers::{Dropout, Linear, MaxPool2d};
use gradloom_nn::{Context, Init, Layer, Module, StateDict};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Switches of Inception v3.
#[derive(Clone, Debug, PartialEq)]
pub struct InceptionV3Config {
    /// With one more head, which learns in training.
    pub auxiliary: bool,
    /// Pictures are normalised by ImageNet's statistics, and the weights expect -1..1: the published ones do.
    pub transform_input: bool,
    /// Dropout before the classes.
    pub dropout: f64,
    /// Number of classes.
    pub classes: usize,
}

impl InceptionV3Config {
    /// To be trained: with the auxiliary head.
    pub fn new() -> Self {
        InceptionV3Config { auxiliary: true, transform_input: false, dropout: 0.5, classes: 1000 }
    }

    /// What torchvision's published weights are used with: without the auxiliary head.
    pub fn published() -> Self {
        InceptionV3Config { auxiliary: false, transform_input: true, ..InceptionV3Config::new() }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

impl Default for InceptionV3Config {
    fn default() -> Self {
        InceptionV3Config::new()
    }
}

/// Inception v3: pictures `[N, 3, H, W]` of at least 75 x 75, in training with the auxiliary head of 299 x 299 ->
/// `[N, classes]`. Its stages are `Mixed_5b` to `Mixed_7c`.
///
/// torchvision: `inception_v3`. Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016.
#[derive(Module, Clone, Debug)]
pub struct InceptionV3 {
    #[module(flatten)]
    stem: Stack,
    #[module(flatten)]
    modules: Stack,
    #[module(rename = "AuxLogits")]
    auxiliary: Option<InceptionHead>,
    /// To classes.
    pub fc: Linear,
    dropout: Dropout,
    transform_input: bool,
}

/// Chains of convolutions side by side.
#[derive(Module, Clone, Debug)]
struct Mixed {
    #[module(flatten)]
    convs: Stack,
    #[module(skip)]
    chains: &'static [Chain],
}

/// One branch of a module.
#[derive(Clone, Copy, Debug)]
enum Chain {
    /// One after another.
    Line(&'static [&'static str]),
    /// One after another, and then two side by side.
    Split(&'static [&'static str], [&'static str; 2]),
    /// The mean of three by three before a convolution.
    Mean(&'static str),
    /// The maximum of three by three with stride two.
    Max,
}

/// An auxiliary head.
#[derive(Module, Clone, Debug)]
struct InceptionHead {
    conv0: BasicConv,
    conv1: BasicConv,
    fc: Linear,
}

const DEVIATION: f64 = 0.1;

impl Mixed {
    fn conv(&self, name: &str, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.convs.get(name).map_or_else(|| x.clone(), |conv| run(name, conv, x, ctx))
    }

    fn line(&self, names: &[&str], x: &Tensor, ctx: &mut Context) -> Tensor {
        names.iter().fold(x.clone(), |x, name| self.conv(name, &x, ctx))
    }
}

impl Layer for Mixed {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mut branches = Vec::new();
        for chain in self.chains {
            match chain {
                Chain::Line(names) => branches.push(self.line(names, x, ctx)),
                Chain::Split(names, ends) => {
                    let x = self.line(names, x, ctx);
                    branches.extend(ends.map(|end| self.conv(end, &x, ctx)));
                }
                Chain::Mean(name) => {
                    let options = PoolOptions::new(3).stride(1).padding(1);
                    branches.push(self.conv(name, &x.avg_pool2d(&options), ctx));
                }
                Chain::Max => branches.push(x.max_pool2d(&PoolOptions::new(3).stride(2))),
            }
        }
        Tensor::concat(&branches, 1)
    }
}

/// A convolution of a module: name, channels, kernel, stride, with padding that keeps the size.
type Row = (&'static str, [usize; 2], [usize; 2], usize, bool);

fn mixed(rows: &[Row], chains: &'static [Chain], init: &mut Init) -> Mixed {
    let mut convs = Stack::new();
    for &(name, channels, kernel, stride, padded) in rows {
        let padding = if padded { kernel.map(|size| size / 2) } else { [0, 0] };
        let options = Conv2dOptions::default().stride(stride).padding(padding);
        convs.insert(name, BasicConv::new(channels, kernel, options, DEVIATION, init));
    }
    Mixed { convs, chains }
}

/// At 35 x 35.
fn module_a(inputs: usize, pool: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 64], [1, 1], 1, true),
        ("branch5x5_1", [inputs, 48], [1, 1], 1, true),
        ("branch5x5_2", [48, 64], [5, 5], 1, true),
        ("branch3x3dbl_1", [inputs, 64], [1, 1], 1, true),
        ("branch3x3dbl_2", [64, 96], [3, 3], 1, true),
        ("branch3x3dbl_3", [96, 96], [3, 3], 1, true),
        ("branch_pool", [inputs, pool], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Line(&["branch5x5_1", "branch5x5_2"]),
        Chain::Line(&["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}

/// From 35 x 35 to 17 x 17.
fn module_b(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch3x3", [inputs, 384], [3, 3], 2, false),
        ("branch3x3dbl_1", [inputs, 64], [1, 1], 1, true),
        ("branch3x3dbl_2", [64, 96], [3, 3], 1, true),
        ("branch3x3dbl_3", [96, 96], [3, 3], 2, false),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch3x3"]),
        Chain::Line(&["branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"]),
        Chain::Max,
    ];
    mixed(&rows, CHAINS, init)
}

/// At 17 x 17, with `inner` channels along the lines of seven.
fn module_c(inputs: usize, inner: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 192], [1, 1], 1, true),
        ("branch7x7_1", [inputs, inner], [1, 1], 1, true),
        ("branch7x7_2", [inner, inner], [1, 7], 1, true),
        ("branch7x7_3", [inner, 192], [7, 1], 1, true),
        ("branch7x7dbl_1", [inputs, inner], [1, 1], 1, true),
        ("branch7x7dbl_2", [inner, inner], [7, 1], 1, true),
        ("branch7x7dbl_3", [inner, inner], [1, 7], 1, true),
        ("branch7x7dbl_4", [inner, inner], [7, 1], 1, true),
        ("branch7x7dbl_5", [inner, 192], [1, 7], 1, true),
        ("branch_pool", [inputs, 192], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Line(&["branch7x7_1", "branch7x7_2", "branch7x7_3"]),
        Chain::Line(&[
            "branch7x7dbl_1",
            "branch7x7dbl_2",
            "branch7x7dbl_3",
            "branch7x7dbl_4",
            "branch7x7dbl_5",
        ]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}

/// From 17 x 17 to 8 x 8.
fn module_d(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch3x3_1", [inputs, 192], [1, 1], 1, true),
        ("branch3x3_2", [192, 320], [3, 3], 2, false),
        ("branch7x7x3_1", [inputs, 192], [1, 1], 1, true),
        ("branch7x7x3_2", [192, 192], [1, 7], 1, true),
        ("branch7x7x3_3", [192, 192], [7, 1], 1, true),
        ("branch7x7x3_4", [192, 192], [3, 3], 2, false),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch3x3_1", "branch3x3_2"]),
        Chain::Line(&["branch7x7x3_1", "branch7x7x3_2", "branch7x7x3_3", "branch7x7x3_4"]),
        Chain::Max,
    ];
    mixed(&rows, CHAINS, init)
}

/// At 8 x 8.
fn module_e(inputs: usize, init: &mut Init) -> Mixed {
    let rows = [
        ("branch1x1", [inputs, 320], [1, 1], 1, true),
        ("branch3x3_1", [inputs, 384], [1, 1], 1, true),
        ("branch3x3_2a", [384, 384], [1, 3], 1, true),
        ("branch3x3_2b", [384, 384], [3, 1], 1, true),
        ("branch3x3dbl_1", [inputs, 448], [1, 1], 1, true),
        ("branch3x3dbl_2", [448, 384], [3, 3], 1, true),
        ("branch3x3dbl_3a", [384, 384], [1, 3], 1, true),
        ("branch3x3dbl_3b", [384, 384], [3, 1], 1, true),
        ("branch_pool", [inputs, 192], [1, 1], 1, true),
    ];
    const CHAINS: &[Chain] = &[
        Chain::Line(&["branch1x1"]),
        Chain::Split(&["branch3x3_1"], ["branch3x3_2a", "branch3x3_2b"]),
        Chain::Split(&["branch3x3dbl_1", "branch3x3dbl_2"], ["branch3x3dbl_3a", "branch3x3dbl_3b"]),
        Chain::Mean("branch_pool"),
    ];
    mixed(&rows, CHAINS, init)
}

impl InceptionHead {
    fn new(classes: usize, init: &mut Init) -> Self {
        let options = Conv2dOptions::default();
        InceptionHead {
            conv0: BasicConv::new([768, 128], 1, options, DEVIATION, init),
            conv1: BasicConv::new([128, 768], 5, options, DEVIATION, init),
            fc: linear(768, classes, 0.001, init),
        }
    }
}

impl Layer for InceptionHead {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let x = x.avg_pool2d(&PoolOptions::new(5).stride(3));
        let x = self.conv1.forward(&self.conv0.forward(&x, ctx), ctx);
        self.fc.forward(&x.global_avg_pool2d(), ctx)
    }
}

impl InceptionV3 {
    /// Logits, and in training those of the auxiliary head.
    #[track_caller]
    pub fn forward_with_auxiliary(&self, x: &Tensor, ctx: &mut Context) -> AuxiliaryLogits {
        check_pictures(Self::FAMILY, x, 3);
        let transformed = if self.transform_input { transform_input(x) } else { x.clone() };
        let mut x = self.stem.forward(&transformed, ctx);
        let mut auxiliary = Vec::new();
        for name in MODULES {
            if let Some(module) = self.modules.get(name) {
                x = run(name, module, &x, ctx);
            }
            let head = self.auxiliary.as_ref().filter(|_| name == "Mixed_6e" && ctx.is_training());
            if let Some(head) = head {
                auxiliary.push(head.forward(&x, ctx));
            }
        }
        let x = self.dropout.forward(&x.global_avg_pool2d(), ctx);
        AuxiliaryLogits { logits: run("fc", &self.fc, &x, ctx), auxiliary }
    }
}

const MODULES: [&str; 11] = [
    "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e",
    "Mixed_7a", "Mixed_7b", "Mixed_7c",
];

fn stem(init: &mut Init) -> Stack {
    let mut conv = |channels, kernel: usize, stride: usize, padding: usize| {
        let options = Conv2dOptions::default().stride(stride).padding(padding);
        BasicConv::new(channels, kernel, options, DEVIATION, init)
    };
    let pool = || MaxPool2d::with_options(PoolOptions::new(3).stride(2));
    Stack::new()
        .with("Conv2d_1a_3x3", conv([3, 32], 3, 2, 0))
        .with("Conv2d_2a_3x3", conv([32, 32], 3, 1, 0))
        .with("Conv2d_2b_3x3", conv([32, 64], 3, 1, 1))
        .with("maxpool1", pool())
        .with("Conv2d_3b_1x1", conv([64, 80], 1, 1, 0))
        .with("Conv2d_4a_3x3", conv([80, 192], 3, 1, 0))
        .with("maxpool2", pool())
}

impl Classifier for InceptionV3 {
    type Config = InceptionV3Config;
    const FAMILY: &'static str = "inception_v3";

    fn new(config: &InceptionV3Config, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let modules = Stack::new()
            .with("Mixed_5b", module_a(192, 32, init))
            .with("Mixed_5c", module_a(256, 64, init))
            .with("Mixed_5d", module_a(288, 64, init))
            .with("Mixed_6a", module_b(288, init))
            .with("Mixed_6b", module_c(768, 128, init))
            .with("Mixed_6c", module_c(768, 160, init))
            .with("Mixed_6d", module_c(768, 160, init))
            .with("Mixed_6e", module_c(768, 192, init))
            .with("Mixed_7a", module_d(768, init))
            .with("Mixed_7b", module_e(1280, init))
            .with("Mixed_7c", module_e(2048, init));
        Ok(InceptionV3 {
            stem: stem(init),
            modules,
            auxiliary: config.auxiliary.then(|| InceptionHead::new(config.classes, init)),
            fc: linear(2048, config.classes, DEVIATION, init),
            dropout: Dropout::new(config.dropout),
            transform_input: config.transform_input,
        })
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.auxiliary.is_none() {
            let kept = |name: &str| !name.starts_with("AuxLogits.");
            *weights = weights.rename(|name| kept(name).then(|| name.to_owned()));
        }
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.fc = linear(2048, classes, DEVIATION, init);
        if let Some(head) = &mut self.auxiliary {
            head.fc = linear(768, classes, 0.001, init);
        }
        Ok(())
    }
}

impl Layer for InceptionV3 {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.forward_with_auxiliary(x, ctx).logits
    }
}
