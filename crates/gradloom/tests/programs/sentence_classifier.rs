//! (e) A published encoder with a new head: first the head learns alone, then all weights.

use gradloom::data::Loader;
use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::train::{Fit, callbacks::Unfreezing, metrics::Accuracy};
use gradloom::zoo::{Pretrained, SentenceEncoder};

pub(crate) fn train(model: &str, texts: [&[(String, i32)]; 2], device: &Device) -> Result<Fit> {
    let tokens = Tokenizer::from_folder(model)?.encoder(EncodeOptions::new().truncate(64));
    let [train, valid] = texts.map(|texts| Loader::texts(texts, &tokens, 0));
    let encoder = SentenceEncoder::from_folder(model, device)?;
    let head = Linear::new(encoder.size(), 2, &mut Init::new(Key::new(0), device));
    let model = Sequential::new().with_named("encoder", encoder).with_named("head", head);
    let mut trainer = Trainer::new(model, AdamW::new(1e-3), Tensor::cross_entropy)
        .epochs(3)
        .metric(Accuracy::new())
        .callback(Unfreezing::of("encoder.").at(1, "encoder."));
    trainer.fit(&train?.batch_size(16).shuffle(Key::new(1)), &valid?)
}
