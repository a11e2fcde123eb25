//! Times of integrated gradients and KernelSHAP, to be read beside those of `golden/speed.py`:
//! `cargo test --release -p gradloom-explain --test explain -- --ignored --nocapture speed`.

use std::time::Instant;

use gradloom_explain::*;
use gradloom_nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom_nn::{Activation, Init, Sequential};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Key, Tensor};

#[test]
#[ignore = "measures, and asserts nothing"]
fn speed() {
    let device = gradloom_cpu::device();
    let init = &mut Init::new(Key::new(0), &device);
    let padded = || Conv2dOptions::default().padding(1);
    let cnn = Sequential::new()
        .with(Conv2d::new(1, 16, 3, padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(16, 32, 3, padded(), init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(32 * 49, 128, init))
        .with(Activation::Relu)
        .with(Linear::new(128, 10, init));
    let forward = Forward::of(&cnn);
    let x = Tensor::normal(Key::new(1), [8, 1, 28, 28], 0.0, 1.0, &device);
    let one = x.narrow(0, 0, 1);
    [&x, &one].into_iter().for_each(|x| x.eval().unwrap());
    let squares = Features::grid(&[1, 28, 28], [4, 4]).unwrap();
    let shap = |per_eval| KernelShap {
        features: Some(squares.clone()),
        samples: 500,
        perturbations_per_eval: per_eval,
        ..KernelShap::new(Key::new(0))
    };
    let (one_by_one, batched, fitting) = (shap(Some(1)), shap(Some(50)), shap(None));
    let integrated = IntegratedGradients::default();
    let methods: [(&str, &dyn Method, &Tensor); 4] = [
        ("integrated gradients, 50 steps, 8 digits", &integrated, &x),
        ("KernelSHAP, 500 samples, one at a time", &one_by_one, &one),
        ("KernelSHAP, 500 samples, 50 at a time", &batched, &one),
        ("KernelSHAP, 500 samples, as many as fit", &fitting, &one),
    ];
    for (name, method, x) in methods {
        let mut times: Vec<f64> = (0..9)
            .map(|_| {
                let start = Instant::now();
                let found =
                    method.attribute(&forward, &Inputs::from(x), &Target::Class(3)).unwrap();
                found.first().to_vec::<f32>().unwrap();
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{name}: {:.1} ms", 1e3 * times[4]);
    }
}
