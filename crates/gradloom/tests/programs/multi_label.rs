//! (f) Several labels of each sample: binary cross-entropy, and F1.

use gradloom::data::{Loader, TensorDataset};
use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::train::{Fit, metrics::MultilabelF1};

pub(crate) fn train(train: TensorDataset, valid: TensorDataset, device: &Device) -> Result<Fit> {
    let (train, valid) = (Loader::rows(train).shuffle(Key::new(1)), Loader::rows(valid));
    let init = &mut Init::new(Key::new(0), device);
    let model = Sequential::new()
        .with(Linear::new(6, 32, init))
        .with(Activation::Relu)
        .with(Linear::new(32, 3, init));
    let mut trainer = Trainer::new(model, AdamW::new(0.02), Tensor::bce_with_logits)
        .epochs(20)
        .metric(MultilabelF1::micro());
    trainer.fit(&train, &valid)
}
