//! One shader serves a class of shapes: shaders are counted, never timed.

use gradloom_autodiff::grad;
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{DType, Device, Tensor};

use crate::harness::{alone, devices, numbers};

fn tensor(shape: &[usize], seed: u64, device: &Device) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> = numbers(count, seed).into_iter().map(|value| value as f32).collect();
    Tensor::from_vec(values, shape, device).unwrap()
}

/// Shaders that evaluating `roots` for each size compiles.
fn shaders(device: &Device, sizes: &[usize], roots: impl Fn(usize) -> Vec<Tensor>) -> u64 {
    let before = device.statistics().shaders;
    for &size in sizes {
        let roots = roots(size);
        gradloom_tensor::eval(roots.iter()).unwrap();
    }
    device.statistics().shaders - before
}

/// Sizes that differ in all that might count: parity, factors, powers of two, neighbours.
const SIZES: [usize; 14] = [5, 6, 7, 8, 9, 12, 16, 31, 33, 64, 65, 96, 127, 130];

#[test]
fn lengths_share_the_shaders_of_elementwise_work_and_rows() {
    let _alone = alone();
    for device in devices() {
        let bias = tensor(&[24], 1, &device);
        let elementwise = |length: usize| {
            let x = tensor(&[3, length, 24], 2, &device);
            let turned = x.permute(&[1, 0, 2]) * 1.7;
            vec![(&x + &bias).tanh(), turned, x.flip(1), x.pad(&[(0, 0), (1, 2), (0, 0)])]
        };
        let kernels = shaders(&device, &[11], elementwise);
        let all = shaders(&device, &SIZES, elementwise);
        // Four elements at a time where there are many of them, and one by one.
        assert!(all <= 2 * kernels, "{all} shaders, {kernels} for one length");

        let rows = |length: usize| {
            let x = tensor(&[6, length], 3, &device);
            vec![x.softmax(1), x.mean(1), x.layer_norm(1, None, None, 1e-5), x.max(0)]
        };
        let kernels = shaders(&device, &[11], rows);
        let all = shaders(&device, &SIZES, rows);
        assert!(all <= 2 * kernels, "{all} shaders, {kernels} for one length");
    }
}

#[test]
fn batches_share_the_shaders_of_convolutions() {
    let _alone = alone();
    for device in devices() {
        let weight = tensor(&[8, 3, 3, 3], 4, &device).tracked();
        let step = |batch: usize| {
            let x = tensor(&[batch, 3, 10, 10], 5, &device).tracked();
            let y = x.conv2d(&weight, &Conv2dOptions::default()).relu();
            let loss = y.square().mean(..);
            let gradients = grad(&loss, &[&weight, &x]);
            [vec![loss], gradients].concat()
        };
        let kernels = shaders(&device, &[11], step);
        let all = shaders(&device, &[2, 3, 4, 5, 7, 8, 12, 16, 20, 24], step);
        assert!(all <= 2 * kernels, "{all} shaders, {kernels} for one batch");
    }
}

#[test]
fn steps_at_other_offsets_share_their_shaders() {
    let _alone = alone();
    for device in devices() {
        // Stacked in one kernel, which some devices give 32 buffers.
        let (batch, steps, size) = (3, 24, 10);
        let x = tensor(&[batch, steps, size], 6, &device);
        let weight = tensor(&[size, size], 7, &device);
        let run = |steps: usize| {
            let mut state = Tensor::zeros([batch, size], DType::F32, &device);
            let mut states = Vec::new();
            for step in 0..steps {
                let input = x.narrow(1, step, 1).squeeze(1);
                state = (state.matmul(&weight) + input).tanh();
                states.push(state.clone());
            }
            vec![Tensor::stack(&states, 1)]
        };
        let all = shaders(&device, &[steps], run);
        assert!(all <= 8, "{all} shaders for {steps} steps");
    }
}

#[test]
fn a_thousand_shapes_compile_no_more_shaders_than_fifty() {
    let _alone = alone();
    for device in devices() {
        let sum = |size: usize| {
            let x = tensor(&[size], 8, &device);
            vec![(&x * 3.3 + 1.5).sum(0), x.cumsum(0)]
        };
        let sizes: Vec<usize> = (1..=1000).map(|step| step * 3 + 5).collect();
        let first = shaders(&device, &sizes[..50], sum);
        let rest = shaders(&device, &sizes[50..], sum);
        assert!(first + rest <= 2 * first, "{first} shaders, then {rest}");
        let statistics = device.statistics();
        assert!(statistics.plan_bytes <= 256 << 20, "{} bytes", statistics.plan_bytes);
    }
}

#[test]
fn equal_numbers_do_not_change_a_shader() {
    let _alone = alone();
    for device in devices() {
        let product = |size: usize| {
            let x = tensor(&[2, size, 40], 9, &device);
            vec![x.permute(&[2, 0, 1]) + 1.3]
        };
        shaders(&device, &[36], product);
        // A length that is the width, and one that is not.
        assert_eq!(shaders(&device, &[40, 44, 80], product), 0);
    }
}
