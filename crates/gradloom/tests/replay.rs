//! What belongs to a whole device, one test at a time: how many kernels and submissions a training step
//! takes, that a repeated step plans nothing, asks the system for no memory and leaves no more of it in
//! use, and that index errors which a kernel finds come back with the op and the line.

use std::sync::{Mutex, MutexGuard, PoisonError};

use gradloom::Statistics;
use gradloom::nn::layers::{
    AttentionMask, Conv2d, Flatten, LayerNorm, Linear, MaxPool2d, MultiHeadAttention,
};
use gradloom::prelude::*;
use gradloom::profile::{By, Recording, Table};

/// Held by each test: counters and pending index errors are the device's, whoever evaluates.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Steps over which memory must stay flat.
const STEPS: usize = 1000;

fn devices() -> Vec<Device> {
    let gpus = Device::gpus();
    let required = std::env::var_os("GRADLOOM_REQUIRE_GPU").is_some_and(|value| value == "1");
    assert!(!gpus.is_empty() || !required, "GRADLOOM_REQUIRE_GPU=1, but there is no GPU adapter");
    if gpus.is_empty() {
        eprintln!("SKIPPED on GPUs: no adapter found; install a Vulkan driver to run this test");
    }
    std::iter::once(Device::cpu()).chain(gpus).collect()
}

