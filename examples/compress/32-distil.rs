//! A small network learns clothes from a large one, and is compared with the same network that learns alone.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p compress-examples --example 32-distil`, a few
//! minutes on two cores
//!
//! Ends with a table over several seeds and a picture in `out/32-distil`.
#![forbid(unsafe_code)]

#[path = "clothes.rs"]
mod clothes;

use clothes::{Clothes, TINY_STEPS, accuracy, draw, learn, milliseconds, network};
use examples::Failure;
use examples::options::{Options, Program};
use gradloom::compress::distil::{Teacher, distillation_loss};
use gradloom::data::Batch;
use gradloom::prelude::*;
use gradloom::track::Curve;
use gradloom::train::{Outcome, Setting};

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "32-distil",
        source: include_str!("32-distil.rs"),
        epochs: 6,
        epoch: "passes of the teacher; each student learns half as many",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[
            ("--temperature T", "how soft the teacher's answers are (4)"),
            ("--share S", "of the teacher in the loss, the labels have the rest (0.9)"),
            ("--seeds N", "students of each kind (3)"),
        ],
    })?;
    let device = options.arguments.device()?;
    let clothes = Clothes::load(&options)?;
    let temperature: f64 = options.arguments.number("--temperature", 4.0)?;
    let share: f64 = options.arguments.number("--share", 0.9)?;
    let seeds: u64 = options.arguments.number("--seeds", if options.tiny { 1 } else { 3 })?;

    let mut init = Init::new(Key::new(options.seed), &device);
    let teacher = network([32, 64, 512], &mut init);
    let teacher = Teacher::new(learn(teacher, sgd(), 0.06, options.epochs, (&clothes, &options))?);
    let known = accuracy(teacher.model(), &clothes, &device)?;
    let epochs = (options.epochs / 2).max(1);

    let mut points: [Vec<(f64, f64)>; 2] = Default::default();
    let mut student = network([16, 32, 192], &mut init);
    for seed in 0..seeds {
        let options = Options { seed: options.seed + seed, ..options.clone() };
        let mut init = Init::new(Key::new(options.seed).fold(9), &device);
        let fresh = network([16, 32, 192], &mut init);
        let alone = learn(fresh.clone(), sgd(), 0.06, epochs, (&clothes, &options))?;
        let task = |model: &Sequential, batch: &Batch, ctx: &mut Context, setting: &Setting| {
            let (pictures, labels) = batch.to_tensors(&setting.device)?;
            let wanted = teacher.output(&pictures, |teacher, x, ctx| teacher.forward(x, ctx));
            let logits = model.forward(&pictures, ctx);
            let from_teacher = distillation_loss(&logits, &wanted, temperature);
            let loss = from_teacher * share + logits.cross_entropy(&labels) * (1.0 - share);
            Ok::<_, gradloom::Error>(Outcome::new(loss, pictures.size(0)))
        };
        let mut trainer = Trainer::with_task(fresh, sgd(), task)
            .epochs(if options.tiny { 1 } else { epochs })
            .batches_per_epoch(if options.tiny { TINY_STEPS } else { usize::MAX })
            .key(Key::new(options.seed).fold(2))
            .schedule_over(|steps| Schedule::one_cycle(0.06, steps));
        trainer.fit_train(&clothes.train(&options, options.seed))?;
        student = trainer.model;
        let found = [accuracy(&alone, &clothes, &device)?, accuracy(&student, &clothes, &device)?];
        println!("seed {seed}: alone {:.2} %, taught {:.2} %", 100.0 * found[0], 100.0 * found[1]);
        for (points, accuracy) in points.iter_mut().zip(found) {
            points.push((seed as f64, 100.0 * accuracy));
        }
    }

    let mean = |points: &[(f64, f64)]| {
        points.iter().map(|(_, accuracy)| accuracy).sum::<f64>() / points.len().max(1) as f64
    };
    let rounds = if options.tiny { 3 } else { 41 };
    let times = milliseconds(&[teacher.model(), &student], rounds, &device)?;
    let sizes = [teacher.model().parameter_count(), student.parameter_count()];
    println!("\n{:<26} {:>9} {:>9} {:>9}", "", "weights", "ms / 250", "accuracy");
    println!("{:<26} {:>9} {:>9.2} {:>7.2} %", "teacher", sizes[0], times[0], 100.0 * known);
    for (name, points) in ["student, alone", "student, taught"].into_iter().zip(&points) {
        println!("{name:<26} {:>9} {:>9.2} {:>7.2} %", sizes[1], times[1], mean(points));
    }
    let [alone, taught] = points;
    let ends = [0.0, seeds.saturating_sub(1) as f64];
    let curve = Curve {
        title: "A student alone and with a teacher".into(),
        x: "seed".into(),
        y: "accuracy, %".into(),
        lines: vec![
            ("student, alone".into(), alone),
            ("student, taught".into(), taught),
            ("teacher".into(), ends.map(|at| (at, 100.0 * known)).to_vec()),
        ],
    };
    draw(&curve, &options)
}

fn sgd() -> Sgd {
    Sgd::new(0.05).momentum(0.9).weight_decay(5e-4)
}
