//! Makes a classifier of film reviews on MiniLM smaller in three ways: 8-bit integers, heads and hidden features taken
//! out, and half of the layers taught by the whole.
//!
//! `cargo xtask assets minilm sentiment`, then
//! `cargo run --release -p compress-examples --example 38-compress-sentiment`, several minutes on two cores
//!
//! Ends with a table of sizes, times and how many of 1,000 unseen reviews are sorted right. In tiny mode the encoder is a
//! random one and the reviews are made up.
#![forbid(unsafe_code)]

use std::time::Instant;

use examples::Failure;
use examples::options::{Arguments, DEVICE, TINY};
use gradloom::compress::distil::{Teacher, distillation_loss};
use gradloom::compress::prune::structured::{StructuredPruning, Target};
use gradloom::compress::quantize::{Int8Model, Recipe};
use gradloom::prelude::*;
use gradloom::train::{Batches, Outcome, Setting};
use gradloom::zoo::BertInput;
use language_examples::minilm;
use language_examples::reviews::{self, Review};
use language_examples::sentiment::{self, Classifier, Texts};

/// A batch of texts and their classes.
type Batch = (BertInput, Tensor);

/// A classifier of some kind: what it is called, its bytes, and its logits of a batch.
struct Row<'r> {
    name: &'static str,
    bytes: usize,
    logits: Box<dyn Fn(&BertInput) -> Tensor + 'r>,
}

fn main() -> Result<(), Failure> {
    let data = ("--data FOLDER", "where the encoder is (assets/minilm)");
    let known = [
        data,
        ("--texts N", "snippets to learn from (3000)"),
        ("--operations P", "part of the operations that pruning leaves (0.6)"),
        ("--temperature T", "how soft the teacher's answers are (2)"),
        DEVICE,
        TINY,
    ];
    let arguments = Arguments::read(include_str!("38-compress-sentiment.rs"), &known)?;
    let (device, tiny) = (arguments.device()?, arguments.tiny());
    let (train, test) = reviews::of(&arguments)?;
    let texts: Vec<&str> = train.iter().map(|review| review.text.as_str()).collect();
    let (config, bert, tokenizer) = minilm::load(&arguments, Key::new(1), &texts, &device)?;
    let batch_size = if tiny { 4 } else { 32 };
    let of = |reviews: &[Review], key| Texts::new(reviews, &tokenizer, batch_size, key, &device);
    let (train, test) = (of(&train, Some(Key::new(3)))?, of(&test[..test.len().min(1000)], None)?);
    let fresh = Classifier::new(bert, config.hidden_size, &mut Init::new(Key::new(2), &device));

    let whole = sentiment::teach(fresh.clone(), &train, 2e-4, sentiment::task)?;
    println!("learnt from {} reviews, on {}", train.len(), device.name());
    let Some(first) = test.batches(0, 0).next() else { return Err("no reviews".into()) };
    let (input, _) = first?;

    let int8 = integers(&whole, &input)?;
    let pruned =
        pruned(&whole, &input, arguments.number("--operations", if tiny { 0.8 } else { 0.6 })?)?;
    let pruned = sentiment::teach(pruned, &train, 1e-4, sentiment::task)?;
    let mut half = fresh;
    let mut number = 0;
    half.bert.encoder.layer.retain(|_| {
        number += 1;
        number % 2 == 1
    });
    let alone = sentiment::teach(half.clone(), &train, 2e-4, sentiment::task)?;
    let taught = taught(half, &whole, &train, arguments.number("--temperature", 2.0)?)?;

    let plain = |name, model: &Classifier| Row {
        name,
        bytes: 4 * model.parameter_count(),
        logits: Box::new({
            let model = model.clone();
            move |input| model.forward(input, &mut Context::eval())
        }),
    };
    let rows = [
        plain("as it was learnt", &whole),
        Row {
            name: "in 8 bits",
            bytes: int8.bytes()[1],
            logits: Box::new(|input| {
                let run = |model: &Classifier, ctx: &mut Context| model.forward(input, ctx);
                int8.run(&mut Context::eval(), &tensors(input), run)
            }),
        },
        plain("with fewer heads and features", &pruned),
        plain("half of the layers, alone", &alone),
        plain("half of the layers, taught", &taught),
    ];
    report(&rows, &test, if tiny { 2 } else { 9 })
}

/// What changes from call to call.
fn tensors(input: &BertInput) -> Vec<&Tensor> {
    std::iter::once(&input.tokens).chain(&input.mask).collect()
}

/// With products of 8-bit integers, whose inputs are rounded as they come.
fn integers(model: &Classifier, input: &BertInput) -> Result<Int8Model<Classifier>> {
    let run = |model: &Classifier, ctx: &mut Context| model.forward(input, ctx);
    Int8Model::dynamic(model.clone(), &Recipe::int8(), &tensors(input), run)
}

/// Without the heads and hidden features that matter least; what layers hand on keeps its width.
fn pruned(model: &Classifier, input: &BertInput, part: f64) -> Result<Classifier, Failure> {
    let mut model = model.clone();
    let run = |model: &Classifier, ctx: &mut Context| model.forward(input, ctx);
    let report = StructuredPruning::to(Target::Flops(part))?
        .multiple_of(8)
        .keep(|name| name.contains("embeddings"))
        .prune(&mut model, &tensors(input), run)?;
    let [before, after] = report.flops;
    println!("{:.0} % of the operations are left", 100.0 * after / before);
    Ok(model)
}

/// Taught by the answers of the whole model and by the labels.
fn taught(
    student: Classifier,
    whole: &Classifier,
    train: &Texts,
    temperature: f64,
) -> Result<Classifier, Failure> {
    let teacher = Teacher::new(whole.clone());
    let task = |model: &Classifier, batch: &Batch, ctx: &mut Context, _: &Setting| {
        let (input, classes) = batch;
        let wanted = teacher.model().forward(input, &mut Context::eval());
        let logits = model.forward(input, ctx);
        let from_teacher = distillation_loss(&logits, &wanted, temperature);
        let loss = from_teacher * 0.7 + logits.cross_entropy(classes) * 0.3;
        Ok(Outcome::new(loss, classes.count()))
    };
    sentiment::teach(student, train, 2e-4, task)
}

fn report(rows: &[Row<'_>], test: &Texts, rounds: usize) -> Result<(), Failure> {
    let batches = test.batches(0, 0).collect::<Result<Vec<Batch>>>()?;
    // In turn, so that what else the machine does slows all of them alike.
    let mut times = vec![Vec::new(); rows.len()];
    let (input, _) = &batches[batches.len() / 2];
    for round in 0..rounds + 1 {
        for (row, times) in rows.iter().zip(&mut times) {
            let start = Instant::now();
            (row.logits)(input).eval()?;
            if round > 0 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    println!("\n{:<30} {:>9} {:>12} {:>9}", "", "KB", "ms a batch", "right");
    for (row, mut times) in rows.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let mut right = 0;
        for (input, classes) in &batches {
            let said = (row.logits)(input).argmax(-1).to_vec::<i32>()?;
            let pairs = said.into_iter().zip(classes.to_vec::<i32>()?);
            right += pairs.filter(|(said, is)| said == is).count();
        }
        println!(
            "{:<30} {:>9} {:>12.1} {:>7.1} %",
            row.name,
            row.bytes / 1024,
            times[times.len() / 2],
            100.0 * right as f64 / test.len() as f64
        );
    }
    Ok(())
}
