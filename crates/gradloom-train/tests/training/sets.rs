//! Data and models of the tests.

use gradloom_data::Loader;
use gradloom_data::tensor_dataset::{CollateRows, TensorDataset};
use gradloom_data::transform::Identity;
use gradloom_nn::layers::{BatchNorm, Dropout, Linear};
use gradloom_nn::{Activation, Init, ModuleExt, Sequential};
use gradloom_tensor::{Key, Tensor};
use gradloom_train::{Progress, Supervised, Trainer};

pub(crate) type Rows = Loader<TensorDataset, Identity, CollateRows>;

/// Points on a line of numbers and whether they are above a bound.
pub(crate) fn rows(count: usize) -> Rows {
    let inputs: Vec<f32> = (0..count * 3).map(|i| ((i * 37 % 101) as f32) / 50.0 - 1.0).collect();
    let targets = inputs.chunks(3).map(|row| i32::from(row[0] + row[1] > 0.1)).collect::<Vec<_>>();
    let dataset = TensorDataset::from_rows([count, 3], inputs, [count], targets).unwrap();
    Loader::rows(dataset).batch_size(8)
}

/// With everything that differs between learning and measuring.
pub(crate) fn network() -> Sequential {
    let init = &mut Init::new(Key::new(2), &gradloom_cpu::device());
    Sequential::new()
        .with(Linear::new(3, 16, init))
        .with(BatchNorm::new(16, init))
        .with(Activation::Relu)
        .with(Dropout::new(0.1))
        .with(Linear::new(16, 2, init))
}

/// Without.
pub(crate) fn plain() -> Sequential {
    let init = &mut Init::new(Key::new(2), &gradloom_cpu::device());
    Sequential::new()
        .with(Linear::new(3, 16, init))
        .with(Activation::Tanh)
        .with(Linear::new(16, 2, init))
}

pub(crate) type Classifier<O> = Trainer<Sequential, O, Supervised<fn(&Tensor, &Tensor) -> Tensor>>;

pub(crate) fn trainer<O: gradloom_nn::Optimizer>(model: Sequential, optimizer: O) -> Classifier<O> {
    let loss: fn(&Tensor, &Tensor) -> Tensor = Tensor::cross_entropy;
    Trainer::new(model, optimizer, loss).progress(Progress::Silent)
}

/// All weights in one row.
pub(crate) fn weights(model: &Sequential) -> Vec<f32> {
    let parameters = model.parameters().into_iter();
    parameters.flat_map(|(_, weight)| weight.to_vec::<f32>().unwrap()).collect()
}

#[track_caller]
pub(crate) fn close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    for (place, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{place}: {a}, not {b}");
    }
}
