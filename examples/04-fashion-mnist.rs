//! Trains a convolutional network on the 60,000 images of Fashion-MNIST.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release --example 04-fashion-mnist`, which takes
//! two to three minutes on two cores with AVX-512
#![forbid(unsafe_code)]

use examples::Failure;
use examples::classifier::Task;
use examples::options::{Options, Program};
use gradloom::data::transform::{Normalize, RandomCrop, RandomFlip, Scale};
use gradloom::data::{FashionMnist, Split};
use gradloom::nn::layers::{Conv2d, Dropout, Flatten, Linear, MaxPool2d};
use gradloom::prelude::*;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "04-fashion-mnist",
        source: include_str!("04-fashion-mnist.rs"),
        epochs: 10,
        epoch: "passes over the data",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let train = FashionMnist::load(&options.data, Split::Train)?;
    let test = FashionMnist::load(&options.data, Split::Test)?;
    let classes = train.class_names().to_vec();
    let normalize = || Normalize::new([0.2860], [0.3530]);
    let mut init = Init::new(Key::new(options.seed), &device);
    let model = Sequential::new()
        .with(Conv2d::new(1, 32, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(32, 64, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(1600, 512, &mut init))
        .with(Activation::Relu)
        .with(Dropout::new(0.3))
        .with(Linear::new(512, 10, &mut init));
    let task = Task {
        model,
        optimizer: Sgd::new(0.05).momentum(0.9).weight_decay(5e-4),
        schedule: |steps| Schedule::one_cycle(0.06, steps),
        train,
        test,
        augment: (RandomCrop::new(28, 28, 1), RandomFlip::new(0.5), Scale, normalize()),
        normalize: (Scale, normalize()),
        classes,
    };
    task.run(&options, &device)?;
    Ok(())
}
