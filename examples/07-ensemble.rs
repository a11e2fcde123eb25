//! An ensemble of networks trained as one: five small networks learn the same noisy points of a wave from
//! different beginnings, all in the same products, and disagree where they have seen nothing (Lakshminarayanan,
//! Pritzel, Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", 2017).
//!
//! `cargo run --release --example 07-ensemble`, which takes a second
//!
//! `vmap` makes of one network, written as a function of its parameters, a network for each of many.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use gradloom::nn::layers::Linear;
use gradloom::nn::{stack_parameters, with_parameters};
use gradloom::prelude::*;

const MODELS: usize = 5;

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("07-ensemble.rs"))?;
    let mut init = Init::new(Key::new(0), &device);
    let models: Vec<Sequential> = (0..MODELS)
        .map(|_| {
            Sequential::new()
                .with(Linear::new(1, 32, &mut init))
                .with(Activation::Tanh)
                .with(Linear::new(32, 32, &mut init))
                .with(Activation::Tanh)
                .with(Linear::new(32, 1, &mut init))
        })
        .collect();
    let predict = |parameters: &[Parameter], x: &Tensor| -> Tensor {
        let one =
            |own: &[Tensor]| with_parameters(&models[0], own).forward(x, &mut Context::eval());
        let tensors: Vec<Tensor> = parameters.iter().map(|own| own.tensor().clone()).collect();
        vmap(one, 0, 0).call(&tensors)
    };

    // Points from -3 to 0 only.
    let x = Tensor::uniform(Key::new(1), [128, 1], -3.0, 0.0, &device);
    let y = (&x * 2.0).sin() + Tensor::normal(Key::new(2), [128, 1], 0.0, 0.1, &device);
    let (x, y) = (x.detach(), y.detach());
    let mut parameters: Vec<Parameter> =
        stack_parameters(&models).into_iter().map(Parameter::new).collect();
    let mut optimizer = Adam::new(0.01);
    let steps = if tiny { 3 } else { 500 };
    for step in 0..steps {
        // The sum over models: each model's gradient is that of its own error.
        let mut errors = (predict(&parameters, &x) - &y).square().mean([1, 2]);
        optimizer.step(&gradients(&errors.sum(..), &parameters), &mut parameters);
        commit((&mut parameters, &mut optimizer, &mut errors))?;
        if step % 100 == 0 || step + 1 == steps {
            println!("step {step}: squared errors {errors}");
        }
    }

    let places = Tensor::new([[-2.5f32], [-1.5], [-0.5], [1.5], [3.0]], &device)?;
    let predictions = predict(&parameters, &places);
    let (mean, spread) = (predictions.mean(0), predictions.std(0, 1));
    let rows = places.to_vec::<f32>()?.into_iter().zip(mean.to_vec::<f32>()?);
    println!("\n    x   sin 2x     mean   spread");
    for ((x, mean), spread) in rows.zip(spread.to_vec::<f32>()?) {
        println!("{x:5.1}  {:7.3}  {mean:7.3}  {spread:7.3}", (2.0 * x).sin());
    }
    Ok(())
}
