//! [`Segmentation`]: FCN and DeepLab v3 on a dilated residual network, as torchvision has them.

use crate::blocks::conv;
use crate::classifier::{AuxiliaryLogits, check_classes};
use crate::models::resnet::{ResNetBackbone, ResNetConfig};
use crate::stack::{Stack, run};
use crate::{Classifier, Result};
use gradloom_nn::layers::{BatchNorm, Conv2d, Dropout};
use gradloom_nn::{Activation, Context, Init, Layer, Module, StateDict};
use gradloom_tensor::Tensor;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::interpolation::{InterpolateOptions, Interpolation};

/// Sizes of a segmentation network.
#[derive(Clone, Debug, PartialEq)]
pub struct SegmentationConfig {
    /// What it stands on; its classes are not used.
    pub backbone: ResNetConfig,
    /// DeepLab v3's head with these dilations; FCN's if none.
    pub rates: Option<[usize; 3]>,
    /// With one more head on the third stage.
    pub auxiliary: bool,
    /// Dropout of the heads: FCN's 0.1 in both, and DeepLab's 0.5.
    pub dropout: bool,
    /// Number of classes, the background among them.
    pub classes: usize,
}

impl SegmentationConfig {
    fn of(backbone: ResNetConfig, rates: Option<[usize; 3]>) -> Self {
        let backbone = backbone.dilated([false, true, true]);
        SegmentationConfig { backbone, rates, auxiliary: true, dropout: true, classes: 21 }
    }

    /// FCN on ResNet-50, of the 21 classes of VOC.
    pub fn fcn_resnet50() -> Self {
        SegmentationConfig::of(ResNetConfig::resnet50(), None)
    }

    /// FCN on ResNet-101.
    pub fn fcn_resnet101() -> Self {
        SegmentationConfig::of(ResNetConfig::resnet101(), None)
    }

    /// DeepLab v3 on ResNet-50.
    pub fn deeplab_v3_resnet50() -> Self {
        SegmentationConfig::of(ResNetConfig::resnet50(), Some([12, 24, 36]))
    }

    /// DeepLab v3 on ResNet-101.
    pub fn deeplab_v3_resnet101() -> Self {
        SegmentationConfig::of(ResNetConfig::resnet101(), Some([12, 24, 36]))
    }

    /// Sets the number of classes.
    #[must_use]
    pub fn classes(mut self, classes: usize) -> Self {
        self.classes = classes;
        self
    }
}

/// Classes of each pixel: pictures `[N, 3, H, W]` -> `[N, classes, H, W]`.
///
/// torchvision: `fcn_resnet50`, `fcn_resnet101`, `deeplabv3_resnet50`, `deeplabv3_resnet101`. Long et al., "Fully
/// convolutional networks for semantic segmentation", 2015; Chen et al., "Rethinking atrous convolution", 2017.
#[derive(Module, Clone, Debug)]
pub struct Segmentation {
    /// At an eighth of the size in its last two stages.
    pub backbone: ResNetBackbone,
    /// On the last stage.
    pub classifier: Stack,
    /// On the stage before it.
    pub aux_classifier: Option<Stack>,
}

/// Convolutions of several dilations and the mean of the picture side by side.
#[derive(Module, Clone, Debug)]
struct Pyramid {
    convs: Stack,
    project: Stack,
}

/// The mean of each channel, through a convolution, at every place.
#[derive(Module, Clone, Debug)]
struct PoolBranch {
    #[module(flatten)]
    layers: Stack,
}

fn bilinear(x: &Tensor, height: usize, width: usize) -> Tensor {
    x.interpolate(&[height, width], &InterpolateOptions::new(Interpolation::Linear))
}

fn normed(channels: [usize; 2], kernel: usize, dilation: usize, init: &mut Init) -> Stack {
    let options = Conv2dOptions::default().padding(kernel / 2 * dilation).dilation(dilation);
    let mut layers = Stack::new();
    layers.push(conv(channels, kernel, options, init));
    layers.push(BatchNorm::new(channels[1], init));
    layers.push(Activation::Relu);
    layers
}

/// PyTorch's first values, with a bias.
fn last(inputs: usize, classes: usize, init: &mut Init) -> Conv2d {
    Conv2d::new(inputs, classes, 1, Conv2dOptions::default(), init)
}

