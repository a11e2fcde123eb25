//! Trains an autoencoder of codes on Fashion-MNIST, then what codes stand together, and draws clothes of the class asked
//! for.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p vision-examples --example 27-vq-vae`, some minutes on
//! two cores
//!
//! Ends with the error of pictures through 49 codes, how many drawn pictures a classifier of real ones recognises, and
//! their Frechet distance in its features; writes sheets into `out/27-vq-vae`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::Batch;
use gradloom::metrics::{ChannelAxis, psnr, ssim};
use gradloom::prelude::*;
use gradloom::train::{Ema, Outcome, Setting};
use gradloom::vision::generative::{PixelCnn, PixelCnnConfig, QuantizerConfig, VqVae, VqVaeConfig};
use vision_examples::made::{
    CLASSES, Judge, Pictures, Real, SIZE, judged, labels_in_turn, percent, save, sheet,
};

/// Codes of pictures and their labels.
type Coded = (Tensor, Tensor);

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "27-vq-vae",
        source: include_str!("27-vq-vae.rs"),
        epochs: 2,
        epoch: "passes over the data",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[
            ("--codes K", "size of the codebook (64)"),
            ("--prior-epochs N", "of the prior (3)"),
            ("--temperature T", "what the prior's logits are divided by when it draws (0.9)"),
        ],
    })?;
    let device = options.arguments.device()?;
    let real = Real::load(&options)?;
    let codes = options.arguments.number("--codes", 64)?;
    let temperature = options.arguments.number("--temperature", 0.9)?;
    let key = |stream| Key::new(options.seed).fold(stream);
    let quantizer = QuantizerConfig { restart_below: Some(0.1), ..QuantizerConfig::new(codes, 16) };
    let config = VqVaeConfig {
        width: if options.tiny { 16 } else { 32 },
        residual_width: 16,
        ..VqVaeConfig::new(1, SIZE, quantizer)
    };
    let model = VqVae::new(&config, &mut Init::new(Key::new(options.seed), &device))?;
    println!("{} parameters, on {}", model.parameter_count(), device.name());
    let task =
        |model: &VqVae, batch: &Batch, ctx: &mut Context, setting: &Setting| -> Result<Outcome> {
            let (pictures, _) = batch.to_tensors(&setting.device)?;
            Ok(Outcome::new(model.loss(&pictures, ctx).total, pictures.size(0)))
        };
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, Adam::new(2e-3), task)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .batches_per_epoch(if options.tiny { 3 } else { usize::MAX })
        .key(key(2))
        .schedule_over(|steps| Schedule::cosine_to(2e-3, 1e-4, steps))
        .callback(steps.clone());
    let fit = trainer.fit(&real.train(&options), &real.test())?;
    let mut model = trainer.model;
    model.freeze();
    let mut page = report::page(&options, &fit.history, &steps, &device);
    let judge = Judge::train(&real, &options, &device)?;
    page.figures = through_codes(&model, &real, &judge, &options, &device)?;

    let train = real.train(&options);
    let most = if options.tiny { 3 } else { usize::MAX };
    let coded = coded(&model, &train, most, &device)?;
    let unseen = self::coded(&model, &real.test(), most, &device)?;
    let prior = PixelCnnConfig {
        width: if options.tiny { 8 } else { 48 },
        layers: if options.tiny { 2 } else { 6 },
        ..PixelCnnConfig::new(codes).classes(CLASSES)
    };
    let prior = PixelCnn::new(&prior, &mut Init::new(key(4), &device))?;
    println!("a prior of {} parameters", prior.parameter_count());
    let task = |prior: &PixelCnn,
                (codes, labels): &Coded,
                ctx: &mut Context,
                _: &Setting|
     -> Result<Outcome> {
        Ok(Outcome::new(prior.loss(codes, Some(labels), ctx), codes.size(0)))
    };
    let epochs: u32 = options.arguments.number("--prior-epochs", 3)?;
    let mut trainer = Trainer::with_task(prior, Adam::new(3e-3), task)
        .epochs(if options.tiny { 1 } else { epochs })
        .key(key(5))
        .ema(Ema::new(0.998))
        .schedule_over(|steps| Schedule::cosine_to(3e-3, 3e-5, steps).warmup(steps / 50));
    trainer.fit(&coded, &unseen)?;
    let nats = trainer.evaluate(&unseen)?[0].1;
    let mut prior = trainer.measured_model();
    prior.freeze();
    let bits = nats / std::f64::consts::LN_2;
    let figure = (
        "unseen codes under the prior".to_owned(),
        format!("{bits:.3} bits per code, {:.3} without it", (codes as f64).log2()),
    );
    println!("{}: {}", figure.0, figure.1);
    page.figures.push(figure);

    let labels = labels_in_turn(judged(&options), &device)?;
    let grid = [labels.size(0), model.grid(), model.grid()];
    let drawn = prior.sample(grid, Some(&labels), temperature, key(6), &device)?;
    let mut drawn = model.decode(&drawn);
    commit(&mut drawn)?;
    page.figures.extend(judge.figures(judge.verdict(&drawn, Some(&labels))?));
    println!("columns of the sheet: {}", real.names.join(", "));
    save(&sheet(&drawn.narrow(0, 0, 4 * CLASSES), CLASSES)?, &options.out.join("made.png"))?;
    prior.save(options.out.join("prior.safetensors"))?;
    report::save(&options, &model, &page)
}

/// Figures of unseen pictures through their codes and back, and a sheet.
fn through_codes(
    model: &VqVae,
    real: &Real,
    judge: &Judge,
    options: &Options,
    device: &Device,
) -> Result<Vec<(String, String)>, Failure> {
    let (unseen, labels) = real.unseen(if options.tiny { 20 } else { 1000 }, device)?;
    let codes = model.encode(&unseen);
    let again = model.decode(&codes);
    eval([&codes, &again])?;
    let (x, y) = (unseen.to_vec::<f32>()?, again.to_vec::<f32>()?);
    let count = unseen.size(0);
    let layout = ChannelAxis::First(count);
    let used: std::collections::BTreeSet<i32> = codes.to_vec::<i32>()?.into_iter().collect();
    let recognised = judge.verdict(&again, Some(&labels))?.recognised.unwrap_or_default();
    let figures = vec![
        ("unseen pictures that the judge recognises through codes".to_owned(), percent(recognised)),
        ("PSNR through codes".to_owned(), format!("{:.2} dB", psnr(&x, &y, 1.0)?)),
        (
            "SSIM through codes".to_owned(),
            format!("{:.4}", ssim(&x, &y, [SIZE, SIZE], layout, 1.0)?),
        ),
        ("codes in use".to_owned(), format!("{} of {}", used.len(), model.quantizer.codes())),
    ];
    for (name, value) in &figures {
        println!("{name}: {value}");
    }
    let rows = Tensor::concat(&[unseen.narrow(0, 0, 20), again.narrow(0, 0, 20)], 0);
    save(&sheet(&rows, 20)?, &options.out.join("reconstructions.png"))?;
    Ok(figures)
}

/// The codes of at most so many batches.
fn coded(
    model: &VqVae,
    pictures: &Pictures,
    most: usize,
    device: &Device,
) -> Result<Vec<Coded>, Failure> {
    let mut all = Vec::new();
    for batch in pictures.epoch(0).take(most) {
        let (pictures, labels) = batch?.to_tensors(device)?;
        let mut codes = model.encode(&pictures);
        commit(&mut codes)?;
        all.push((codes, labels));
    }
    Ok(all)
}
