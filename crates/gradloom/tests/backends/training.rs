//! What training shows: it learns, it repeats bit for bit, it replays, and memory stays flat.

use gradloom::nn::layers::{BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d};
use gradloom::prelude::*;

use crate::devices;

fn model(device: &Device) -> Sequential {
    let mut init = Init::new(Key::new(3), device);
    Sequential::new()
        .with(Conv2d::new(1, 4, [3, 3], Default::default(), &mut init))
        .with(BatchNorm::new(4, &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Dropout::new(0.1))
        .with(Linear::new(4 * 5 * 5, 3, &mut init))
}

/// Images whose class is where their bright stripe lies.
fn batch(device: &Device) -> (Tensor, Tensor) {
    let labels = Tensor::arange(12, device) % 3;
    let rows = Tensor::iota([12, 1, 12, 12], 2, device) / 4;
    let stripe = rows.eq(labels.reshape([12, 1, 1, 1])).cast(DType::F32);
    let noise = Tensor::normal(Key::new(9), [12, 1, 12, 12], 0.0, 0.3, device);
    let (images, labels) = ((stripe + noise).detach(), labels.detach());
    eval([&images, &labels]).unwrap();
    (images, labels)
}

struct Run {
    model: Sequential,
    optimizer: Adam,
    ctx: Context,
    images: Tensor,
    labels: Tensor,
}

impl Run {
    fn new(device: &Device) -> Run {
        let (images, labels) = batch(device);
        let ctx = Context::train(Key::new(1));
        Run { model: model(device), optimizer: Adam::new(0.01), ctx, images, labels }
    }

    fn step(&mut self) -> f64 {
        let mut loss = self.model.forward(&self.images, &mut self.ctx).cross_entropy(&self.labels);
        let gradients = gradients(&loss, &self.model);
        self.optimizer.step(&gradients, &mut self.model);
        self.ctx.apply_updates(&mut self.model);
        drop(gradients);
        commit((&mut self.model, &mut self.optimizer, &mut loss)).unwrap();
        loss.item().unwrap()
    }

    fn weights(&self) -> Vec<Vec<u8>> {
        let parameters = self.model.parameters();
        parameters.iter().map(|(_, parameter)| parameter.to_bytes().unwrap()).collect()
    }
}

#[test]
fn a_small_network_learns() {
    for device in devices() {
        let mut run = Run::new(&device);
        let first = run.step();
        let last = (0..60).map(|_| run.step()).last().unwrap();
        assert!(last < 0.1 * first, "{}: loss {first} to {last}", device.name());
        let mut ctx = Context::eval();
        let predicted = run.model.forward(&run.images, &mut ctx).argmax(-1);
        assert_eq!(predicted.to_vec::<i32>().unwrap(), run.labels.to_vec::<i32>().unwrap());
    }
}

#[test]
fn the_same_seed_gives_the_same_weights_bit_for_bit() {
    for device in devices() {
        let mut runs = [Run::new(&device), Run::new(&device)];
        for run in &mut runs {
            for _ in 0..5 {
                run.step();
            }
        }
        assert!(runs[0].weights() == runs[1].weights(), "{}", device.name());
    }
}
