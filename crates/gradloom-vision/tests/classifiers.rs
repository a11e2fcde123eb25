//! Classifiers against torchvision's and timm's: `golden/make.py` wrote their logits, and the projections and norms of every
//! gradient and running statistic, outside training and in it.

mod support;

use gradloom_nn::{Context, Init, Layer};
use gradloom_tensor::{Key, Tensor, commit};
use gradloom_vision::{
    AlexNet, AlexNetConfig, AuxiliaryLogits, Classifier, ConvNeXt, ConvNeXtConfig, Craft,
    CraftConfig, DenseNet, DenseNetConfig, EfficientNet, EfficientNetConfig, GoogLeNet,
    GoogLeNetConfig, InceptionV3, InceptionV3Config, MobileNetV2, MobileNetV2Config, MobileNetV3,
    MobileNetV3Config, ResNet, ResNetConfig, Segmentation, SegmentationConfig, UNet, UNetConfig,
    Vgg, VggConfig, VisionTransformer, VisionTransformerConfig,
};
use support::Golden;

const CLASSES: usize = 7;

fn plain<M: Layer>(model: &M, x: &Tensor, ctx: &mut Context) -> AuxiliaryLogits {
    AuxiliaryLogits { logits: model.forward(x, ctx), auxiliary: Vec::new() }
}

#[track_caller]
fn check<M: Classifier>(case: &str, config: &M::Config) {
    Golden::open(case).check::<M>(config, plain);
}

#[test]
fn alexnet_is_torchvisions() {
    check::<AlexNet>("alexnet", &AlexNetConfig { classes: CLASSES, hidden: 32, dropout: 0.0 });
}

#[test]
fn vgg_is_torchvisions() {
    let stages = vec![vec![8], vec![12], vec![16, 16], vec![16], vec![16]];
    let config = VggConfig { stages, hidden: 32, dropout: 0.0, ..VggConfig::vgg11() };
    let config = config.classes(CLASSES);
    check::<Vgg>("vgg", &config);
    check::<Vgg>("vgg_bn", &config.batch_norm());
}

#[test]
fn resnet_is_torchvisions() {
    let config = ResNetConfig::new(false, [1, 2, 1, 1]).classes(CLASSES);
    check::<ResNet>("resnet_basic", &config);
    let config = ResNetConfig::new(true, [1, 2, 1, 1]).classes(CLASSES);
    check::<ResNet>("resnet_bottleneck", &config);
    let config = ResNetConfig::new(true, [1, 1, 2, 2]).classes(CLASSES);
    check::<ResNet>("resnet_dilated", &config.dilated([false, true, true]));
}

#[test]
fn resnext_and_wide_resnet_are_torchvisions() {
    let resnext = ResNetConfig { layers: [1; 4], ..ResNetConfig::resnext50_32x4d() };
    check::<ResNet>("resnext", &resnext.classes(CLASSES));
    let wide = ResNetConfig { layers: [1; 4], ..ResNetConfig::wide_resnet50_2() };
    check::<ResNet>("wide_resnet", &wide.classes(CLASSES));
}

#[test]
fn se_resnet_is_timms() {
    let config = ResNetConfig::new(false, [1; 4]).squeeze().classes(CLASSES);
    check::<ResNet>("se_resnet", &config);
    let config = ResNetConfig::new(true, [1; 4]).squeeze().classes(CLASSES);
    check::<ResNet>("se_resnet_bottleneck", &config);
}

#[test]
fn densenet_is_torchvisions() {
    let config = DenseNetConfig {
        growth: 8,
        layers: [2, 3, 2, 2],
        stem: 16,
        ..DenseNetConfig::densenet121().classes(CLASSES)
    };
    check::<DenseNet>("densenet", &config);
}

#[test]
fn googlenet_is_torchvisions() {
    let config = GoogLeNetConfig { dropout: 0.0, auxiliary_dropout: 0.0, ..GoogLeNetConfig::new() };
    Golden::open("googlenet")
        .check::<GoogLeNet>(&config.classes(CLASSES), GoogLeNet::forward_with_auxiliary);
    let config = GoogLeNetConfig { dropout: 0.0, ..GoogLeNetConfig::published() };
    check::<GoogLeNet>("googlenet_published", &config.classes(CLASSES));
}

#[test]
fn inception_v3_is_torchvisions() {
    let config = InceptionV3Config { dropout: 0.0, ..InceptionV3Config::new() };
    Golden::open("inception_v3")
        .check::<InceptionV3>(&config.classes(CLASSES), InceptionV3::forward_with_auxiliary);
}

