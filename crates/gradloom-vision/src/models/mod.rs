//! The families of classifiers, one file each.

pub mod alexnet;
pub mod convnext;
pub mod craft;
pub mod densenet;
pub mod efficientnet;
mod efficientnet_names;
pub mod googlenet;
mod inception_modules;
mod inception_parts;
mod keras_names;
pub mod inception_v3;
pub mod metric_heads;
pub mod mobilenet_v2;
pub mod mobilenet_v3;
pub mod residual_dense;
pub mod resnet;
pub mod segmentation;
pub mod unet;
pub mod vgg;
pub mod vision_transformer;
pub mod yolo_v3_tiny;
pub mod yolo_v8;
