//! Teaches MiniLM to tell whether a film review is positive, on 8,500 snippets, and measures it on 2,100
//! others.
//!
//! `cargo xtask assets minilm`, `cargo xtask assets sentiment`, then
//! `cargo run --release -p language-examples --example 12-fine-tune-sentiment`
//!
//! With `--frozen` only the classifier learns, with `--lora` the classifier and updates of low rank,
//! which are written as Python's `peft` writes them. Ends with accuracy, F1 and a picture.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Instant;

use examples::options::{Options, Program};
use examples::{Failure, picture};
use gradloom::data::text::{LengthGroups, TokenBatch};
use gradloom::metrics::ConfusionMatrix;
use gradloom::nn::layers::{Dropout, Linear};
use gradloom::nn::lora::Lora;
use gradloom::nn::optimizers::layer_wise_rates;
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Tokenizer};
use gradloom::zoo::adapters::save_lora;
use gradloom::zoo::bert::mean_pooled;
use gradloom::zoo::{BertInput, BertModel};
use indicatif::{ProgressBar, ProgressStyle};
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

/// Texts as tokens, with their classes.
struct Samples {
    tokens: Vec<Vec<u32>>,
    classes: Vec<i32>,
    padding: u32,
}

impl Samples {
    fn new(reviews: &[Review], tokenizer: &Tokenizer) -> Result<Self, Failure> {
        let texts: Vec<&str> = reviews.iter().map(|review| review.text.as_str()).collect();
        let options = EncodeOptions::new().truncate(LENGTHS[LENGTHS.len() - 1]);
        let encodings = tokenizer.encode_batch(&texts, &options)?;
        Ok(Samples {
            tokens: encodings.into_iter().map(|encoding| encoding.ids).collect(),
            classes: reviews.iter().map(|review| review.class).collect(),
            padding: tokenizer.special_tokens().pad.unwrap_or(0),
        })
    }

    fn lengths(&self) -> Vec<usize> {
        self.tokens.iter().map(Vec::len).collect()
    }

    /// Some of the texts as the input of a model, filled up to `rows` of them.
    fn input(
        &self,
        texts: &[usize],
        rows: usize,
        length: usize,
        device: &Device,
    ) -> Result<BertInput> {
        let tokens: Vec<&[u32]> = texts.iter().map(|&text| &self.tokens[text][..]).collect();
        let batch = TokenBatch::with_rows(&tokens, rows, length, self.padding);
        let (tokens, mask) = batch.to_tensors(device)?;
        Ok(BertInput::new(&tokens).mask(&mask))
    }

    fn classes(&self, texts: &[usize]) -> Vec<i32> {
        texts.iter().map(|&text| self.classes[text]).collect()
    }
}