fn fcn_head(inputs: usize, config: &SegmentationConfig, init: &mut Init) -> Stack {
    let mut head = normed([inputs, inputs / 4], 3, 1, init);
    head.push(Dropout::new(if config.dropout { 0.1 } else { 0.0 }));
    head.push(last(inputs / 4, config.classes, init));
    head
}

/// Channels inside DeepLab's head.
const WIDTH: usize = 256;

fn deeplab_head(
    inputs: usize,
    rates: [usize; 3],
    config: &SegmentationConfig,
    init: &mut Init,
) -> Stack {
    let mut convs = Stack::new();
    convs.push(normed([inputs, WIDTH], 1, 1, init));
    for rate in rates {
        convs.push(normed([inputs, WIDTH], 3, rate, init));
    }
    // The pooling is layer 0 there.
    let layers = Stack::new()
        .with("1", conv([inputs, WIDTH], 1, Conv2dOptions::default(), init))
        .with("2", BatchNorm::new(WIDTH, init))
        .with("3", Activation::Relu);
    convs.push(PoolBranch { layers });
    let mut project = normed([convs.len() * WIDTH, WIDTH], 1, 1, init);
    project.push(Dropout::new(if config.dropout { 0.5 } else { 0.0 }));
    let mut head = Stack::new();
    head.push(Pyramid { convs, project });
    head.push(conv([WIDTH, WIDTH], 3, Conv2dOptions::default().padding(1), init));
    head.push(BatchNorm::new(WIDTH, init));
    head.push(Activation::Relu);
    head.push(last(WIDTH, config.classes, init));
    head
}

impl Layer for PoolBranch {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let y = self.layers.forward(&x.mean_keepdim([2, 3]), ctx);
        let shape = y.shape().with(2, x.size(2)).with(3, x.size(3));
        y.broadcast_to(shape)
    }
}

impl Layer for Pyramid {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let names: Vec<String> = (0..self.convs.len()).map(|index| index.to_string()).collect();
        let branches = names
            .iter()
            .filter_map(|name| self.convs.get(name).map(|branch| run(name, branch, x, ctx)));
        let branches: Vec<Tensor> = branches.collect();
        run("project", &self.project, &Tensor::concat(&branches, 1), ctx)
    }
}

impl Segmentation {
    /// Logits of each pixel, and those of the auxiliary head, which cost nothing where nobody asks for them.
    #[track_caller]
    pub fn forward_with_auxiliary(&self, x: &Tensor, ctx: &mut Context) -> AuxiliaryLogits {
        let [.., third, last] = ctx.within("backbone", |ctx| self.backbone.stages(x, ctx));
        let (height, width) = (x.size(2), x.size(3));
        let logits = run("classifier", &self.classifier, &last, ctx);
        let logits = bilinear(&logits, height, width);
        let head = self.aux_classifier.iter();
        let auxiliary =
            head.map(|head| bilinear(&run("aux_classifier", head, &third, ctx), height, width));
        AuxiliaryLogits { logits, auxiliary: auxiliary.collect() }
    }
}

impl Classifier for Segmentation {
    type Config = SegmentationConfig;
    const FAMILY: &'static str = "segmentation";

    fn new(config: &SegmentationConfig, init: &mut Init) -> Result<Self> {
        check_classes(Self::FAMILY, config.classes)?;
        let backbone = ResNetBackbone::new(&config.backbone, init)?;
        let [.., third, last] = config.backbone.channels();
        let classifier = match config.rates {
            Some(rates) => deeplab_head(last, rates, config, init),
            None => fcn_head(last, config, init),
        };
        let aux_classifier = config.auxiliary.then(|| fcn_head(third, config, init));
        Ok(Segmentation { backbone, classifier, aux_classifier })
    }

    fn fit(&mut self, weights: &mut StateDict) {
        if self.aux_classifier.is_none() {
            let kept = |name: &str| !name.starts_with("aux_classifier.");
            *weights = weights.rename(|name| kept(name).then(|| name.to_owned()));
        }
    }

    fn replace_head(&mut self, classes: usize, init: &mut Init) -> Result<()> {
        check_classes(Self::FAMILY, classes)?;
        for head in [Some(&mut self.classifier), self.aux_classifier.as_mut()].into_iter().flatten()
        {
            let inputs = head.last_inputs();
            head.replace_last(last(inputs, classes, init));
        }
        Ok(())
    }
}

impl Layer for Segmentation {
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.forward_with_auxiliary(x, ctx).logits
    }
}
