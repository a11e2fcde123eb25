//! [`EfficientNet`]: inverted residuals scaled in width and depth, version 1, version 2 and the lite variants.

use crate::blocks::{
    ConvNormActivation, NormOptions, SqueezeExcitation, StochasticDepth, make_divisible, strided,
};
use crate::classifier::{check_classes, check_pictures};
use crate::models::efficientnet_names::{Layout, torchvision};
use crate::stack::{Stack, run};
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{Dropout, Linear};
use gradloom_nn::{Activation, Context, Init, Layer, Module};
use gradloom_tensor::Tensor;

/// One stage of an EfficientNet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EfficientNetStage {
    /// One convolution in place of the expanding and the depthwise one.
    pub fused: bool,
    /// Channels inside, as a multiple of those before.
    pub expansion: usize,
    /// Of the depthwise or fused convolution.
    pub kernel: usize,
    /// Of the first block.
    pub stride: usize,
    /// Channels before.
    pub inputs: usize,
    /// Channels after.
    pub outputs: usize,
    /// Number of blocks.
    pub blocks: usize,
}

/// Sizes of an EfficientNet.
#[derive(Clone, Debug, PartialEq)]
pub struct EfficientNetConfig {
    /// The stages, scaled.
    pub stages: Vec<EfficientNetStage>,
    /// Channels before the pooling; four times the last stage's if none.
    pub last: Option<usize>,
    /// With squeeze and excitation and SiLU; otherwise without and ReLU6: the lite variants.
    pub full: bool,
    /// What norms add to the variance.
    pub epsilon: f64,
    /// What running statistics move by.
    pub momentum: f64,
    /// TensorFlow's padding, which the weights of the lite variants were trained with.
    pub same_padding: bool,
    /// Dropout before the classes.
    pub dropout: f64,
    /// Stochastic depth of the last block; earlier ones have less.
    pub stochastic_depth: f64,
    /// Number of classes.
    pub classes: usize,
}

/// Expansion, kernel, stride, channels before and after, blocks.
type Row = (usize, usize, usize, usize, usize, usize);

const VERSION_1: [Row; 7] = [
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
];

fn stage(
    fused: bool,
    (expansion, kernel, stride, inputs, outputs, blocks): Row,
) -> EfficientNetStage {
    EfficientNetStage { fused, expansion, kernel, stride, inputs, outputs, blocks }
}

impl EfficientNetConfig {
    fn of(stages: Vec<EfficientNetStage>, dropout: f64) -> Self {
        EfficientNetConfig {
            stages,
            last: None,
            full: true,
            epsilon: NormOptions::USUAL.epsilon,
            momentum: NormOptions::USUAL.momentum,
            same_padding: false,
            dropout,
            stochastic_depth: 0.2,
            classes: 1000,
        }
    }

    fn slow(self) -> Self {
        let NormOptions { epsilon, momentum } = NormOptions::SLOW;
        EfficientNetConfig { epsilon, momentum, ..self }
    }

    /// Version 1 of any width and depth.
    ///
    /// torchvision: `_efficientnet_conf("efficientnet_b", width_mult, depth_mult)`.
    pub fn scaled(width: f64, depth: f64, dropout: f64) -> Self {
        let channels = |count: usize| make_divisible(count as f64 * width, 8);
        let stages = VERSION_1.map(|row| {
            let row = stage(false, row);
            EfficientNetStage {
                inputs: channels(row.inputs),
                outputs: channels(row.outputs),
                blocks: (row.blocks as f64 * depth).ceil() as usize,
                ..row
            }
        });
        EfficientNetConfig::of(stages.to_vec(), dropout)
    }

    /// EfficientNet-B0.
    pub fn b0() -> Self {
        EfficientNetConfig::scaled(1.0, 1.0, 0.2)
    }

    /// EfficientNet-B1.
    pub fn b1() -> Self {
        EfficientNetConfig::scaled(1.0, 1.1, 0.2)
    }

    /// EfficientNet-B2.
    pub fn b2() -> Self {
        EfficientNetConfig::scaled(1.1, 1.2, 0.3)
    }

    /// EfficientNet-B3.
    pub fn b3() -> Self {
        EfficientNetConfig::scaled(1.2, 1.4, 0.3)
    }

    /// EfficientNet-B4.
    pub fn b4() -> Self {
        EfficientNetConfig::scaled(1.4, 1.8, 0.4)
    }

    /// EfficientNet-B5.
    pub fn b5() -> Self {
        EfficientNetConfig::scaled(1.6, 2.2, 0.4).slow()
    }

