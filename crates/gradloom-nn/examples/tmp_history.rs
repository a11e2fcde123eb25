use gradloom_nn::{
    layers::{Layer, Linear},
    *,
};
use gradloom_tensor::*;
use std::time::Instant;
fn rss() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<u64>()
        .unwrap()
        / 1024
}
fn main() {
    let kind = std::env::args().nth(1).unwrap();
    let steps: usize = std::env::args().nth(2).unwrap().parse().unwrap();
    let device = gradloom_cpu::CpuBackend::new(Some(1)).unwrap().into_device();
    let mut model = Linear::new(8, 8, &mut Init::new(Key::new(0), &device));
    let mut optimizer = AdamW::new(0.01);
    let x = Tensor::ones([4, 8], DType::F32, &device);
    let y = Tensor::zeros([4, 8], DType::F32, &device);
    let mut total = Tensor::zeros((), DType::F32, &device);
    let start = Instant::now();
    for step in 0..steps {
        let mut loss = model.forward(&x, &mut Context::train(Key::new(0))).mse_loss(&y);
        let g = gradients(&loss, &model);
        optimizer.step(&mut model, &g);
        match &*kind {
            "item" => {
                loss.item().unwrap();
            }
            "total-commit-without-loss" => {
                total = &total + &loss;
                commit(&mut (&mut model, &mut optimizer)).unwrap();
            }
            "total-before-commit-with-loss" => {
                total = &total + &loss;
                commit(&mut (&mut model, &mut optimizer, &mut loss)).unwrap();
            }
            "total-after-commit-with-loss" => {
                commit(&mut (&mut model, &mut optimizer, &mut loss)).unwrap();
                total = &total + &loss;
            }
            "total-after-commit-without-loss" => {
                commit(&mut (&mut model, &mut optimizer)).unwrap();
                total = &total + &loss;
            }
            "total-detached" => {
                total = &total + &loss.detach();
                commit(&mut (&mut model, &mut optimizer)).unwrap();
            }
            "total-committed" => {
                total = &total + &loss;
                commit(&mut (&mut model, &mut optimizer, &mut total)).unwrap();
            }
            "detached-with-loss" => {
                total = &total + &loss.detach();
                commit(&mut (&mut model, &mut optimizer, &mut loss)).unwrap();
            }
            "commit-loss-only" => {
                total = &total + &loss;
                commit(&mut loss).unwrap();
            }
            "commit-total-only" => {
                total = &total + &loss;
                commit(&mut total).unwrap();
            }
            "model-and-item" => {
                total = &total + &loss;
                commit(&mut model).unwrap();
                loss.item().unwrap();
            }
            "model-only" => {
                total = &total + &loss;
                commit(&mut model).unwrap();
            }
            _ => panic!(),
        }
        if (step + 1) % (steps / 4).max(1) == 0 {
            println!(
                "{kind} {} steps {:?} {} MiB plans {} replays {}",
                step + 1,
                start.elapsed(),
                rss(),
                device.statistics().plans,
                device.statistics().replays
            );
        }
    }
    let end = Instant::now();
    println!("total {:?} in {:?} {} MiB", total.item(), end.elapsed(), rss());
}
