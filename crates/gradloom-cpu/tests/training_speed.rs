//! The rate at which a small convolutional network trains, printed rather than asserted:
//! `cargo test --release -p gradloom-cpu --test training_speed -- --ignored --nocapture`.
//! With `GRADLOOM_PROFILE=1` the time of each kernel follows.

use std::time::Instant;

use gradloom_autodiff::grad;
use gradloom_cpu::CpuBackend;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::ops::pooling::PoolOptions;
use gradloom_tensor::{Device, Key, Tensor, commit};

/// Images per step.
const BATCH: usize = 64;

fn forward(images: &Tensor, weights: &[Tensor]) -> Tensor {
    let conv = |x: &Tensor, layer: usize, channels: usize| {
        let bias = weights[2 * layer + 1].reshape([1, channels, 1, 1]);
        let y = x.conv2d(&weights[2 * layer], &Conv2dOptions::default());
        (y + bias).relu().max_pool2d(&PoolOptions::new([2, 2]))
    };
    let linear =
        |x: &Tensor, layer: usize| x.matmul(&weights[2 * layer].t()) + &weights[2 * layer + 1];
    let x = conv(&conv(images, 0, 32), 1, 64);
    let hidden = linear(&x.reshape([BATCH, 1600]), 2).relu();
    linear(&hidden, 3)
}

/// One step of Adam on one weight.
fn adam(weight: &Tensor, gradient: &Tensor, mean: &mut Tensor, square: &mut Tensor) -> Tensor {
    *mean = &*mean * 0.9 + gradient * 0.1;
    *square = &*square * 0.999 + gradient * gradient * 0.001;
    weight - (&*mean * 1e-3) / (square.sqrt() + 1e-8)
}

fn weights(device: &Device) -> Vec<Tensor> {
    let shapes: [&[usize]; 8] =
        [&[32, 1, 3, 3], &[32], &[64, 32, 3, 3], &[64], &[512, 1600], &[512], &[10, 512], &[10]];
    let mut key = Key::new(1);
    let make = |shape: &[usize]| {
        key = key.fold(1);
        let fan_in: usize = shape[1..].iter().product();
        let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
        Tensor::uniform(key, shape, -bound, bound, device).tracked()
    };
    shapes.into_iter().map(make).collect()
}

#[test]
#[ignore = "prints times"]
fn images_per_second() {
    for threads in [1, 2] {
        let device = CpuBackend::new(Some(threads)).expect("threads").into_device();
        let mut weights = weights(&device);
        let mut means: Vec<Tensor> = weights.iter().map(Tensor::zeros_like).collect();
        let mut squares: Vec<Tensor> = weights.iter().map(Tensor::zeros_like).collect();
        commit((&mut weights, &mut means, &mut squares)).expect("weights");
        let shape = [BATCH, 1, 28, 28];
        let images = Tensor::uniform(Key::new(2), shape, 0.0, 1.0, &device);
        let mut targets = Tensor::randint(Key::new(3), [BATCH], 0, 10, &device);
        let mut images = images;
        commit((&mut images, &mut targets)).expect("data");
        let mut least = f64::INFINITY;
        let (mut first, mut last) = (None, 0.0);
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < 4.0 {
            let step = Instant::now();
            let mut loss = forward(&images, &weights).cross_entropy(&targets);
            let gradients = grad(&loss, &weights.iter().collect::<Vec<_>>());
            for index in 0..weights.len() {
                weights[index] = adam(
                    &weights[index],
                    &gradients[index],
                    &mut means[index],
                    &mut squares[index],
                );
            }
            drop(gradients);
            commit((&mut weights, &mut means, &mut squares, &mut loss)).expect("a step");
            last = loss.item().expect("a loss");
            first.get_or_insert(last);
            least = least.min(step.elapsed().as_secs_f64());
        }
        println!(
            "{}: {:.2} ms per step, {:.0} images/s; loss {:.3} to {last:.3}",
            device.name(),
            least * 1e3,
            BATCH as f64 / least,
            first.unwrap_or_default()
        );
        println!("{:?}", device.statistics());
        if let Some(profile) = gradloom_plan::profile::active() {
            println!("{}", profile.table(gradloom_plan::profile::By::Kernel));
        }
    }
}
