//! Networks and parts for pictures in Gradloom.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod loading;

pub mod blocks;
mod classifier;
mod pretrained;
mod tensorflow;
mod stack;

pub mod models;

pub mod annotations;
pub mod boxes;
pub mod losses;
pub mod detection;
pub mod drawing;
pub mod generative;
pub mod faces;
mod imagenet;
mod letterbox;
mod preprocessing;
pub mod roi;

pub use classifier::{AuxiliaryLogits, Classifier};
pub use error::{Error, Result};
pub use imagenet::imagenet_classes;
pub use letterbox::{Letterbox, LetterboxPlace, tile, tiles};
pub use models::alexnet::{AlexNet, AlexNetConfig};
pub use models::convnext::{ConvNeXt, ConvNeXtConfig};
pub use models::craft::{Craft, CraftConfig};
pub use models::densenet::{DenseNet, DenseNetConfig};
pub use models::efficientnet::{EfficientNet, EfficientNetConfig};
pub use models::googlenet::{GoogLeNet, GoogLeNetConfig};
pub use models::inception_v3::{InceptionV3, InceptionV3Config};
pub use models::metric_heads::{ArcFace, CosFace, Siamese, contrastive_loss};
pub use models::mobilenet_v2::{MobileNetV2, MobileNetV2Config};
pub use models::mobilenet_v3::{MobileNetV3, MobileNetV3Config};
pub use models::residual_dense::{ResidualDense, ResidualDenseConfig};
pub use models::resnet::{ResNet, ResNetBackbone, ResNetConfig};
pub use models::segmentation::{Segmentation, SegmentationConfig};
pub use models::unet::{UNet, UNetConfig};
pub use models::vgg::{Vgg, VggConfig};
pub use models::vision_transformer::{VisionTransformer, VisionTransformerConfig};
pub use models::yolo_v3_tiny::{YoloV3Tiny, YoloV3TinyConfig};
pub use models::yolo_v8::{YoloV8, YoloV8Config};
pub use preprocessing::Preprocessing;
pub use pretrained::Pretrained;
pub use stack::Stack;
pub use tensorflow::{Layout, TensorFlowPreprocessing};

/// Runs the code of the page about vision as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/vision.md")]
struct PageAboutVision;

/// Runs the code of the page about making pictures as a test.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/generated-images.md")]
struct PageAboutMakingPictures;
