//! Yes or no of people of two groups, with a penalty on how differently often the groups get a yes. Targets are the
//! answer and the group.

use gradloom::data::{Loader, TensorDataset};
use gradloom::nn::layers::Linear;
use gradloom::nn::losses::demographic_parity;
use gradloom::prelude::*;
use gradloom::train::metrics::{Mean, demographic_parity_difference};
use gradloom::train::{Fit, Progress};

pub(crate) fn train(
    train: TensorDataset,
    valid: TensorDataset,
    weight: f64,
    device: &Device,
) -> Result<Fit> {
    let columns = train.input_shape()[0];
    let train = Loader::rows(train).batch_size(128).shuffle(Key::new(1));
    let valid = Loader::rows(valid).batch_size(256);
    let init = &mut Init::new(Key::new(0), device);
    let model = Sequential::new()
        .with(Linear::new(columns, 16, init))
        .with(Activation::Relu)
        .with(Linear::new(16, 1, init));
    let loss = move |logits: &Tensor, targets: &Tensor| {
        let (logits, answer, group) =
            (logits.index(1, 0), targets.index(1, 0), targets.index(1, 1));
        let gap = demographic_parity(&logits.sigmoid(), &group.cast(DType::I32), 2);
        logits.bce_with_logits(&answer) + gap * weight
    };
    let accuracy = |logits: &Tensor, targets: &Tensor| {
        let right = logits.index(1, 0).gt(0.0).eq(targets.index(1, 0).gt(0.5));
        right.cast(DType::F32).mean(..)
    };
    let mut trainer = Trainer::new(model, AdamW::new(0.01), loss)
        .epochs(15)
        .metric(Mean::new("accuracy", accuracy))
        .metric(demographic_parity_difference())
        .progress(Progress::Silent);
    trainer.fit(&train, &valid)
}
