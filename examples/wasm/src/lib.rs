//! Trains a small convolutional network on embedded digits with the async forms, as a browser's main thread
//! would, on the CPU device, whose futures are ready at their first poll.

use std::pin::pin;
use std::task::{Context as PollContext, Poll, Waker};

use gradloom::data::transform::Scale;
use gradloom::data::{Loader, mnist};
use gradloom::nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::{commit_async, scan};

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

/// For the host of the module: trains, and gives where the losses are, or 0 if that failed. They stay.
#[unsafe(no_mangle)]
pub extern "C" fn losses(steps: u32) -> *const f64 {
    match now(train(steps as usize)) {
        Ok(losses) => losses.leak().as_ptr(),
        Err(_) => std::ptr::null(),
    }
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