fn main() -> Result<(), Failure> {
    let mut options = Options::read(&Program {
        name: "12-fine-tune-sentiment",
        source: include_str!("12-fine-tune-sentiment.rs"),
        epochs: 1,
        data: "assets/minilm",
        own: &[
            ("--frozen", "only the classifier learns"),
            ("--lora", "the classifier and updates of low rank learn"),
        ],
    })?;
    let device = options.device()?;
    let all = if options.tiny {
        options.batch_size = 4;
        reviews::tiny()
    } else {
        reviews::load(Path::new("assets/sentiment"))?
    };
    options.batch_size = options.batch_size.min(32);
    let (train, test) = reviews::split(&all, Key::new(options.seed).fold(0));
    let texts: Vec<&str> = train.iter().map(|review| review.text.as_str()).collect();
    let (config, mut bert, tokenizer) = minilm::load(&options, &texts, &device)?;
    bert.pooler = None;
    let (train, test) = (Samples::new(&train, &tokenizer)?, Samples::new(&test, &tokenizer)?);

    let mut init = Init::new(Key::new(options.seed).fold(1), &device);
    let mut classifier = Linear::new(config.hidden_size, CLASSES.len(), &mut init);
    classifier.weight = init.normal([CLASSES.len(), config.hidden_size], 0.02);
    let mut model = Classifier { bert, dropout: Dropout::new(0.1), classifier };
    let lora = Lora::new(8)
        .alpha(16.0)
        .targets(["query", "value", "intermediate.dense", "output.dense"])
        .train_also(["classifier"]);
    let rate = if options.flag("--lora") {
        lora.attach(&mut model, &mut init)?;
        1e-3
    } else if options.flag("--frozen") {
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

    let losses = learn(&mut model, &train, rate, &options, &device)?;
    let confusion = measure(&model, &test, options.batch_size, &device)?;
    let classes = CLASSES.map(str::to_owned);
    println!("{}", confusion.report(&classes));
    std::fs::create_dir_all(&options.out)?;
    if options.flag("--lora") {
        save_lora(options.out.join("adapter"), &model, &lora, Some("all-MiniLM-L6-v2"))?;
    }
    let file = options.out.join("result.png");
    picture::losses_and_confusion(&file, &losses, &confusion, &classes)?;
    println!("wrote {}", file.display());
    println!(
        "test accuracy {:.2}%, F1 of positive {:.4}, mean F1 {:.4}",
        100.0 * confusion.accuracy(),
        confusion.class(1).f,
        confusion.macro_f1()
    );
    Ok(())
}

/// Trains, and returns the loss of every step.
fn learn(
    model: &mut Classifier,
    samples: &Samples,
    rate: f64,
    options: &Options,
    device: &Device,
) -> Result<Vec<f64>, Failure> {
    let groups = LengthGroups::new(LENGTHS, options.batch_size);
    let lengths = samples.lengths();
    let steps = (lengths.len() / options.batch_size) as u64 * u64::from(options.epochs);
    let schedule = Schedule::linear(rate, 0.0, steps - steps / 10).warmup(steps / 10);
    let mut optimizer = AdamW::new(rate)
        .decay_only(|_, weight| weight.rank() > 1)
        .rate_factor(layer_wise_rates(model, 0.85));
    let bar = ProgressBar::new(steps);
    bar.set_style(ProgressStyle::with_template(
        "{elapsed_precise} [{bar:30}] {pos}/{len} {msg} eta {eta}",
    )?);
    let mut ctx = Context::train(Key::new(options.seed).fold(2));
    let (mut losses, mut mean) = (Vec::new(), 0.7);
    let start = Instant::now();
    for epoch in 0..options.epochs {
        let key = Key::new(options.seed).fold(3).fold(epoch);
        for batch in groups.batches(&lengths, Some(key)) {
            if batch.texts.len() < options.batch_size {
                continue;
            }
            let input = samples.input(&batch.texts, batch.texts.len(), batch.length, device)?;
            let classes = samples.classes(&batch.texts);
            let classes = Tensor::from_slice(&classes, [classes.len()], device)?;
            let loss = model.forward(&input, &mut ctx).cross_entropy(&classes);
            optimizer.set_learning_rate(schedule.at(losses.len() as u64));
            let (gradients, _) = gradients(&loss, model).clip_norm(1.0);
            optimizer.step(&gradients, model);
            drop(gradients);
            commit((&mut *model, &mut optimizer))?;
            losses.push(check_finite(loss.item()?, losses.len() as u64)?);
            mean += 0.02 * (losses[losses.len() - 1] - mean);
            let texts_per_s =
                (losses.len() * options.batch_size) as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("loss {mean:.4}, {texts_per_s:.0} texts/s"));
            bar.inc(1);
        }
    }
    bar.finish();
    println!("trained in {:.1} s", start.elapsed().as_secs_f64());
    Ok(losses)
}

fn measure(
    model: &Classifier,
    samples: &Samples,
    batch_size: usize,
    device: &Device,
) -> Result<ConfusionMatrix, Failure> {
    let mut confusion = ConfusionMatrix::new(CLASSES.len());
    for batch in LengthGroups::new(LENGTHS, batch_size).batches(&samples.lengths(), None) {
        let input = samples.input(&batch.texts, batch_size, batch.length, device)?;
        let predicted = model.forward(&input, &mut Context::eval()).argmax(-1).to_vec::<i32>()?;
        confusion.update(&samples.classes(&batch.texts), &predicted[..batch.texts.len()])?;
    }
    Ok(confusion)
}