/// Conv 1-32-64 of 3x3 with pools, 1600-512-10, as the Fashion-MNIST example has it.
fn cnn(device: &Device) -> Sequential {
    let mut init = Init::new(Key::new(0), device);
    Sequential::new()
        .with(Conv2d::new(1, 32, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(32, 64, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(1600, 512, &mut init))
        .with(Activation::Relu)
        .with(Linear::new(512, 10, &mut init))
}

/// A small network whose thousand steps take seconds on a software driver.
fn mlp(device: &Device) -> Sequential {
    let mut init = Init::new(Key::new(0), device);
    Sequential::new()
        .with(Linear::new(784, 16, &mut init))
        .with(Activation::Gelu)
        .with(Linear::new(16, 10, &mut init))
}

/// A step of training, and what it did until the loss was read.
fn step(
    model: &mut Sequential,
    optimizer: &mut Sgd,
    images: &Tensor,
    labels: &Tensor,
    rate: f64,
) -> Statistics {
    let device = images.device().clone();
    let before = device.statistics();
    let loss = model.forward(images, &mut Context::train(Key::new(1))).cross_entropy(labels);
    optimizer.set_learning_rate(rate);
    optimizer.step(&gradients(&loss, model), model);
    commit((&mut *model, &mut *optimizer)).unwrap();
    assert!(loss.item().unwrap().is_finite());
    device.statistics().since(&before)
}

#[test]
fn steps_are_few_kernels_and_replay_in_the_same_memory() {
    let _alone = alone();
    for device in devices() {
        let name = device.name();
        let labels = Tensor::from_vec((0..8).map(|i| i % 10).collect::<Vec<i32>>(), [8], &device);
        let labels = labels.unwrap();

        let images = Tensor::uniform(Key::new(4), [8, 1, 28, 28], 0.0, 1.0, &device).detach();
        images.eval().unwrap();
        let (mut model, mut optimizer) = (cnn(&device), Sgd::new(0.01).momentum(0.9));
        for _ in 0..2 {
            step(&mut model, &mut optimizer, &images, &labels, 0.01);
        }
        let Statistics { kernels, submissions, .. } =
            step(&mut model, &mut optimizer, &images, &labels, 0.01);
        eprintln!("{name}: CNN training step: {kernels} kernels, {submissions} submission(s)");
        assert!(kernels <= 40, "{name}: {kernels} kernels");
        // A GPU waits for the check of the labels before it changes weights, and copies the loss.
        let expected = if device.capabilities().host { 1 } else { 3 };
        assert_eq!(submissions, expected, "{name}");

        let kernels = transformer_block(&device);
        eprintln!("{name}: Transformer block, forward and backward: {kernels} kernels");
        assert!(kernels <= 45, "{name}: {kernels} kernels");

        let images = images.reshape([8, 784]);
        let (mut model, mut optimizer) = (mlp(&device), Sgd::new(0.01).momentum(0.9));
        for index in 0..10 {
            step(&mut model, &mut optimizer, &images, &labels, 0.01 + f64::from(index) * 1e-4);
        }
        let settled = device.statistics();
        for index in 0..STEPS {
            step(&mut model, &mut optimizer, &images, &labels, 0.02 / (1.0 + index as f64));
        }
        let after = device.statistics();
        assert_eq!(after.plans, settled.plans, "{name}: no planning");
        assert_eq!(after.system_allocations, settled.system_allocations, "{name}: no allocation");
        assert_eq!(after.bytes_in_use, settled.bytes_in_use, "{name}: memory is flat");
        assert_eq!(after.bytes_cached, settled.bytes_cached, "{name}: the cache is flat");
    }
}

#[test]
fn a_loss_that_was_not_committed_costs_nothing() {
    let _alone = alone();
    for device in devices() {
        let name = device.name();
        let images = Tensor::uniform(Key::new(4), [8, 784], 0.0, 1.0, &device).detach();
        let labels = (Tensor::arange(8, &device) % 10).detach();
        eval([&images, &labels]).unwrap();
        let run = |committed: bool| {
            let (mut model, mut optimizer) = (mlp(&device), Adam::new(0.01));
            let mut losses = Vec::new();
            let mut last = Statistics::default();
            for _ in 0..5 {
                let before = device.statistics();
                let ctx = &mut Context::train(Key::new(1));
                let mut loss = model.forward(&images, ctx).cross_entropy(&labels);
                optimizer.step(&gradients(&loss, &model), &mut model);
                match committed {
                    true => commit((&mut model, &mut optimizer, &mut loss)).unwrap(),
                    false => commit((&mut model, &mut optimizer)).unwrap(),
                }
                losses.push(loss.item().unwrap().to_bits());
                last = device.statistics().since(&before);
            }
            (losses, last)
        };
        let (expected, committed) = run(true);
        let (losses, forgotten) = run(false);
        eprintln!(
            "{name}: {} kernels, {} bytes moved; forgotten: {}, {}",
            committed.kernels, committed.bytes_moved, forgotten.kernels, forgotten.bytes_moved
        );
        assert_eq!(losses, expected, "{name}");
        assert_eq!(forgotten.kernels, committed.kernels, "{name}: kernels");
        assert_eq!(forgotten.submissions, committed.submissions, "{name}: submissions");
        assert_eq!(forgotten.bytes_moved, committed.bytes_moved, "{name}: bytes moved");
        assert_eq!(forgotten.bytes_in_use, committed.bytes_in_use, "{name}: weights in place");
        assert_eq!(forgotten.plans, 0, "{name}: plans");
        assert_eq!(forgotten.system_allocations, 0, "{name}: allocations");
    }
}

#[test]
fn no_gradient_passes_through_weights_that_were_updated_in_place() {
    let _alone = alone();
    for device in devices() {
        let mut weight = Tensor::ones([4], DType::F32, &device).tracked();
        commit(&mut weight).unwrap();
        let old = weight.clone();
        let loss = weight.square().sum(..);
        weight = (&weight - &grad(&loss, &[&weight])[0] * 0.25).tracked();
        commit(&mut weight).unwrap();
        // Whoever holds the old weight keeps it.
        assert_eq!(grad(&loss, &[&old])[0].to_vec::<f32>().unwrap(), [2.0; 4]);
        drop((old, loss));

        let loss = weight.square().sum(..);
        let doubled = &loss * 2.0;
        weight = (&weight - &grad(&loss, &[&weight])[0] * 0.25).tracked();
        commit(&mut weight).unwrap();
        assert_eq!(doubled.item().unwrap(), 2.0);
        assert_eq!(weight.to_vec::<f32>().unwrap(), [0.25; 4]);
        let mut old = loss;
        while let Some(operand) = old.inputs().first().cloned() {
            old = operand;
        }
        let loss = doubled.inputs()[0].clone();
        let error = grad(&loss, &[&old])[0].to_vec::<f32>().unwrap_err();
        assert!(error.is_shape() && error.to_string().contains("commit has updated"), "{error}");
    }
}

/// A pre-norm block.
#[derive(Clone, Module)]
struct Block {
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

impl Block {
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        let normed = self.norm1.forward(x, ctx);
        let x = x + self.attention.self_attention(&normed, &AttentionMask::causal(), ctx);
        let hidden = self.up.forward(&self.norm2.forward(&x, ctx), ctx).gelu();
        &x + self.down.forward(&hidden, ctx)
    }
}

/// Kernels of a block with four heads, forward and backward.
fn transformer_block(device: &Device) -> u64 {
    let mut init = Init::new(Key::new(0), device);
    let width = 32;
    let mut block = Block {
        norm1: LayerNorm::new(width, &mut init),
        attention: MultiHeadAttention::new(width, 4, &mut init),
        norm2: LayerNorm::new(width, &mut init),
        up: Linear::new(width, 4 * width, &mut init),
        down: Linear::new(4 * width, width, &mut init),
    };
    commit(&mut block).unwrap();
    let x = Tensor::normal(Key::new(2), [2, 16, width], 0.0, 1.0, device).detach();
    x.eval().unwrap();
    let before = device.statistics().kernels;
    let mut loss = block.forward(&x, &mut Context::train(Key::new(1))).square().mean(..);
    let mut gradients = gradients(&loss, &block);
    commit((&mut gradients, &mut loss)).unwrap();
    device.statistics().kernels - before
}

#[test]
fn a_class_out_of_range_names_the_op_and_the_class() {
    let _alone = alone();
    for device in devices() {
        let logits = Tensor::zeros([2, 3], DType::F32, &device);
        let labels = Tensor::from_vec(vec![1, 7], [2], &device).unwrap();
        let error = logits.cross_entropy(&labels).item().unwrap_err();
        assert!(error.is_index_out_of_range(), "{}: {error}", device.name());
        let text = error.to_string();
        assert!(text.contains("cross_entropy: index 7") && text.contains("size 3"), "{text}");
        assert!(text.contains("replay.rs"), "{text}");
        assert_eq!((logits + 1.0).to_vec::<f32>().unwrap(), vec![1.0; 6], "works afterwards");
    }
}

#[test]
fn a_gather_out_of_range_names_the_op_and_the_index() {
    let _alone = alone();
    for device in devices() {
        let table = Tensor::ones([4, 2], DType::F32, &device);
        let index = Tensor::from_vec(vec![0, -1], [2], &device).unwrap();
        let error = table.embedding(&index).sum(..).item().unwrap_err();
        assert!(error.to_string().contains("index -1 out of range"), "{error}");
    }
}

#[test]
fn a_profile_names_ops_layers_and_lines() {
    let _alone = alone();
    for device in devices() {
        let model = cnn(&device);
        gradloom::nn::name_layers(&model);
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("trace.json");
        let recording = Recording::to_file(&path).expect("nobody records");
        let again = Recording::start().expect_err("it records already").to_string();
        assert!(again.contains("records already"), "{again}");
        let x = Tensor::normal(Key::new(1), [4, 1, 28, 28], 0.0, 1.0, &device);
        let (loss, line) =
            (model.forward(&x, &mut Context::train(Key::new(2))).square().mean(..), line!());
        let gradients = gradients(&loss, &model);
        eval(gradients.iter().map(|(_, gradient)| gradient).chain([&loss])).expect("a step");
        let [ops, layers, lines] = [By::Op, By::Layer, By::Line].map(|by| recording.table(by));
        recording.stop().expect("a file");
        let timed = |table: &Table| !table.rows.is_empty();
        if !timed(&ops) {
            let gpu = !device.capabilities().host;
            assert!(gpu, "the CPU has a clock");
            eprintln!("SKIPPED: {} has no timestamps", device.name());
            continue;
        }
        let has = |table: &Table, name: &str| table.rows.iter().any(|row| row.name.contains(name));
        assert!(has(&ops, "matmul") && has(&ops, "convolution"), "{ops}");
        assert!(has(&layers, "0 (Conv2d)") && has(&layers, "7 (Linear)"), "{layers}");
        assert!(has(&lines, &format!("replay.rs:{line}")), "{lines}");
        assert!(has(&lines, "in the gradient of its"), "{lines}");
        let flops = |table: &Table| table.rows.iter().map(|row| row.flops).sum::<u64>();
        assert!(flops(&ops) > 0 && flops(&ops) == flops(&layers), "{ops}");
        let text = std::fs::read_to_string(&path).expect("a timeline");
        let events: Vec<serde_json::Value> = serde_json::from_str(&text).expect("JSON");
        let kernels = events.iter().filter(|event| event["cat"] == "kernel").count() as u64;
        assert_eq!(kernels, ops.rows.iter().map(|row| row.runs).sum::<u64>());
        assert!(events.iter().any(|event| event["name"] == "planning"), "{text}");
    }
}

#[test]
fn a_recording_that_has_ended_leaves_nothing_on() {
    let _alone = alone();
    let device = Device::cpu();
    let step = || eval([&(Tensor::ones([8], DType::F32, &device) + 1.0)]).expect("a value");
    let recording = Recording::start().expect("nobody records");
    step();
    let runs = |recording: &Recording| {
        recording.table(By::Kernel).rows.iter().map(|row| row.runs).sum::<u64>()
    };
    assert_eq!(runs(&recording), 1);
    drop(recording);
    step();
    let recording = Recording::start().expect("the other one has ended");
    assert_eq!(runs(&recording), 0);
    let missing = Recording::to_file("no/such/folder/trace.json").expect_err("no folder");
    assert!(missing.to_string().contains("no/such/folder"), "{missing}");
}