    /// EfficientNet-B6.
    pub fn b6() -> Self {
        EfficientNetConfig::scaled(1.8, 2.6, 0.5).slow()
    }

    /// EfficientNet-B7.
    pub fn b7() -> Self {
        EfficientNetConfig::scaled(2.0, 3.1, 0.5).slow()
    }

    fn version_2(fused: &[Row], others: &[Row], dropout: f64) -> Self {
        let fused = fused.iter().map(|&row| stage(true, row));
        let stages = fused.chain(others.iter().map(|&row| stage(false, row))).collect();
        let config = EfficientNetConfig::of(stages, dropout);
        EfficientNetConfig { last: Some(1280), epsilon: 1e-3, ..config }
    }

    /// EfficientNetV2-S.
    pub fn v2_s() -> Self {
        let fused = [(1, 3, 1, 24, 24, 2), (4, 3, 2, 24, 48, 4), (4, 3, 2, 48, 64, 4)];
        let others = [(4, 3, 2, 64, 128, 6), (6, 3, 1, 128, 160, 9), (6, 3, 2, 160, 256, 15)];
        EfficientNetConfig::version_2(&fused, &others, 0.2)
    }

    /// EfficientNetV2-M.
    pub fn v2_m() -> Self {
        let fused = [(1, 3, 1, 24, 24, 3), (4, 3, 2, 24, 48, 5), (4, 3, 2, 48, 80, 5)];
        let others = [
            (4, 3, 2, 80, 160, 7),
            (6, 3, 1, 160, 176, 14),
            (6, 3, 2, 176, 304, 18),
            (6, 3, 1, 304, 512, 5),
        ];
        EfficientNetConfig::version_2(&fused, &others, 0.3)
    }

    /// EfficientNetV2-L.
    pub fn v2_l() -> Self {
        let fused = [(1, 3, 1, 32, 32, 4), (4, 3, 2, 32, 64, 7), (4, 3, 2, 64, 96, 7)];
        let others = [
            (4, 3, 2, 96, 192, 10),
            (6, 3, 1, 192, 224, 19),
            (6, 3, 2, 224, 384, 25),
            (6, 3, 1, 384, 640, 7),
        ];
        EfficientNetConfig::version_2(&fused, &others, 0.4)
    }

    /// EfficientNet-Lite0 as timm's `efficientnet_lite0`. Set `same_padding` and an epsilon of 1e-3 for weights
    /// from TensorFlow.
    pub fn lite0() -> Self {
        let config = EfficientNetConfig::of(VERSION_1.map(|row| stage(false, row)).to_vec(), 0.2);
        EfficientNetConfig { full: false, last: Some(1280), ..config }
    }

