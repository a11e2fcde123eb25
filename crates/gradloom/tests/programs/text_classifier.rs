//! (c) An LSTM that reads padded texts by their lengths and says their class.

use gradloom::data::sequences::{PadSequences, Padded};
use gradloom::data::{InMemory, Labelled, Loader, transform::Identity};
use gradloom::nn::layers::{Embedding, Linear, Lstm, RecurrentOptions};
use gradloom::prelude::*;
use gradloom::train::{Fit, Outcome, Setting, metrics::Accuracy};

#[derive(Module, Clone)]
struct Reader {
    words: Embedding,
    lstm: Lstm,
    head: Linear,
}

type Texts = Vec<Labelled<Vec<i32>>>;

pub(crate) fn train(train: Texts, valid: Texts, device: &Device) -> Result<Fit> {
    let batches = |texts| Loader::new(InMemory(texts), Identity, PadSequences::new(0));
    let (train, valid) = (batches(train).shuffle(Key::new(1)), batches(valid));
    let init = &mut Init::new(Key::new(0), device);
    let model = Reader {
        words: Embedding::new(20, 16, init),
        lstm: Lstm::new(16, 32, RecurrentOptions::default(), init),
        head: Linear::new(32, 2, init),
    };
    let task = |model: &Reader, texts: &Padded<i32>, ctx: &mut Context, setting: &Setting| {
        let (words, lengths, labels) = texts.to_tensors(&setting.device)?;
        let words = model.words.forward(&words, ctx);
        let (_, last) = model.lstm.run_padded(&words, &lengths, None, ctx);
        let logits = model.head.forward(&last.hidden.index(0, 0), ctx);
        let loss = logits.cross_entropy(&labels);
        Ok(Outcome::new(loss, texts.labels.len()).with_outputs(&logits, &labels))
    };
    let mut trainer =
        Trainer::with_task(model, AdamW::new(0.01), task).epochs(12).metric(Accuracy::new());
    trainer.fit(&train, &valid)
}
