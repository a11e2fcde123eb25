//! [`ResNet`]: residual networks, and with groups, widths or squeeze and excitation ResNeXt, Wide ResNet and
//! SE-ResNet.

use crate::blocks::{SqueezeExcitation, conv, make_divisible, strided};
use crate::classifier::{check_classes, check_pictures};
use crate::stack::run;
use crate::{Classifier, Result, error};
use gradloom_nn::layers::{BatchNorm, Conv2d, Linear, MaxPool2d};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;

/// Sizes of a residual network.
#[derive(Clone, Debug, PartialEq)]
pub struct ResNetConfig {
    /// Blocks of one, three and one convolutions instead of two of three by three.
    pub bottleneck: bool,
    /// Blocks of each stage.
    pub layers: [usize; 4],
    /// Groups of the bottlenecks' middle convolutions.
    pub groups: usize,
    /// Their channels in each group at 64 planes.
    pub width_per_group: usize,
    /// A squeeze and excitation by 16 at the end of each branch.
    pub squeeze: bool,
    /// The last three stages keep the size of the second, second or third, with dilation instead of strides: for
    /// segmentation. torchvision: `replace_stride_with_dilation`.
    pub dilated: [bool; 3],
    /// Channels of the first convolution, and planes of the first stage; each stage has twice as many.
    pub width: usize,
    /// Norms that learn nothing and use their running statistics in training too: for detection.
    pub frozen_norms: bool,
    /// What the norms add to variances.
    pub norm_epsilon: f64,
    /// Number of classes.
    pub classes: usize,
}

impl ResNetConfig {
    /// Of these blocks; ready for changes.
    pub fn new(bottleneck: bool, layers: [usize; 4]) -> Self {
        ResNetConfig {
            bottleneck,
            layers,
            groups: 1,
            width_per_group: 64,
            squeeze: false,
            dilated: [false; 3],
            width: 64,
            frozen_norms: false,
            norm_epsilon: 1e-5,
            classes: 1000,
        }
    }

    /// ResNet-18.
    pub fn resnet18() -> Self {
        ResNetConfig::new(false, [2, 2, 2, 2])
    }

    /// ResNet-34.
    pub fn resnet34() -> Self {
        ResNetConfig::new(false, [3, 4, 6, 3])
    }

    /// ResNet-50.
    pub fn resnet50() -> Self {
        ResNetConfig::new(true, [3, 4, 6, 3])
    }

    /// ResNet-101.
    pub fn resnet101() -> Self {
        ResNetConfig::new(true, [3, 4, 23, 3])
    }

    /// ResNet-152.
    pub fn resnet152() -> Self {
        ResNetConfig::new(true, [3, 8, 36, 3])
    }

    /// ResNeXt-50 32x4d.
    pub fn resnext50_32x4d() -> Self {
        ResNetConfig { groups: 32, width_per_group: 4, ..ResNetConfig::resnet50() }
    }

    /// ResNeXt-101 32x8d.
    pub fn resnext101_32x8d() -> Self {
        ResNetConfig { groups: 32, width_per_group: 8, ..ResNetConfig::resnet101() }
    }

    /// Wide ResNet-50-2.
    pub fn wide_resnet50_2() -> Self {
        ResNetConfig { width_per_group: 128, ..ResNetConfig::resnet50() }
    }

    /// Wide ResNet-101-2.
    pub fn wide_resnet101_2() -> Self {
        ResNetConfig { width_per_group: 128, ..ResNetConfig::resnet101() }
    }

    /// With squeeze and excitation: SE-ResNet, SE-ResNeXt, named as timm's.
    #[must_use]
    pub fn squeeze(mut self) -> Self {
        self.squeeze = true;
        self
    }

    /// Sets which of the last three stages are dilated instead of strided.
    #[must_use]
    pub fn dilated(mut self, dilated: [bool; 3]) -> Self {
        self.dilated = dilated;
        self
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }

    /// Channels that each stage puts out.
    pub fn channels(&self) -> [usize; 4] {
        [0, 1, 2, 3].map(|stage| self.planes(stage) * self.expansion())
    }

    fn planes(&self, stage: usize) -> usize {
        self.width << stage
    }

    fn norm(&self, channels: usize, init: &mut Init) -> BatchNorm {
        let norm = BatchNorm::new(channels, init).epsilon(self.norm_epsilon);
        if self.frozen_norms { norm.frozen() } else { norm }
    }

