//! Trains a convolutional network on 4,000 embedded handwritten digits and measures it on 1,000 others.
//!
//! `cargo run --release --example 03-train-digits`, which takes 8 seconds on two cores of a Zen 5
//!
//! Prints progress, accuracy and per-class figures; writes the weights and a report with curves, confusion
//! matrix and worst mistakes into `out/03-train-digits`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::classifier::Task;
use examples::options::{Options, Program};
use gradloom::data::mnist;
use gradloom::data::transform::{Normalize, RandomCrop, RandomRotation, Scale};
use gradloom::nn::layers::{Conv2d, Dropout, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "03-train-digits",
        source: include_str!("03-train-digits.rs"),
        epochs: 12,
        epoch: "passes over the data",
        batch_size: 64,
        data: "",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let (train, test) = mnist::embedded_split()?;
    let normalize = || Normalize::new([0.1307], [0.3081]);
    let mut init = Init::new(Key::new(options.seed), &device);
    let padded = || Conv2dOptions::default().padding(1);
    let model = Sequential::new()
        .with(Conv2d::new(1, 24, [3, 3], padded(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(24, 48, [3, 3], padded(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(48 * 7 * 7, 128, &mut init))
        .with(Activation::Relu)
        .with(Dropout::new(0.3))
        .with(Linear::new(128, 10, &mut init));
    let task = Task {
        model,
        optimizer: Sgd::new(0.05).momentum(0.9).nesterov(true).weight_decay(5e-4),
        schedule: |steps| Schedule::one_cycle(0.08, steps),
        train,
        test,
        augment: (RandomRotation::degrees(10.0), RandomCrop::new(28, 28, 2), Scale, normalize()),
        normalize: (Scale, normalize()),
        classes: (0..10).map(|digit| digit.to_string()).collect(),
    };
    task.run(&options, &device)?;
    Ok(())
}
