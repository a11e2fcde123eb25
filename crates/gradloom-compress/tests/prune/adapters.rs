//! What the CPU prunes, every adapter prunes.

use gradloom_compress::prune::structured::{Importance, StructuredPruning, Target};
use gradloom_compress::prune::{Pruned, Pruner, Sparsity, SparsitySchedule, is_prunable};
use gradloom_nn::layers::{BatchNorm, Conv2d, GlobalAvgPool2d, Linear};
use gradloom_nn::{
    Activation, Context, Init, Layer, ModuleExt, Optimizer, Sequential, Sgd, gradients,
};
use gradloom_tensor::{Device, Key, Tensor, commit};

fn network() -> Sequential {
    let init = &mut Init::new(Key::new(0), &gradloom_cpu::device());
    Sequential::new()
        .with(Conv2d::new(2, 8, [3, 3], Default::default(), init))
        .with(BatchNorm::new(8, init))
        .with(Activation::Relu)
        .with(GlobalAvgPool2d)
        .with(Linear::new(8, 3, init))
}

/// The outputs after pruning of weights while learning, and then of channels; and how many weights went.
fn outputs(device: &Device) -> (Vec<f32>, usize, usize) {
    let mut model = network();
    model.to_device(device).unwrap();
    let x = Tensor::uniform(Key::new(2), [4, 2, 6, 6], -1.0, 1.0, &gradloom_cpu::device());
    let x = x.to_device(device);
    let mut pruned = Pruned::gradually(model, is_prunable).unwrap();
    let schedule = SparsitySchedule::cubic(0.5, 0, 4).unwrap();
    let optimizer = Sgd::new(0.05).momentum(0.9);
    let mut optimizer = Pruner::new(optimizer, schedule).sparsity(Sparsity::Global(0.5));
    for _ in 0..6 {
        let loss = pruned.forward(&x, &mut Context::eval()).square().mean(..);
        optimizer.step(&gradients(&loss, &pruned), &mut pruned);
        commit((&mut pruned, &mut optimizer)).unwrap();
    }
    let gone = pruned.report().unwrap().iter().map(|layer| layer.zeros).sum();
    let mut model = pruned.finish().unwrap();
    let pruning = StructuredPruning::to(Target::Parameters(0.6)).unwrap();
    let pruning = pruning.importance(Importance::L1);
    pruning.prune(&mut model, &[&x], |model, ctx| model.forward(&x, ctx)).unwrap();
    let y = model.forward(&x, &mut Context::eval());
    (y.to_vec().unwrap(), gone, model.parameter_count())
}

#[test]
fn adapters_prune_as_the_cpu_does() {
    let (expected, gone, left) = outputs(&gradloom_cpu::device());
    assert_eq!(gone, 84, "half of 144 + 24 weights");
    for adapter in gradloom_wgpu::adapters() {
        let device = gradloom_wgpu::device(&adapter.index.to_string()).unwrap();
        let (found, own, size) = outputs(&device);
        assert_eq!((own, size), (gone, left), "{}", device.name());
        for (found, expected) in found.iter().zip(&expected) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{found}, not {expected}, on {}",
                device.name()
            );
        }
    }
}