    fn expansion(&self) -> usize {
        if self.bottleneck { 4 } else { 1 }
    }
}

/// A residual network: pictures `[N, 3, H, W]` -> `[N, classes]`. Its stages are `layer1` to `layer4`.
///
/// torchvision: `resnet18` to `wide_resnet101_2`; timm: `seresnet18` and its like. He et al., "Deep residual
/// learning for image recognition", 2016; Xie et al., "Aggregated residual transformations", 2017; Zagoruyko,
/// Komodakis, "Wide residual networks", 2016; Hu et al., "Squeeze-and-excitation networks", 2018.
#[derive(Module, Clone, Debug)]
pub struct ResNet {
    /// All but the last layer.
    #[module(flatten)]
    pub backbone: ResNetBackbone,
    /// To classes.
    pub fc: Linear,
}

/// A residual network without its last layer: what detection and segmentation stand on.
#[derive(Module, Clone, Debug)]
pub struct ResNetBackbone {
    /// Seven by seven, stride two.
    pub conv1: Conv2d,
    /// Of its channels.
    pub bn1: BatchNorm,
    /// At a quarter of the size.
    pub layer1: Vec<ResNetBlock>,
    /// At an eighth.
    pub layer2: Vec<ResNetBlock>,
    /// At a sixteenth.
    pub layer3: Vec<ResNetBlock>,
    /// At a thirty-second.
    pub layer4: Vec<ResNetBlock>,
}

/// A branch of two or three convolutions beside a shortcut.
#[derive(Module, Clone, Debug)]
pub struct ResNetBlock {
    conv1: Conv2d,
    bn1: BatchNorm,
    conv2: Conv2d,
    bn2: BatchNorm,
    #[module(flatten)]
    expanded: Option<Expansion>,
    se: Option<SqueezeExcitation>,
    downsample: Option<Shortcut>,
}

/// The third convolution of a bottleneck.
#[derive(Module, Clone, Debug)]
struct Expansion {
    conv3: Conv2d,
    bn3: BatchNorm,
}

/// A shortcut to other channels or another size.
#[derive(Module, Clone, Debug)]
struct Shortcut {
    #[module(rename = "0")]
    conv: Conv2d,
    #[module(rename = "1")]
    norm: BatchNorm,
}

/// What the blocks of a stage differ in.
struct Place {
    inputs: usize,
    planes: usize,
    stride: usize,
    dilation: usize,
}

impl ResNetBlock {
    fn new(config: &ResNetConfig, place: &Place, init: &mut Init) -> Self {
        let &Place { inputs, planes, stride, dilation } = place;
        let outputs = planes * config.expansion();
        let wide = |stride, groups| {
            let options = Conv2dOptions::default().stride(stride).padding(dilation);
            options.dilation(dilation).groups(groups)
        };
        let (conv1, width, conv2, expanded) = if config.bottleneck {
            let width = planes * config.width_per_group / 64 * config.groups;
            let conv1 = conv([inputs, width], 1, Conv2dOptions::default(), init);
            let conv2 = conv([width, width], 3, wide(stride, config.groups), init);
            let conv3 = conv([width, outputs], 1, Conv2dOptions::default(), init);
            let bn3 = config.norm(outputs, init);
            (conv1, width, conv2, Some(Expansion { conv3, bn3 }))
        } else {
            let conv1 = conv([inputs, planes], 3, wide(stride, 1), init);
            (conv1, planes, conv([planes, planes], 3, wide(1, 1), init), None)
        };
        let squeezed = make_divisible(outputs as f64 / 16.0, 8);
        let se = config.squeeze.then(|| SqueezeExcitation::new(outputs, squeezed, init));
        let downsample = (stride != 1 || inputs != outputs).then(|| Shortcut {
            conv: conv([inputs, outputs], 1, strided(1, stride), init),
            norm: config.norm(outputs, init),
        });
        let bn1 = config.norm(width, init);
        let bn2 = config.norm(width, init);
        ResNetBlock { conv1, bn1, conv2, bn2, expanded, se, downsample }
    }
}

