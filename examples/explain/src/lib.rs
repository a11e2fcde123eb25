//! What the examples of explanations share: a network of digits, trained in a moment, and one of credits.
#![forbid(unsafe_code)]

pub mod credit;

use examples::Failure;
use gradloom::data::mnist;
use gradloom::data::transform::{Normalize, Scale};
use gradloom::data::{Batch, Dataset, Loader};
use gradloom::explain::{Forward, Inputs, Pgd, Target};
use gradloom::nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::train::{Outcome, Setting};

/// The hidden layer before the classes, by the name of its tap.
pub const HIDDEN: &str = "8.output";
/// The last maps, by the name of their tap.
pub const MAPS: &str = "4.output";

/// How far an attack moves each pixel: a tenth of the way from black to white.
pub const RADIUS: f64 = 0.1 / 0.3081;

/// Changes of digits, at most [`RADIUS`] in each pixel, that mislead a network: `steps` of them, one after another.
pub fn attack(steps: usize) -> Pgd {
    let mut attack = Pgd::new(RADIUS, 1.25 * RADIUS / steps as f64, steps);
    attack.step = attack.step.within(-0.1307 / 0.3081, (1.0 - 0.1307) / 0.3081);
    attack
}

/// A convolutional network, trained on embedded digits.
///
/// # Errors
/// If the device fails.
pub fn trained(device: &Device, tiny: bool) -> Result<Sequential, Failure> {
    taught(device, tiny, |_, images, _| Ok(images.clone()))
}

/// The same, trained on digits that are moved against it at every step, from a random place near them.
///
/// Wong, Rice, Kolter, "Fast is better than free: revisiting adversarial training", 2020.
///
/// # Errors
/// If the device fails.
pub fn trained_against_attacks(device: &Device, tiny: bool) -> Result<Sequential, Failure> {
    taught(device, tiny, |model, images, labels| {
        let inputs = Inputs::from(images);
        let classes = labels.to_vec::<i32>()?.into_iter().map(|label| label as usize);
        let attack = Pgd { random_start: Some(Key::new(2)), ..attack(1) };
        Ok(attack
            .perturb(&Forward::of(model), &inputs, &Target::Classes(classes.collect()))?
            .remove(0))
    })
}

/// `seen` says what the network sees of digits in a step.
fn taught(
    device: &Device,
    tiny: bool,
    seen: impl Fn(&Sequential, &Tensor, &Tensor) -> Result<Tensor>,
) -> Result<Sequential, Failure> {
    let (train, _) = mnist::embedded_split()?;
    let init = &mut Init::new(Key::new(0), device);
    let padded = || Conv2dOptions::default().padding(1);
    let model = Sequential::new()
        .with(Conv2d::new(1, 12, [3, 3], padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(12, 24, [3, 3], padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(24 * 7 * 7, 64, init))
        .with(Activation::Relu)
        .with(Linear::new(64, 10, init));
    let train = Loader::images(train, (Scale, Normalize::new([0.1307], [0.3081])))
        .batch_size(64)
        .shuffle(Key::new(1))
        .drop_last(true);
    let task = |model: &Sequential, batch: &Batch, ctx: &mut Context, _: &Setting| {
        let (images, labels) = batch.to_tensors(device)?;
        let logits = model.forward(&seen(model, &images, &labels)?, ctx);
        Ok(Outcome::new(logits.cross_entropy(&labels), labels.count()))
    };
    let mut trainer = Trainer::with_task(model, Adam::new(2e-3), task)
        .epochs(if tiny { 1 } else { 4 })
        .batches_per_epoch(if tiny { 3 } else { usize::MAX });
    trainer.fit_train(&train)?;
    Ok(trainer.model)
}

/// Digits that the network has not seen, `[N, 1, 28, 28]`, and what they are.
///
/// # Errors
/// If the device cannot take them.
pub fn unseen(device: &Device, count: usize) -> Result<(Tensor, Vec<usize>), Failure> {
    let (_, test) = mnist::embedded_split()?;
    let count = count.min(test.len());
    let loader =
        Loader::images(test, (Scale, Normalize::new([0.1307], [0.3081]))).batch_size(count);
    let batch = loader.epoch(0).next().ok_or("there are no digits")??;
    let (images, labels) = batch.to_tensors(device)?;
    let labels = labels.to_vec::<i32>()?.into_iter().map(|label| label as usize).collect();
    Ok((images, labels))
}
