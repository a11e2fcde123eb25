//! Teaches MiniLM to tell whether a film review is positive, on 8,500 snippets, and measures it on 2,100
//! others.
//!
//! `cargo xtask assets minilm sentiment`, then
//! `cargo run --release -p language-examples --example 12-fine-tune-sentiment`, a few minutes on two cores
//!
//! With `--frozen` only the classifier learns, with `--lora` the classifier and updates of low rank,
//! which are written as Python's `peft` writes them. Ends with accuracy and F1, and a report.
#![forbid(unsafe_code)]

use std::path::Path;

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::text::{LengthGroups, TokenBatch};
use gradloom::metrics::ConfusionMatrix;
use gradloom::nn::layers::{Dropout, Linear};
use gradloom::nn::lora::Lora;
use gradloom::nn::optimizers::layer_wise_rates;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::train::metrics::Accuracy;
use gradloom::train::{Batches, Outcome, Setting};
use gradloom::zoo::adapters::save_lora;
use gradloom::zoo::bert::mean_pooled;
use gradloom::zoo::{BertInput, BertModel};
use language_examples::minilm;
use language_examples::reviews::{self, CLASSES, Review};

/// The lengths that texts are filled up to; the last is where they are cut.
const LENGTHS: [usize; 5] = [16, 24, 32, 48, 64];

/// An encoder, and what sorts the mean of its hidden states into classes.
#[derive(Module, Clone)]
struct Classifier {
    bert: BertModel,
    dropout: Dropout,
    classifier: Linear,
}

impl Classifier {
    fn forward(&self, input: &BertInput, ctx: &mut Context) -> Tensor {
        let hidden = self.bert.forward(input, ctx).last_hidden_state;
        let pooled = mean_pooled(&hidden, input.mask.as_ref());
        self.classifier.forward(&self.dropout.forward(&pooled, ctx), ctx)
    }
}

/// Texts as tokens, with their classes, in batches of about one length.
struct Texts {
    tokens: Vec<Vec<u32>>,
    classes: Vec<i32>,
    padding: u32,
    batch_size: usize,
    /// Of the order, for texts that are learnt from: then batches that are not full are left out.
    key: Option<Key>,
    device: Device,
}

impl Texts {
    fn new(
        reviews: &[Review],
        tokenizer: &Tokenizer,
        batch_size: usize,
        key: Option<Key>,
        device: &Device,
    ) -> Result<Self, Failure> {
        let texts: Vec<&str> = reviews.iter().map(|review| review.text.as_str()).collect();
        let options = EncodeOptions::new().truncate(LENGTHS[LENGTHS.len() - 1]);
        let encodings = tokenizer.encode_batch(&texts, &options)?;
        Ok(Texts {
            tokens: encodings.into_iter().map(|encoding| encoding.ids).collect(),
            classes: reviews.iter().map(|review| review.class).collect(),
            padding: tokenizer.special_tokens().pad.unwrap_or(0),
            batch_size,
            key,
            device: device.clone(),
        })
    }

    /// Some of the texts as the input of a model, and their classes `[B]`.
    fn batch(&self, texts: &[usize], length: usize) -> Result<(BertInput, Tensor)> {
        let tokens: Vec<&[u32]> = texts.iter().map(|&text| &self.tokens[text][..]).collect();
        let classes: Vec<i32> = texts.iter().map(|&text| self.classes[text]).collect();
        let (tokens, mask) =
            TokenBatch::new(&tokens, length, self.padding).to_tensors(&self.device)?;
        let classes = Tensor::from_slice(&classes, [classes.len()], &self.device)?;
        Ok((BertInput::new(&tokens).mask(&mask), classes))
    }
}

impl Batches for Texts {
    type Batch = (BertInput, Tensor);

    fn batch_count(&self) -> Option<usize> {
        let texts = self.tokens.len();
        Some(if self.key.is_some() {
            texts / self.batch_size
        } else {
            texts.div_ceil(self.batch_size)
        })
    }

    fn sample_count(&self) -> Option<usize> {
        Some(self.tokens.len())
    }

    fn batches(&self, epoch: u32, first: usize) -> impl Iterator<Item = Result<Self::Batch>> {
        let lengths: Vec<usize> = self.tokens.iter().map(Vec::len).collect();
        let groups = LengthGroups::new(LENGTHS, self.batch_size);
        let mut batches = groups.batches(&lengths, self.key.map(|key| key.fold(epoch)));
        batches.truncate(self.batch_count().unwrap_or_default());
        batches.into_iter().skip(first).map(|batch| self.batch(&batch.texts, batch.length))
    }