    /// EfficientNet-Lite0 as its weights from TensorFlow need it.
    pub fn tensorflow_lite0() -> Self {
        let epsilon = NormOptions::SLOW.epsilon;
        EfficientNetConfig { same_padding: true, epsilon, ..EfficientNetConfig::lite0() }
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    fn activation(&self) -> Activation {
        if self.full { Activation::Silu } else { Activation::Relu6 }
    }

    fn norm(&self) -> NormOptions {
        NormOptions { epsilon: self.epsilon, momentum: self.momentum }
    }

    fn check(&self) -> Result<()> {
        let failed = |message: String| Err(error::config(EfficientNet::FAMILY, message));
        check_classes(EfficientNet::FAMILY, self.classes)?;
        if self.stages.is_empty() || self.stages.iter().any(|stage| stage.blocks == 0) {
            return failed("there are no stages, or one has no blocks".to_owned());
        }
        for (index, stage) in self.stages.iter().enumerate() {
            let sizes =
                [stage.expansion, stage.stride, stage.inputs, stage.outputs, stage.kernel % 2];
            if sizes.contains(&0) {
                return failed(format!("stage {index} is {stage:?}"));
            }
            if index > 0 && self.stages[index - 1].outputs != stage.inputs {
                return failed(format!("stage {index} does not take what the one before puts out"));
            }
        }
        if !(0.0..1.0).contains(&self.stochastic_depth) {
            return failed(format!("stochastic_depth is {}", self.stochastic_depth));
        }
        Ok(())
    }
}

/// An EfficientNet: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `features.0` to `features.8`.
///
/// torchvision: `efficientnet_b0` to `efficientnet_v2_l`. Names of timm's files (`blocks.0.0.conv_dw`) and of those
/// of `efficientnet_pytorch` (`_blocks.0._depthwise_conv`) are understood too. Tan, Le, "EfficientNet", 2019, and
/// "EfficientNetV2", 2021.
#[derive(Module, Clone, Debug)]
pub struct EfficientNet {
    /// To `[N, C, H / 32, W / 32]`.
    pub features: Stack,
    /// To classes.
    pub classifier: Stack,
}

#[derive(Module, Clone, Debug)]
struct Block {
    block: Stack,
    stochastic_depth: StochasticDepth,
    residual: bool,
}

impl Block {
    fn new(
        config: &EfficientNetConfig,
        stage: &EfficientNetStage,
        [inputs, stride]: [usize; 2],
        depth: f64,
        init: &mut Init,
    ) -> Self {
        let expanded = make_divisible((inputs * stage.expansion) as f64, 8);
        let mut layers = Stack::new();
        let mut add = |channels, kernel, options, activation, init: &mut Init| {
            let layer =
                ConvNormActivation::new(channels, kernel, options, config.norm(), activation, init);
            layers.push(layer.same(config.same_padding));
        };
        let (active, linear) = (config.activation(), Activation::Identity);
        let options = strided(stage.kernel, stride);
        if stage.fused && expanded == inputs {
            add([inputs, stage.outputs], stage.kernel, options, active, init);
        } else if stage.fused {
            add([inputs, expanded], stage.kernel, options, active, init);
            add([expanded, stage.outputs], 1, strided(1, 1), linear, init);
        } else {
            if expanded != inputs {
                add([inputs, expanded], 1, strided(1, 1), active, init);
            }
            add([expanded, expanded], stage.kernel, options.groups(expanded), active, init);
            if config.full {
                let layer = SqueezeExcitation::new(expanded, (inputs / 4).max(1), init);
                layers.push(layer.activations(Activation::Silu, Activation::Sigmoid));
            }
            let project = ConvNormActivation::new(
                [expanded, stage.outputs],
                1,
                strided(1, 1),
                config.norm(),
                linear,
                init,
            );
            layers.push(project);
        }
        let residual = stride == 1 && inputs == stage.outputs;
        Block { block: layers, stochastic_depth: StochasticDepth::new(depth), residual }
    }
}

impl Layer for Block {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = run("block", &self.block, x, ctx);
        if self.residual { self.stochastic_depth.forward(&y, ctx) + x } else { y }
    }
}

impl Classifier for EfficientNet {
    type Config = EfficientNetConfig;
    const FAMILY: &'static str = "efficientnet";

    fn new(config: &EfficientNetConfig, init: &mut Init) -> Result<Self> {
        config.check()?;
        let total: usize = config.stages.iter().map(|stage| stage.blocks).sum();
        let end = |channels, kernel, options, init: &mut Init| {
            let active = config.activation();
            ConvNormActivation::new(channels, kernel, options, config.norm(), active, init)
                .same(config.same_padding)
        };
        let mut inputs = config.stages[0].inputs;
        let mut features = Stack::new();
        features.push(end([3, inputs], 3, strided(3, 2), init));
        let mut index = 0;
        for stage in &config.stages {
            let mut blocks = Stack::new();
            for block in 0..stage.blocks {
                let place = if block == 0 { [inputs, stage.stride] } else { [stage.outputs, 1] };
                let depth = config.stochastic_depth * index as f64 / total as f64;
                blocks.push(Block::new(config, stage, place, depth, init));
                index += 1;
            }
            inputs = stage.outputs;
            features.push(blocks);
        }
        let last = config.last.unwrap_or(4 * inputs);
        features.push(end([inputs, last], 1, strided(1, 1), init));
        let mut classifier = Stack::new();
        classifier.push(Dropout::new(config.dropout));
        classifier.push(head(last, config.classes, init));
        Ok(EfficientNet { features, classifier })
    }

    fn rename(config: &EfficientNetConfig, name: &str) -> Option<String> {
        let stages = config.stages.iter().map(|stage| (stage.expansion != 1, stage.blocks));
        let layout = Layout { stages: stages.collect(), squeeze: config.full };
        Some(torchvision(&layout, name).unwrap_or_else(|| name.to_owned()))
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        let inputs = self.classifier.last_inputs();
        self.classifier.replace_last(head(inputs, classes, init));
        Ok(())
    }
}

fn head(inputs: usize, classes: usize, init: &mut Init) -> Linear {
    let bound = 1.0 / (classes as f64).sqrt();
    Linear::from_parts(init.uniform([classes, inputs], bound), Some(init.zeros(classes)))
}

impl Layer for EfficientNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        check_pictures(Self::FAMILY, x, 3);
        let x = run("features", &self.features, x, ctx).global_avg_pool2d();
        run("classifier", &self.classifier, &x, ctx)
    }
}
