//! A training loop through the whole stack: it learns, replays its plan, allocates nothing, and submits
//! once a step.

use gradloom_autodiff::grad;
use gradloom_tensor::{Device, Tensor, commit};

use crate::harness::{alone, devices, numbers};

fn tensor(count: usize, shape: &[usize], seed: u64, device: &Device) -> Tensor {
    let values: Vec<f32> = numbers(count, seed).into_iter().map(|v| v as f32).collect();
    Tensor::from_slice(&values, shape, device).unwrap()
}

#[test]
fn a_training_loop_replays_without_allocating() {
    let _alone = alone();
    for device in devices() {
        let x = tensor(64 * 8, &[64, 8], 1, &device);
        let target = x.slice(gradloom_tensor::s![.., 0..1]) * 2.0;
        let mut first = (tensor(8 * 32, &[8, 32], 2, &device) * 0.3).detach();
        let mut second = (tensor(32, &[32, 1], 3, &device) * 0.3).detach();
        commit((&mut first, &mut second)).unwrap();
        let mut losses = Vec::new();
        let mut steady = None;
        for step in 0..40 {
            let (w1, w2) = (first.tracked(), second.tracked());
            let hidden = x.matmul(&w1).tanh();
            let error = hidden.matmul(&w2) - &target;
            let loss = (&error * &error).mean(..);
            let gradients = grad(&loss, &[&w1, &w2]);
            first = w1 - &gradients[0] * 0.3;
            second = w2 - &gradients[1] * 0.3;
            let mut loss = loss;
            drop(gradients);
            commit((&mut first, &mut second, &mut loss)).unwrap();
            losses.push(loss.item().unwrap());
            if step == 9 {
                steady = Some(device.statistics());
            }
        }
        assert!(losses[39] < losses[0] * 0.05, "{losses:?}");
        let (before, after) = (steady.unwrap(), device.statistics());
        assert_eq!(after.system_allocations, before.system_allocations);
        assert_eq!(after.plans, before.plans);
        assert_eq!(after.replays, before.replays + 30);
        // A step and the download of its loss.
        assert_eq!(after.submissions, before.submissions + 60);
        println!("{} dispatches a step", (after.kernels - before.kernels) / 30);
    }
}
