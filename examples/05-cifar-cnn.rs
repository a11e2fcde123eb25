//! Trains a convolutional network on CIFAR-10: conv 3-64-128, then 8192-512-10.
//!
//! `cargo run --release --example 05-cifar-cnn -- --data FOLDER`, where the folder holds the files of
//! "CIFAR-10 binary version (suitable for C programs)" from the data set's home page:
//! `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
//!
//! Learns with random crops out of pictures with four pixels of padding, flips, and SGD with momentum, and measures itself
//! after every epoch. Takes eight minutes on two cores with AVX-512.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::classifier::Task;
use examples::options::{Options, Program};
use gradloom::data::Split;
use gradloom::data::cifar::Cifar;
use gradloom::data::transform::{Normalize, RandomCrop, RandomFlip, Scale};
use gradloom::nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "05-cifar-cnn",
        source: include_str!("05-cifar-cnn.rs"),
        epochs: 10,
        epoch: "passes over the data",
        batch_size: 64,
        data: "assets/cifar-10",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    train(&options, &device)?;
    Ok(())
}

/// Trains on the files of a folder and returns the test accuracy.
pub(crate) fn train(options: &Options, device: &Device) -> Result<f64, Failure> {
    let how = "get \"CIFAR-10 binary version\" (cifar-10-binary.tar.gz) from the data set's home page \
               at the University of Toronto, unpack it, and name its folder with --data";
    let load = |split| {
        Cifar::Cifar10.load(&options.data, split).map_err(|error| format!("{error}\n{how}"))
    };
    let (train, test) = (load(Split::Train)?, load(Split::Test)?);
    let classes = train.class_names().to_vec();
    let normalize = || Normalize::new([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]);
    let mut init = Init::new(Key::new(options.seed), device);
    let padded = || Conv2dOptions::default().padding(1);
    let model = Sequential::new()
        .with(Conv2d::new(3, 64, [3, 3], padded(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(64, 128, [3, 3], padded(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(8192, 512, &mut init))
        .with(Activation::Relu)
        .with(Linear::new(512, 10, &mut init));
    let task = Task {
        model,
        optimizer: Sgd::new(0.01).momentum(0.9).weight_decay(5e-4),
        schedule: |steps| Schedule::cosine(0.02, steps),
        train,
        test,
        augment: (RandomCrop::new(32, 32, 4), RandomFlip::new(0.5), Scale, normalize()),
        normalize: (Scale, normalize()),
        classes,
    };
    task.run(options, device)
}
