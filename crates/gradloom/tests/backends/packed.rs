//! What the processor makes of weights and keeps, and convolutions by transforms: the values are those of the
//! weights as they are now, and of the sums.

use gradloom::nn::layers::{Conv2d, Flatten, Linear};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;

use crate::cpus;

/// Convolutions of every kind that packs weights, and a product.
fn model(device: &Device) -> Sequential {
    let init = &mut Init::new(Key::new(3), device);
    let options = |stride: usize| Conv2dOptions::default().padding(1).stride(stride);
    Sequential::new()
        .with(Conv2d::new(16, 32, [3, 3], options(1), init))
        .with(Activation::Relu)
        .with(Conv2d::new(32, 24, [3, 3], options(2), init))
        .with(Conv2d::new(24, 24, [3, 3], options(1).groups(24), init))
        .with(Activation::Relu)
        .with(Conv2d::new(24, 17, [1, 1], Conv2dOptions::default(), init))
        .with(Flatten)
        .with(Linear::new(17 * 49, 20, init))
}

#[test]
fn packed_weights_are_those_of_now() {
    for device in cpus() {
        let x = Tensor::normal(Key::new(1), [6, 16, 14, 14], 0.0, 1.0, &device);
        let y = Tensor::randint(Key::new(2), [6], 0, 20, &device);
        eval([&x, &y]).unwrap();
        let (x, y) = (x.detach(), y.detach());
        let train = |looks: usize| {
            let mut model = model(&device);
            let mut optimizer = Sgd::new(0.05).momentum(0.9);
            let mut ctx = Context::train(Key::new(4));
            let look =
                |model: &Sequential| model.forward(&x, &mut Context::eval()).to_bytes().unwrap();
            for _ in 0..3 {
                for _ in 0..looks {
                    look(&model);
                }
                // Gradients of several batches with the same weights, then weights that are overwritten.
                let loss = model.forward(&x, &mut ctx).cross_entropy(&y);
                let gradients = gradients(&loss, &model);
                optimizer.step(&gradients, &mut model);
                drop((loss, gradients));
                commit((&mut model, &mut optimizer)).unwrap();
            }
            look(&model)
        };
        let never = train(0);
        assert!(never == train(1) && never == train(4), "{}: old weights", device.name());
    }
}

#[test]
fn convolutions_by_transforms_agree_with_f64() {
    for device in cpus() {
        for (batch, channels, outputs, size, padding) in
            [(2, 16, 16, [12, 12], 1), (1, 40, 24, [21, 10], 0), (9, 32, 20, [7, 7], 1)]
        {
            let normal = |key: u64, shape: &[usize]| {
                Tensor::normal(Key::new(key), shape, 0.0, 1.0, &device).detach()
            };
            let x = normal(1, &[batch, channels, size[0], size[1]]);
            let w = normal(2, &[outputs, channels, 3, 3]);
            let b = normal(3, &[outputs]);
            let [height, width] = size.map(|size| size + 2 * padding - 2);
            let c = normal(4, &[batch, outputs, height, width]);
            eval([&x, &w, &b, &c]).unwrap();
            let options = Conv2dOptions::default().padding(padding);
            let values = |dtype: DType| {
                let [x, w, b, c] = [&x, &w, &b, &c].map(|tensor| tensor.cast(dtype).detach());
                let y = x.conv2d(&w, &options) + b.reshape([1, outputs, 1, 1]);
                let y = (y * 0.05).tanh();
                let gradients = grad(&(&y * &c).sum(..), &[&x, &w]);
                [y, gradients[0].clone(), gradients[1].clone()]
                    .map(|value| value.cast(DType::F64).to_vec::<f64>().unwrap())
            };
            for (found, expected) in values(DType::F32).iter().zip(&values(DType::F64)) {
                let largest = expected.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
                for (found, expected) in found.iter().zip(expected) {
                    let error = (found - expected).abs() / largest;
                    assert!(error < 1e-5, "{}: {found} instead of {expected}", device.name());
                }
            }
        }
    }
}
