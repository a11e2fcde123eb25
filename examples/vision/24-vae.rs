//! Trains a variational autoencoder on Fashion-MNIST, and draws clothes that nobody wore.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p vision-examples --example 24-vae`, a few minutes
//! on two cores
//!
//! Ends with the bound on unseen pictures in nats and the Frechet distance of drawn pictures in the features of a
//! classifier; writes sheets of reconstructions, drawn pictures and ways from one picture to another into `out/24-vae`.
#![forbid(unsafe_code)]

use examples::Failure;
use examples::options::{Options, Program};
use examples::report::{self, StepLosses};
use gradloom::data::Batch;
use gradloom::prelude::*;
use gradloom::train::{Outcome, Setting};
use gradloom::vision::generative::{AutoencoderConfig, Vae, VaeConfig};
use vision_examples::made::{Judge, Real, SIZE, judged, save, sheet};

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "24-vae",
        source: include_str!("24-vae.rs"),
        epochs: 5,
        epoch: "passes over the data",
        batch_size: 128,
        data: "assets/fashion-mnist",
        own: &[
            ("--beta B", "weight of the divergence (1)"),
            ("--latent N", "size of the vector (32)"),
        ],
    })?;
    let device = options.arguments.device()?;
    let real = Real::load(&options)?;
    let network = AutoencoderConfig {
        latent: options.arguments.number("--latent", 32)?,
        ..AutoencoderConfig::new(1, SIZE)
    };
    let beta = options.arguments.number("--beta", 1.0)?;
    let config = VaeConfig { beta, ..VaeConfig::new(network) };
    let model = Vae::new(&config, &mut Init::new(Key::new(options.seed), &device))?;
    println!("{} parameters, on {}", model.parameter_count(), device.name());
    let task =
        |model: &Vae, batch: &Batch, ctx: &mut Context, setting: &Setting| -> Result<Outcome> {
            let (pictures, _) = batch.to_tensors(&setting.device)?;
            Ok(Outcome::new(model.loss(&pictures, ctx).total, pictures.size(0)))
        };
    let steps = StepLosses::default();
    let mut trainer = Trainer::with_task(model, Adam::new(1e-3), task)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .batches_per_epoch(if options.tiny { 3 } else { usize::MAX })
        .key(Key::new(options.seed).fold(2))
        .schedule_over(|steps| Schedule::cosine_to(2e-3, 1e-4, steps))
        .callback(steps.clone());
    let fit = trainer.fit(&real.train(&options), &real.test())?;
    let bound = trainer.evaluate(&real.test())?[0].1;
    let mut model = trainer.model;
    model.freeze();

    let judge = Judge::train(&real, &options, &device)?;
    let drawn = model.sample(judged(&options), Key::new(options.seed).fold(3), &device);
    let mut page = report::page(&options, &fit.history, &steps, &device);
    let weighted = if beta == 1.0 { "" } else { ", with the divergence weighted" };
    let figure =
        ("bound on unseen pictures".to_owned(), format!("-{bound:.2} nats per picture{weighted}"));
    println!("{}: {}", figure.0, figure.1);
    page.figures = vec![figure];
    page.figures.extend(judge.figures(judge.verdict(&drawn, None)?));

    let (unseen, _) = real.unseen(20, &device)?;
    let again = model.reconstruct(&unseen, &mut Context::eval());
    let rows = Tensor::concat(&[&unseen, &again], 0);
    save(&sheet(&rows, 20)?, &options.out.join("reconstructions.png"))?;
    save(&sheet(&drawn.narrow(0, 0, 40), 20)?, &options.out.join("drawn.png"))?;
    // From each of four pictures to another, along a line between their vectors.
    let means = model.encode(&unseen.narrow(0, 0, 8), &mut Context::eval()).mean;
    let (from, to) = (means.narrow(0, 0, 4).unsqueeze(1), means.narrow(0, 4, 4).unsqueeze(1));
    let share = Tensor::linspace(0.0, 1.0, 12, DType::F32, &device).reshape([1, 12, 1]);
    let way = (&from + (&to - &from) * share).reshape([48, model.latent()]);
    let way = model.likelihood().mean(&model.decode(&way, &mut Context::eval()));
    save(&sheet(&way, 12)?, &options.out.join("ways.png"))?;
    report::save(&options, &model, &page)
}