impl Layer for ResNetBlock {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let mut y = self.bn1.forward(&self.conv1.forward(x, ctx), ctx).relu();
        y = self.bn2.forward(&self.conv2.forward(&y, ctx), ctx);
        if let Some(Expansion { conv3, bn3 }) = &self.expanded {
            y = bn3.forward(&conv3.forward(&y.relu(), ctx), ctx);
        }
        if let Some(se) = &self.se {
            y = se.forward(&y, ctx);
        }
        let shortcut = match &self.downsample {
            Some(Shortcut { conv, norm }) => norm.forward(&conv.forward(x, ctx), ctx),
            None => x.clone(),
        };
        (y + shortcut).relu()
    }
}

impl ResNetBackbone {
    fn check(config: &ResNetConfig) -> Result<()> {
        let failed = |message: String| Err(error::config(ResNet::FAMILY, message));
        if config.layers.contains(&0) {
            return failed(format!("stages of {:?} blocks; give each at least one", config.layers));
        }
        if config.width == 0 || config.width > 1 << 16 {
            return failed(format!("a first convolution of {} channels", config.width));
        }
        let width = config.width_per_group;
        if config.groups == 0 || width == 0 {
            return failed(format!("{} groups of width {width}", config.groups));
        }
        if !config.bottleneck && (config.groups, width) != (1, 64) {
            let message = "blocks of two convolutions have one group of width 64";
            return failed(format!("{message}, not {} of width {width}", config.groups));
        }
        if !config.bottleneck && config.dilated.contains(&true) {
            return failed("only bottlenecks can be dilated".to_owned());
        }
        Ok(())
    }

    /// First values are the original's.
    ///
    /// # Errors
    /// If the configuration is wrong.
    pub fn new(config: &ResNetConfig, init: &mut Init) -> Result<Self> {
        ResNetBackbone::check(config)?;
        let conv1 = conv([3, config.width], 7, strided(7, 2), init);
        let bn1 = config.norm(config.width, init);
        let (mut inputs, mut dilation) = (config.width, 1);
        let mut stages = Vec::new();
        for index in 0..4 {
            let mut stride = if index == 0 { 1 } else { 2 };
            let first = dilation;
            if index > 0 && config.dilated[index - 1] {
                dilation *= stride;
                stride = 1;
            }
            let mut blocks = Vec::new();
            for block in 0..config.layers[index] {
                let (stride, dilation) = if block == 0 { (stride, first) } else { (1, dilation) };
                let place = Place { inputs, planes: config.planes(index), stride, dilation };
                blocks.push(ResNetBlock::new(config, &place, init));
                inputs = config.planes(index) * config.expansion();
            }
            stages.push(blocks);
        }
        let mut stages = stages.into_iter();
        let [layer1, layer2, layer3, layer4] =
            std::array::from_fn(|_| stages.next().unwrap_or_default());
        Ok(ResNetBackbone { conv1, bn1, layer1, layer2, layer3, layer4 })
    }

    /// What the four stages put out, from the finest to the coarsest.
    ///
    /// # Panics
    /// If these are no pictures of floats.
    #[track_caller]
    pub fn stages(&self, x: &Tensor, ctx: &mut Context) -> [Tensor; 4] {
        check_pictures(ResNet::FAMILY, x, 3);
        let x = self.bn1.forward(&self.conv1.forward(x, ctx), ctx).relu();
        let pool = PoolOptions::new(3).stride(2).padding(1);
        let mut x = MaxPool2d::with_options(pool).forward(&x, ctx);
        let layers = [&self.layer1, &self.layer2, &self.layer3, &self.layer4];
        std::array::from_fn(|index| {
            x = ctx.within(&format!("layer{}", index + 1), |ctx| {
                let blocks = layers[index].iter().enumerate();
                let y = blocks.fold(x.clone(), |x, (place, block)| {
                    ctx.within_index(place, |ctx| {
                        let y = block.forward(&x, ctx);
                        ctx.tap("output", &y)
                    })
                });
                ctx.tap("output", &y)
            });
            x.clone()
        })
    }
}

impl Classifier for ResNet {
    type Config = ResNetConfig;
    const FAMILY: &'static str = "resnet";

    fn new(config: &ResNetConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let backbone = ResNetBackbone::new(config, init)?;
        let [.., last] = config.channels();
        Ok(ResNet { backbone, fc: Linear::new(last, config.classes, init) })
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        self.fc = Linear::new(self.fc.inputs(), classes, init);
        Ok(())
    }
}

impl Layer for ResNet {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let [.., last] = self.backbone.stages(x, ctx);
        run("fc", &self.fc, &last.global_avg_pool2d(), ctx)
    }
}