#[test]
fn mobilenets_are_torchvisions() {
    let config = MobileNetV2Config { width: 0.35, dropout: 0.0, ..MobileNetV2Config::new() };
    check::<MobileNetV2>("mobilenet_v2", &config.classes(CLASSES));
    let config = MobileNetV3Config { width: 0.5, dropout: 0.0, ..MobileNetV3Config::small() };
    check::<MobileNetV3>("mobilenet_v3", &config.classes(CLASSES));
}

fn still(config: EfficientNetConfig) -> EfficientNetConfig {
    EfficientNetConfig { dropout: 0.0, stochastic_depth: 0.0, ..config }.classes(CLASSES)
}

#[test]
fn efficientnet_is_torchvisions() {
    let config = EfficientNetConfig::scaled(0.5, 0.5, 0.0);
    check::<EfficientNet>("efficientnet", &still(config));
    let mut config = EfficientNetConfig::v2_s();
    config.last = Some(96);
    let [first, second, .., third] = [0, 1, 3].map(|index| config.stages[index]);
    let mut stages = vec![first, second, third, third];
    (stages[0].blocks, stages[1].blocks) = (1, 2);
    (stages[2].inputs, stages[2].outputs, stages[2].blocks) = (48, 64, 2);
    stages[3] = config.stages[4];
    (stages[3].inputs, stages[3].outputs, stages[3].blocks) = (64, 80, 1);
    config.stages = stages;
    check::<EfficientNet>("efficientnet_v2", &still(config));
}

#[test]
fn efficientnet_lite0_is_timms() {
    check::<EfficientNet>("efficientnet_lite0", &still(EfficientNetConfig::lite0()));
    let config = still(EfficientNetConfig::tensorflow_lite0());
    check::<EfficientNet>("efficientnet_lite0_tensorflow", &config);
}

#[test]
fn convnext_is_torchvisions() {
    let config = ConvNeXtConfig {
        channels: [8, 16, 24, 32],
        blocks: [1, 2, 1, 1],
        stochastic_depth: 0.0,
        ..ConvNeXtConfig::tiny().classes(CLASSES)
    };
    check::<ConvNeXt>("convnext", &config);
}

#[test]
fn vision_transformer_is_torchvisions() {
    let config = VisionTransformerConfig {
        picture: 32,
        patch: 8,
        layers: 2,
        heads: 4,
        features: 32,
        hidden: 64,
        ..VisionTransformerConfig::b_16().classes(CLASSES)
    };
    check::<VisionTransformer>("vision_transformer", &config);
}

#[test]
fn segmentation_is_torchvisions() {
    let [fcn, deeplab] =
        [SegmentationConfig::fcn_resnet50(), SegmentationConfig::deeplab_v3_resnet50()];
    for (case, config) in [("fcn", fcn), ("deeplab_v3", deeplab)] {
        let backbone = ResNetConfig { layers: [1; 4], ..config.backbone };
        let config = SegmentationConfig { backbone, dropout: false, classes: CLASSES, ..config };
        Golden::open(case).check::<Segmentation>(&config, Segmentation::forward_with_auxiliary);
    }
}

#[test]
fn a_residual_network_runs_in_few_kernels() {
    // Of its own: kernels are counted.
    let device = gradloom_cpu::CpuBackend::new(Some(2)).unwrap().into_device();
    let init = &mut Init::new(Key::new(0), &device);
    let mut model = ResNet::new(&ResNetConfig::resnet18(), init).unwrap();
    commit(&mut model).unwrap();
    let pictures = Tensor::uniform(Key::new(1), [1, 3, 64, 64], -1.0, 1.0, &device);
    pictures.eval().unwrap();
    let before = device.statistics();
    model.forward(&pictures, &mut Context::eval()).eval().unwrap();
    let kernels = device.statistics().since(&before).kernels;
    println!("{kernels} kernels");
    assert!(kernels <= 25, "{kernels} kernels for 20 convolutions, two poolings and a product");
}

#[test]
fn craft_is_the_originals() {
    check::<Craft>("craft", &CraftConfig::default());
}

#[test]
fn unet_is_pytorch_unets() {
    let config = UNetConfig { width: 8, ..UNetConfig::new(3, CLASSES) };
    check::<UNet>("unet", &config);
    check::<UNet>("unet_bilinear", &UNetConfig { bilinear: true, ..config });
}
