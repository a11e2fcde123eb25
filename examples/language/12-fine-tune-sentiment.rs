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
use gradloom::nn::lora::Lora;
use gradloom::nn::optimizers::layer_wise_rates;
use gradloom::prelude::*;
use gradloom::train::metrics::Accuracy;
use gradloom::zoo::adapters::save_lora;
use language_examples::minilm;
use language_examples::reviews::{self, CLASSES};
use language_examples::sentiment::{self, Classifier, Texts};

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
    let (config, bert, tokenizer) = minilm::load(&options.arguments, key(4), &texts, &device)?;
    let batch_size = if options.tiny { 4 } else { options.batch_size_of(train.len()) };
    let train = Texts::new(&train, &tokenizer, batch_size, Some(key(3)), &device)?;
    let test = Texts::new(&test, &tokenizer, batch_size, None, &device)?;

    let mut init = Init::new(key(1), &device);
    let mut model = Classifier::new(bert, config.hidden_size, &mut init);
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
        train.len(),
        test.len(),
        device.name()
    );

    let optimizer = AdamW::new(rate)
        .decay_only(|_, weight| weight.rank() > 1)
        .rate_factor(layer_wise_rates(&model, 0.85));
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, optimizer, sentiment::task)
        .epochs(options.epochs)
        .key(key(2))
        .schedule_over(move |steps| {
            Schedule::linear(rate, 0.0, steps - steps / 10).warmup(steps / 10)
        })
        .clip_norm(1.0)
        .metric(Accuracy::new())
        .callback(steps.clone());
    let fit = trainer.fit(&train, &test)?;

    let confusion = sentiment::measure(&trainer.model, &test)?;
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
