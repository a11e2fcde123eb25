//! Trains a diffusion on Fashion-MNIST, which makes clothes of the class asked for out of noise.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p vision-examples --example 26-diffusion`, some
//! minutes on two cores
//!
//! Ends with how many made pictures a classifier of real ones recognises, and their Frechet distance in its features;
//! writes a sheet, a column for each class, and the way out of the noise into `out/26-diffusion`.
#![forbid(unsafe_code)]

use std::time::Instant;

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::Batch;
use gradloom::prelude::*;
use gradloom::train::{Ema, Outcome, Setting};
use gradloom::vision::generative::{
    Ddpm, DiffusionUNet, DiffusionUNetConfig, DrawOptions, NoiseSchedule, Prediction, Sampler,
};
use vision_examples::made::{CLASSES, Judge, Real, SIZE, judged, labels_in_turn, save, sheet};

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "26-diffusion",
        source: include_str!("26-diffusion.rs"),
        epochs: 2,
        epoch: "passes over the data",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[
            ("--guidance S", "how much the label counts, 1 is as learnt (2)"),
            ("--steps N", "steps of drawing (25)"),
            ("--eta E", "share of fresh noise in a step (0)"),
        ],
    })?;
    let guidance = options.arguments.number("--guidance", 2.0)?;
    let steps = options.arguments.number("--steps", if options.tiny { 4 } else { 25 })?;
    let sampler = Sampler::Ddim { steps, eta: options.arguments.number("--eta", 0.0)? };
    let device = options.arguments.device()?;
    let real = Real::load(&options)?;
    let widths = if options.tiny { vec![8, 16] } else { vec![32, 64] };
    let config = DiffusionUNetConfig { widths, ..DiffusionUNetConfig::new(4).classes(CLASSES) };
    let init = &mut Init::new(Key::new(options.seed), &device);
    let model = DiffusionUNet::new(&config, init)?;
    let ddpm = Ddpm::new(NoiseSchedule::cosine(1000)?).prediction(Prediction::Velocity);
    println!("{} parameters, on {}", model.parameter_count(), device.name());

    let of_loss = ddpm.clone();
    let task = move |model: &DiffusionUNet,
                     batch: &Batch,
                     ctx: &mut Context,
                     setting: &Setting|
          -> Result<Outcome> {
        let (pictures, labels) = batch.to_tensors(&setting.device)?;
        let loss = of_loss.loss(model, &squares(&pictures), Some(&labels), ctx)?;
        Ok(Outcome::new(loss, labels.size(0)))
    };
    let losses = StepLosses::default();
    let mut trainer = Trainer::with_task(model, AdamW::new(2e-3), task)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .batches_per_epoch(if options.tiny { 3 } else { usize::MAX })
        .key(Key::new(options.seed).fold(2))
        .schedule_over(|steps| Schedule::cosine_to(2e-3, 1e-5, steps).warmup(steps / 50))
        .clip_norm(1.0)
        .ema(Ema::new(0.995))
        .callback(losses.clone());
    let fit = trainer.fit_train(&real.train(&options))?;
    let mut model = trainer.measured_model();
    model.freeze();

    let judge = Judge::train(&real, &options, &device)?;
    let labels = labels_in_turn(judged(&options), &device)?;
    let start = Instant::now();
    let mut parts = Vec::new();
    let part = labels.size(0).min(100);
    let key = |part: usize| Key::new(options.seed).fold(3).fold(part as u32);
    for from in (0..labels.size(0)).step_by(part) {
        let own = labels.narrow(0, from, part);
        let draw = DrawOptions { sampler, labels: Some(&own), guidance };
        parts.push(ddpm.sample(
            &model,
            [part, 4, SIZE / 2, SIZE / 2],
            &draw,
            key(from),
            &device,
        )?);
    }
    let drawn = pictures(&Tensor::concat(&parts, 0));
    let each_ms = 1e3 * start.elapsed().as_secs_f64() / labels.size(0) as f64;
    println!("{steps} steps of drawing took {each_ms:.1} ms per picture");
    let mut page = report::page(&options, &fit.history, &losses, &device);
    page.figures = judge.figures(judge.verdict(&drawn, Some(&labels))?);

    let names: Vec<&str> = real.names.iter().map(String::as_str).collect();
    println!("columns of the sheet: {}", names.join(", "));
    save(&sheet(&drawn.narrow(0, 0, 4 * CLASSES), CLASSES)?, &options.out.join("made.png"))?;
    // The same noise, drawn in more and more steps.
    let own = labels.narrow(0, 0, CLASSES);
    let mut rows = Vec::new();
    for count in [1, 2, 4, if options.tiny { 5 } else { 50 }] {
        let sampler = Sampler::Ddim { steps: count, eta: 0.0 };
        let draw = DrawOptions { sampler, labels: Some(&own), guidance };
        rows.push(ddpm.sample(&model, [CLASSES, 4, SIZE / 2, SIZE / 2], &draw, key(0), &device)?);
    }
    let rows = pictures(&Tensor::concat(&rows, 0));
    save(&sheet(&rows, CLASSES)?, &options.out.join("steps.png"))?;
    report::save(&options, &model, &page)
}

/// Pictures in 0..=1 as four channels of half the size in -1..=1, the pixels of each square of four: noise is as much
/// noise there, and a step takes a third of the time.
fn squares(pictures: &Tensor) -> Tensor {
    let half = SIZE / 2;
    let parts = (pictures * 2.0 - 1.0).reshape([pictures.size(0), half, 2, half, 2]);
    parts.permute(&[0, 2, 4, 1, 3]).reshape([pictures.size(0), 4, half, half])
}

/// The way back.
fn pictures(squares: &Tensor) -> Tensor {
    let half = SIZE / 2;
    let parts = ((squares + 1.0) * 0.5).reshape([squares.size(0), 2, 2, half, half]);
    parts.permute(&[0, 3, 1, 4, 2]).reshape([squares.size(0), 1, SIZE, SIZE])
}
