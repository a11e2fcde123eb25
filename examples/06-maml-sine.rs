//! Model-agnostic meta-learning (Finn, Abbeel, Levine, 2017): learn weights from which one gradient
//! step on ten points of an unknown sine wave gives the whole wave.
//!
//! `cargo run --release --example 06-maml-sine`, which takes 8 seconds on two cores
//!
//! The outer gradient goes through the inner step: a gradient of a gradient, and nothing special. So the
//! size of the inner step can be learnt as well, one for each weight tensor (Li et al., "Meta-SGD", 2017).
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::device_and_tiny;
use gradloom::nn::init::Gain;
use gradloom::prelude::*;

const TASKS: usize = 25;
const SHOTS: usize = 10;

/// Weights of an MLP with two hidden layers, one copy for each of `TASKS` tasks or one for all.
type Weights = Vec<Tensor>;

fn forward(weights: &[Tensor], x: &Tensor) -> Tensor {
    let hidden = (x.matmul(&weights[0]) + &weights[1]).tanh();
    let hidden = (hidden.matmul(&weights[2]) + &weights[3]).tanh();
    hidden.matmul(&weights[4]) + &weights[5]
}

/// Mean squared error of each task, `[TASKS]`.
fn errors(weights: &[Tensor], (x, y): &(Tensor, Tensor)) -> Tensor {
    (forward(weights, x) - y).square().mean([1, 2])
}

/// One gradient step per task, differentiable in the weights and in the rates.
fn adapt(weights: &[Tensor], rates: &[Tensor], support: &(Tensor, Tensor)) -> Weights {
    let copies: Weights = weights.iter().map(|w| w.broadcast_to(per_task(w))).collect();
    let references: Vec<&Tensor> = copies.iter().collect();
    let gradients = grad(&errors(&copies, support).sum(..), &references);
    copies.iter().zip(gradients).zip(rates).map(|((w, g), rate)| w - &(g * rate)).collect()
}

/// The model's tensors: six weights, then a rate for each.
fn split(model: &[Parameter]) -> (Weights, Weights) {
    let tensors: Weights = model.iter().map(|parameter| (**parameter).clone()).collect();
    (tensors[..6].to_vec(), tensors[6..].to_vec())
}

fn per_task(weight: &Tensor) -> Shape {
    std::iter::once(TASKS).chain(weight.shape()[1..].iter().copied()).collect()
}

/// Sine waves of random amplitude and phase: points to learn from, and points to be measured on.
fn tasks(key: Key, device: &Device) -> [(Tensor, Tensor); 2] {
    let amplitude = Tensor::uniform(key.fold(0), [TASKS, 1, 1], 0.1, 5.0, device);
    let phase = Tensor::uniform(key.fold(1), [TASKS, 1, 1], 0.0, std::f64::consts::PI, device);
    [2, 3].map(|stream| {
        let x = Tensor::uniform(key.fold(stream), [TASKS, SHOTS, 1], -5.0, 5.0, device);
        let y = (&x - &phase).sin() * &amplitude;
        (x.detach(), y.detach())
    })
}

fn main() -> Result<(), Failure> {
    let (device, tiny) = device_and_tiny(include_str!("06-maml-sine.rs"))?;
    println!("on {}", device.name());
    let mut init = Init::new(Key::new(0), &device);
    let hidden = 64;
    let mut model: Vec<Parameter> = vec![
        init.uniform([1, 1, hidden], 1.0),
        init.uniform([1, 1, hidden], 3.0),
        init.xavier_normal([1, hidden, hidden], Gain::Tanh),
        init.zeros([1, 1, hidden]),
        init.xavier_normal([1, hidden, 1], Gain::Tanh),
        init.zeros([1, 1, 1]),
    ];
    model.extend((0..6).map(|_| init.full([1, 1, 1], 0.03)));
    let mut optimizer = Adam::new(2e-3);
    let steps = if tiny { 30 } else { 8000 };
    let schedule = Schedule::cosine(2e-3, steps);
    for step in 0..steps {
        let [support, query] = tasks(Key::new(1).fold(step as u32), &device);
        let (weights, rates) = split(&model);
        let loss = errors(&adapt(&weights, &rates, &support), &query).mean(..);
        drop((weights, rates));
        optimizer.set_learning_rate(schedule.at(step));
        optimizer.step(&gradients(&loss, &model), &mut model);
        commit((&mut model, &mut optimizer))?;
        if step % (steps / 10).max(1) == 0 {
            println!("step {step:5}: error after adaptation {:.4}", loss.item()?);
        }
    }
    let (mut before, mut after) = (0.0, 0.0);
    for round in 0..20 {
        let [support, query] = tasks(Key::new(2).fold(round), &device);
        let (weights, rates) = split(&model);
        let copies: Weights = weights.iter().map(|w| w.broadcast_to(per_task(w))).collect();
        before += errors(&copies, &query).mean(..).item()? / 20.0;
        after += errors(&adapt(&weights, &rates, &support), &query).mean(..).item()? / 20.0;
    }
    println!(
        "{} unseen waves: error {before:.4} before, {after:.4} after one step on {SHOTS} points",
        20 * TASKS
    );
    println!("ratio {:.3}", after / before);
    Ok(())
}