    fn order(&self) -> String {
        format!(
            "{} texts by length, {} a batch, key {:?}",
            self.tokens.len(),
            self.batch_size,
            self.key
        )
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "12-fine-tune-sentiment",
        source: include_str!("12-fine-tune-sentiment.rs"),
        epochs: 1,
        epoch: "passes over the data",
        batch_size: 32,
        data: "assets/minilm",
        own: &[
            ("--frozen", "only the classifier learns"),
            ("--lora", "the classifier and updates of low rank learn"),
        ],
    })?;
    let device = options.arguments.device()?;
    let all = match options.tiny {
        true => reviews::tiny(),
        false => reviews::load(Path::new("assets/sentiment"))?,
    };
    let key = |stream| Key::new(options.seed).fold(stream);
    let (train, test) = reviews::split(&all, key(0));
    let texts: Vec<&str> = train.iter().map(|review| review.text.as_str()).collect();
    let (config, mut bert, tokenizer) = minilm::load(&options.arguments, key(4), &texts, &device)?;
    bert.pooler = None;
    let batch_size = if options.tiny { 4 } else { options.batch_size_of(train.len()) };
    let train = Texts::new(&train, &tokenizer, batch_size, Some(key(3)), &device)?;
    let test = Texts::new(&test, &tokenizer, batch_size, None, &device)?;

    let mut init = Init::new(key(1), &device);
    let mut classifier = Linear::new(config.hidden_size, CLASSES.len(), &mut init);
    classifier.weight = init.normal([CLASSES.len(), config.hidden_size], 0.02);
    let mut model = Classifier { bert, dropout: Dropout::new(0.1), classifier };
    let lora = Lora::new(8)
        .alpha(16.0)
        .targets(["query", "value", "intermediate.dense", "output.dense"])
        .train_also(["classifier"]);
    let with_lora = options.arguments.has("--lora");
    let rate = if with_lora {
        lora.attach(&mut model, &mut init)?;
        1e-3
    } else if options.arguments.has("--frozen") {
        model.set_trainable(false, |name| !name.starts_with("classifier."));
        1e-2
    } else {
        2e-4
    };
    let trainable: usize = model.trainable().iter().map(|(_, weight)| weight.count()).sum();
    println!(
        "{trainable} of {} parameters learn, from {} + {} texts, on {}",
        model.parameter_count(),
        train.tokens.len(),
        test.tokens.len(),
        device.name()
    );

    let optimizer = AdamW::new(rate)
        .decay_only(|_, weight| weight.rank() > 1)
        .rate_factor(layer_wise_rates(&model, 0.85));
    let task = |model: &Classifier, batch: &(BertInput, Tensor), ctx: &mut Context, _: &Setting| {
        let (input, classes) = batch;
        let logits = model.forward(input, ctx);
        let loss = logits.cross_entropy(classes);
        Ok(Outcome::new(loss, classes.count()).with_outputs(&logits, classes))
    };
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, optimizer, task)
        .epochs(options.epochs)
        .key(key(2))
        .schedule_over(move |steps| {
            Schedule::linear(rate, 0.0, steps - steps / 10).warmup(steps / 10)
        })
        .clip_norm(1.0)
        .metric(Accuracy::new())
        .callback(steps.clone());
    let fit = trainer.fit(&train, &test)?;

    let confusion = measure(&trainer.model, &test)?;
    let classes = CLASSES.map(str::to_owned);
    println!("{}", confusion.report(&classes));
    if with_lora {
        save_lora(options.out.join("adapter"), &trainer.model, &lora, Some("all-MiniLM-L6-v2"))?;
    }
    let figures = format!(
        "test accuracy {:.2}%, F1 of positive {:.4}, mean F1 {:.4}",
        100.0 * confusion.accuracy(),
        confusion.class(1).f,
        confusion.macro_f1()
    );
    let mut page = report::page(&options, &fit.history, &steps, &device);
    page.figures = vec![("at the end".into(), figures.clone())];
    (page.confusion, page.classes) = (Some(confusion), classes.into());
    report::save(&options, &trainer.model, &page)?;
    println!("{figures}");
    Ok(())
}

/// What was taken for what.
fn measure(model: &Classifier, texts: &Texts) -> Result<ConfusionMatrix> {
    let mut confusion = ConfusionMatrix::new(CLASSES.len());
    for batch in texts.batches(0, 0) {
        let (input, classes) = batch?;
        let predicted = model.forward(&input, &mut Context::eval()).argmax(-1);
        confusion.update(&classes.to_vec::<i32>()?, &predicted.to_vec::<i32>()?)?;
    }
    Ok(confusion)
}
