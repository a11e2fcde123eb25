//! Trains a small convolutional network on embedded digits with the async forms, as a browser's main thread
//! would, on the CPU device, whose futures are ready at their first poll; then a network with the training kit.

use std::pin::pin;
use std::task::{Context as PollContext, Poll, Waker};

use gradloom::data::transform::{RandomCrop, Scale};
use gradloom::data::{Dataset, Loader, mnist};
use gradloom::nn::layers::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::train::Ema;
use gradloom::train::metrics::Accuracy;
use gradloom::{commit_async, scan};

/// Epochs that are trained with the kit.
pub const EPOCHS: u32 = 2;

/// The losses of so many steps.
///
/// # Errors
/// None is expected.
pub async fn train(steps: usize) -> std::result::Result<Vec<f64>, Box<dyn std::error::Error>> {
    let device = Device::best_async().await?;
    let (digits, _) = mnist::embedded_split()?;
    let loader = Loader::images(digits, Scale).batch_size(32).shuffle(Key::new(1)).workers(2);
    let mut init = Init::new(Key::new(0), &device);
    let mut model = Sequential::new()
        .with(Conv2d::new(1, 8, [3, 3], Conv2dOptions::default().padding(1), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(8 * 14 * 14, 10, &mut init));
    let mut optimizer = Adam::new(1e-3);
    let mut ctx = Context::train(Key::new(2));
    let mut losses = Vec::new();
    for batch in loader.epoch(0).take(steps) {
        let (images, labels) = batch?.to_tensors(&device)?;
        let loss = model.forward(&images, &mut ctx).cross_entropy(&labels);
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit_async((&mut model, &mut optimizer)).await?;
        losses.push(loss.item_async().await?);
    }
    Ok(losses)
}

/// The result of a future that waits for nothing.
///
/// # Panics
/// If it does.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut PollContext::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the CPU device never waits"),
    }
}

/// The losses of epochs that the training kit trains, with validation, augmentation and averages.
///
/// # Errors
/// None is expected.
pub fn fit(epochs: u32) -> std::result::Result<Vec<f64>, Box<dyn std::error::Error>> {
    let (train, valid) = mnist::embedded_split()?;
    let (train, valid) = (train.subset((0..256).collect())?, valid.subset((0..64).collect())?);
    let augment = (RandomCrop::new(28, 28, 1), Scale);
    let train = Loader::images(train, augment).batch_size(32).shuffle(Key::new(1)).workers(2);
    let valid = Loader::images(valid, Scale).batch_size(64);
    let init = &mut Init::new(Key::new(0), &Device::cpu());
    let model = Sequential::new()
        .with(Flatten)
        .with(Linear::new(784, 32, init))
        .with(BatchNorm::new(32, init))
        .with(Activation::Relu)
        .with(Linear::new(32, 10, init));
    // Of halves and of Adam's first steps, another last bit of `exp` here than there would become large.
    let optimizer = Sgd::new(0.05).momentum(0.9);
    let mut trainer = Trainer::new(model, optimizer, Tensor::cross_entropy)
        .epochs(epochs)
        .ema(Ema::new(0.9))
        .metric(Accuracy::new())
        .callback(EarlyStopping::new("val_loss").restore_best(true));
    let fit = trainer.fit(&train, &valid)?;
    Ok([fit.history.curve("loss"), fit.history.curve("val_loss")].concat())
}

/// For the host of the module: trains step by step, then [`EPOCHS`] with the training kit, and gives where the
/// losses are, one for each step and two for each epoch, or 0 if that failed. They stay.
#[unsafe(no_mangle)]
pub extern "C" fn losses(steps: u32) -> *const f64 {
    match all_losses(steps, EPOCHS) {
        Ok(losses) => losses.leak().as_ptr(),
        Err(_) => std::ptr::null(),
    }
}

/// The losses of [`train`] and of [`fit`].
///
/// # Errors
/// None is expected.
pub fn all_losses(
    steps: u32,
    epochs: u32,
) -> std::result::Result<Vec<f64>, Box<dyn std::error::Error>> {
    Ok([now(train(steps as usize))?, fit(epochs)?].concat())
}

/// For the host of the module: 1 if [`sound`] is.
#[unsafe(no_mangle)]
pub extern "C" fn is_sound() -> u32 {
    u32::from(now(sound()).unwrap_or(false))
}

/// Whether what a small address space could break is right: integers of 64 bits, a loop, an error that an
/// evaluation reports.
///
/// # Errors
/// None is expected.
pub async fn sound() -> Result<bool> {
    let device = Device::cpu();
    let wide = Tensor::from_slice_async(&[1i64 << 40, 7], [2], &device).await?;
    let total = wide.sum(..).to_vec_async::<i64>().await?;

    let zero = Tensor::zeros([], DType::F32, &device);
    let steps = Tensor::from_slice_async(&[1f32, 2.0, 3.0], [3], &device).await?;
    let (_, sums) = scan(zero, steps, |sum, x| {
        let sum = sum + x;
        (sum.clone(), sum)
    });
    let sums = sums.to_vec_async::<f32>().await?;

    let index = Tensor::from_slice_async(&[3i32], [1], &device).await?;
    let outside = wide.index_select(0, &index).to_vec_async::<i64>().await;
    let told = outside.is_err_and(|error| error.to_string().contains("index_select"));
    Ok(total == [(1 << 40) + 7] && sums == [1.0, 3.0, 6.0] && told)
}
