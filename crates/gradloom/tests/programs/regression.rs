//! (g) A regression with accumulated gradients, clipping and warm-up.

use gradloom::data::{Loader, TensorDataset};
use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::train::{Fit, metrics::Mean};

pub(crate) fn train(train: TensorDataset, valid: TensorDataset, device: &Device) -> Result<Fit> {
    let train = Loader::rows(train).batch_size(8).shuffle(Key::new(1));
    let valid = Loader::rows(valid).batch_size(256);
    let init = &mut Init::new(Key::new(0), device);
    let model = Sequential::new()
        .with(Linear::new(4, 64, init))
        .with(Activation::Silu)
        .with(Linear::new(64, 1, init));
    let mut trainer = Trainer::new(model, AdamW::new(0.02), Tensor::mse_loss)
        .epochs(30)
        .accumulate(4)
        .clip_norm(1.0)
        .schedule_over(|steps| Schedule::cosine(0.02, steps).warmup(steps / 10))
        .metric(Mean::new("mae", Tensor::l1_loss));
    trainer.fit(&train, &valid)
}
