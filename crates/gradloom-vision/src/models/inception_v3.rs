//! [`InceptionV3`]: factorised inception modules and an auxiliary head, as torchvision has them.

use crate::classifier::{AuxiliaryLogits, check_classes, check_pictures};
use crate::models::inception_modules::{
    DEVIATION, Mixed, module_a, module_b, module_c, module_d, module_e,
};
use crate::models::inception_parts::{BasicConv, linear, transform_input};
use crate::models::keras_names;
use crate::stack::{Stack, run};
use crate::tensorflow::Layout;
use crate::{Classifier, Result};
use gradloom_nn::layers::{Dropout, Linear, MaxPool2d};
use gradloom_nn::{Context, Init, Layer, Module, ModuleExt, StateDict};
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
    /// Widths of hidden layers before the classes, with a ReLU after each.
    pub hidden: Vec<usize>,
    /// Means at the edge over the pixels that there are, and the names and layouts of Keras.
    pub keras: bool,
    /// Number of classes.
    pub classes: usize,
}

impl InceptionV3Config {
    /// To be trained: with the auxiliary head.
    pub fn new() -> Self {
        InceptionV3Config {
            auxiliary: true,
            transform_input: false,
            dropout: 0.5,
            hidden: Vec::new(),
            keras: false,
            classes: 1000,
        }
    }

    /// What torchvision's published weights are used with: without the auxiliary head.
    pub fn published() -> Self {
        InceptionV3Config { auxiliary: false, transform_input: true, ..InceptionV3Config::new() }
    }

    /// As Keras has it: `keras.applications.InceptionV3`, in files for TensorFlow.js, without the auxiliary head and
    /// with a head of one's own, `dense_1` and so on. Its norms have no scales.
    pub fn keras() -> Self {
        InceptionV3Config { auxiliary: false, keras: true, ..InceptionV3Config::new() }
    }

    /// Sets the widths of hidden layers before the classes.
    #[must_use]
    pub fn hidden(self, hidden: &[usize]) -> Self {
        InceptionV3Config { hidden: hidden.to_vec(), ..self }
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
    /// Before the classes; most have none.
    pub hidden: Stack,
    /// To classes.
    pub fc: Linear,
    dropout: Dropout,
    transform_input: bool,
    keras: bool,
}

/// An auxiliary head.
#[derive(Module, Clone, Debug)]
struct InceptionHead {
    conv0: BasicConv,
    conv1: BasicConv,
    fc: Linear,
}

/// Channels at the end.
const FEATURES: usize = 2048;

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
        let mut x = self.dropout.forward(&x.global_avg_pool2d(), ctx);
        for index in 0..self.hidden.len() {
            let name = index.to_string();
            if let Some(layer) = self.hidden.get(&name) {
                x = ctx.within("hidden", |ctx| run(&name, layer, &x, ctx)).relu();
            }
        }
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
        let mut hidden = Stack::new();
        let mut inputs = FEATURES;
        for &outputs in &config.hidden {
            check_classes(Self::FAMILY, outputs)?;
            hidden.push(linear(inputs, outputs, DEVIATION, init));
            inputs = outputs;
        }
        let mean = |module: Mixed| module.count_padding(!config.keras);
        let modules = Stack::new()
            .with("Mixed_5b", mean(module_a(192, 32, init)))
            .with("Mixed_5c", mean(module_a(256, 64, init)))
            .with("Mixed_5d", mean(module_a(288, 64, init)))
            .with("Mixed_6a", module_b(288, init))
            .with("Mixed_6b", mean(module_c(768, 128, init)))
            .with("Mixed_6c", mean(module_c(768, 160, init)))
            .with("Mixed_6d", mean(module_c(768, 160, init)))
            .with("Mixed_6e", mean(module_c(768, 192, init)))
            .with("Mixed_7a", module_d(768, init))
            .with("Mixed_7b", mean(module_e(1280, init)))
            .with("Mixed_7c", mean(module_e(2048, init)));
        Ok(InceptionV3 {
            stem: stem(init),
            modules,
            auxiliary: config.auxiliary.then(|| InceptionHead::new(config.classes, init)),
            hidden,
            fc: linear(inputs, config.classes, DEVIATION, init),
            dropout: Dropout::new(config.dropout),
            transform_input: config.transform_input,
            keras: config.keras,
        })
    }

    fn rename(config: &InceptionV3Config, name: &str) -> Option<String> {
        match config.keras {
            true => keras_names::inception_v3(config.hidden.len(), name),
            false => Some(name.to_owned()),
        }
    }

    fn layout(config: &InceptionV3Config) -> Layout {
        if config.keras { Layout::TensorFlow } else { Layout::Torch }
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.auxiliary.is_none() {
            let kept = |name: &str| !name.starts_with("AuxLogits.");
            *weights = weights.rename(|name| kept(name).then(|| name.to_owned()));
        }
        if self.keras {
            // Scales that the norms of Keras do not have are one.
            for (name, parameter) in self.parameters() {
                if name.ends_with(".bn.weight") && weights.get(&name).is_none() {
                    weights.insert(name, parameter.tensor().clone());
                }
            }
        }
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.fc = linear(self.fc.inputs(), classes, DEVIATION, init);
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
