//! (b) A convolutional network on pictures of CIFAR's kind, with augmentation.

use gradloom::data::transform::{Normalize, RandomCrop, RandomFlip, Scale};
use gradloom::data::{ImageDataset, Loader};
use gradloom::nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::train::{Fit, metrics::Accuracy};

pub(crate) fn train(train: ImageDataset, test: ImageDataset, device: &Device) -> Result<Fit> {
    let (classes, (mean, deviation)) = (train.class_count(), train.statistics());
    let normalize = (Scale, Normalize::new(mean, deviation));
    let augment = (RandomCrop::new(32, 32, 4), RandomFlip::new(0.5), normalize.clone());
    let train = Loader::images(train, augment).batch_size(20).shuffle(Key::new(1)).workers(2);
    let test = Loader::images(test, normalize).batch_size(100);
    let (init, padded) = (&mut Init::new(Key::new(0), device), Conv2dOptions::default().padding(1));
    let model = Sequential::new()
        .with(Conv2d::new(3, 8, [3, 3], padded, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(4))
        .with(Flatten)
        .with(Linear::new(8 * 8 * 8, classes, init));
    let mut trainer = Trainer::new(model, AdamW::new(3e-3), Tensor::cross_entropy)
        .epochs(4)
        .metric(Accuracy::new());
    trainer.fit(&train, &test)
}
