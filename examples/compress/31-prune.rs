//! Leaves weights and whole channels out of a network of clothes, and says what that costs and saves.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p compress-examples --example 31-prune`, a few
//! minutes on two cores
//!
//! Ends with a table of sizes, times and accuracies, and a picture of the trade-off in `out/31-prune`.
#![forbid(unsafe_code)]

#[path = "clothes.rs"]
mod clothes;

use clothes::{Clothes, TINY_STEPS, accuracy, draw, learn, milliseconds, network};
use examples::Failure;
use examples::options::{Options, Program};
use gradloom::compress::prune::structured::{StructuredPruning, Target};
use gradloom::compress::prune::{
    Pruned, Pruner, Sparsity, SparsitySchedule, is_prunable, sparsity_of,
};
use gradloom::data::Dataset;
use gradloom::prelude::*;
use gradloom::track::Curve;

/// What a network became.
struct Row {
    name: String,
    /// The part of its weights that is left, zeros not counted.
    left: f64,
    flops: f64,
    accuracy: f64,
    model: Sequential,
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "31-prune",
        source: include_str!("31-prune.rs"),
        epochs: 6,
        epoch: "passes of the whole network; each smaller one learns half as many more",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[],
    })?;
    let device = options.arguments.device()?;
    let clothes = Clothes::load(&options)?;
    let mut init = Init::new(Key::new(options.seed), &device);
    let dense = network([32, 64, 512], &mut init);
    println!("{} parameters, on {}", dense.parameter_count(), device.name());
    let dense = learn(dense, sgd(), 0.06, options.epochs, (&clothes, &options))?;
    let more = (options.epochs / 2).max(1);
    let flops = flops_of(&dense, &device);
    let mut rows = vec![Row {
        name: "the whole network".into(),
        left: 1.0,
        flops: 1.0,
        accuracy: accuracy(&dense, &clothes, &device)?,
        model: dense.clone(),
    }];

    // Weights: more and more go in the first two thirds of the steps.
    let end = (2 * steps(&clothes, &options, more) / 3).max(2);
    for sparsity in [0.8, 0.95] {
        let schedule = SparsitySchedule::cubic(sparsity, 0, end)?.every((end / 30).max(1));
        let optimizer = Pruner::new(sgd(), schedule).sparsity(Sparsity::Global(sparsity));
        let pruned = Pruned::gradually(dense.clone(), is_prunable)?;
        let pruned = learn(pruned, optimizer, 0.02, more, (&clothes, &options))?;
        for layer in pruned.report()? {
            println!(
                "  {:<10} {:>5.1} % of {} gone",
                layer.name,
                100.0 * layer.sparsity(),
                layer.count
            );
        }
        let model = pruned.finish()?;
        let zeros: usize = sparsity_of(&model)?.iter().map(|layer| layer.zeros).sum();
        rows.push(Row {
            name: format!("without {:.0} % of its weights", 100.0 * sparsity),
            left: 1.0 - zeros as f64 / model.parameter_count() as f64,
            flops: 1.0,
            accuracy: accuracy(&model, &clothes, &device)?,
            model,
        });
    }

    // Channels: they are taken out, then what is left learns again.
    let sample = Tensor::zeros([1, 1, 28, 28], DType::F32, &device);
    for part in [0.5, 0.25] {
        let mut model = dense.clone();
        StructuredPruning::to(Target::Flops(part))?.multiple_of(8).prune(
            &mut model,
            &[&sample],
            |model, ctx| model.forward(&sample, ctx),
        )?;
        let model = learn(model, sgd(), 0.04, more, (&clothes, &options))?;
        rows.push(Row {
            name: format!("with {:.0} % of its operations", 100.0 * part),
            left: model.parameter_count() as f64 / dense.parameter_count() as f64,
            flops: flops_of(&model, &device) / flops,
            accuracy: accuracy(&model, &clothes, &device)?,
            model,
        });
    }
    report(&rows, &options, &device)
}

/// Steps of so many passes.
fn steps(clothes: &Clothes, options: &Options, epochs: u32) -> u64 {
    let samples = clothes.train(options, options.seed).dataset().len();
    let steps = samples / options.batch_size.min(samples);
    let steps = if options.tiny { steps.min(TINY_STEPS) } else { steps };
    steps as u64 * u64::from(if options.tiny { 1 } else { epochs })
}

fn sgd() -> Sgd {
    Sgd::new(0.05).momentum(0.9).weight_decay(5e-4)
}

fn flops_of(model: &Sequential, device: &Device) -> f64 {
    let x = Tensor::zeros([1, 1, 28, 28], DType::F32, device);
    let structure =
        gradloom::compress::prune::structured::Structure::of(model, &[&x], |model, ctx| {
            model.forward(&x, ctx)
        });
    structure.flops(&structure.none())
}

fn report(rows: &[Row], options: &Options, device: &Device) -> Result<(), Failure> {
    let models: Vec<&dyn Layer> = rows.iter().map(|row| &row.model as &dyn Layer).collect();
    let times = milliseconds(&models, if options.tiny { 3 } else { 41 }, device)?;
    println!(
        "\n{:<28} {:>8} {:>11} {:>9} {:>7} {:>9}",
        "", "weights", "operations", "ms / 250", "faster", "accuracy"
    );
    for (row, time) in rows.iter().zip(&times) {
        println!(
            "{:<28} {:>6.1} % {:>9.1} % {:>9.2} {:>6.2}x {:>7.2} %",
            row.name,
            100.0 * row.left,
            100.0 * row.flops,
            time,
            times[0] / time,
            100.0 * row.accuracy
        );
    }
    let line = |name: &str, rows: &[&Row]| {
        let points = rows.iter().map(|row| (100.0 * row.left, 100.0 * row.accuracy));
        (name.to_owned(), points.collect())
    };
    let curve = Curve {
        title: "What is left and what it knows".into(),
        x: "weights that are left, %".into(),
        y: "accuracy, %".into(),
        lines: vec![
            line("single weights gone", &[&rows[0], &rows[1], &rows[2]]),
            line("channels gone", &[&rows[0], &rows[3], &rows[4]]),
        ],
    };
    draw(&curve, options)
}
