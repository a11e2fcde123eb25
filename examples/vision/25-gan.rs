//! Trains two networks against each other on Fashion-MNIST, one of which then makes clothes of the class asked for.
//!
//! `cargo xtask assets fashion-mnist`, then `cargo run --release -p vision-examples --example 25-gan`, some minutes on
//! two cores
//!
//! Ends with how many made pictures a classifier of real ones recognises, and their Frechet distance in its features;
//! writes a sheet, a column for each class, into `out/25-gan`.
#![forbid(unsafe_code)]

use std::time::Instant;

use examples::Failure;
use examples::options::{Options, Program};
use examples::report;
use gradloom::prelude::*;
use gradloom::track::Curve;
use gradloom::train::Ema;
use gradloom::vision::generative::{
    DcganConfig, DcganDiscriminator, DcganGenerator, DiscriminatorConfig, DiscriminatorNorm,
    GanLoss, LabelUse, WganGp,
};
use vision_examples::made::{
    self, CLASSES, Judge, Real, SIZE, judged, labels_in_turn, save, sheet,
};

/// What the discriminator loses by.
#[derive(Clone, Copy, PartialEq)]
enum Game {
    Plain(GanLoss),
    Penalty(WganGp),
}

/// Both networks and what trains them.
struct Players {
    generator: DcganGenerator,
    /// Of the generator's weights: a generator circles around what it looks for, and the mean is nearer to it. Yazıcı et
    /// al., "The unusual effectiveness of averaging in GAN training", 2019.
    average: Ema,
    discriminator: DcganDiscriminator,
    generators: Adam,
    discriminators: Adam,
    game: Game,
}

impl Players {
    /// One step of the discriminator; its loss.
    fn discriminate(&mut self, real: &Tensor, labels: &Tensor, ctx: &mut Context) -> Result<f64> {
        let z = self.generator.noise(real.size(0), ctx.key(), real.device());
        // Its running statistics are the generator's own step's.
        let made =
            self.generator.forward(&z, Some(labels), &mut Context::train(ctx.key())).detach();
        let key = ctx.key();
        let mut score = |x: &Tensor| self.discriminator.forward(x, Some(labels), ctx);
        let mut loss = match self.game {
            Game::Plain(loss) => loss.discriminator(&score(real), &score(&made)),
            Game::Penalty(game) => game.critic(score, real, &made, key).total,
        };
        self.discriminators.step(&gradients(&loss, &self.discriminator), &mut self.discriminator);
        ctx.apply_updates(&mut self.discriminator);
        commit((&mut self.discriminator, &mut self.discriminators, &mut loss))?;
        loss.item()
    }

    /// One step of the generator; its loss.
    fn generate(&mut self, labels: &Tensor, ctx: &mut Context) -> Result<f64> {
        let z = self.generator.noise(labels.size(0), ctx.key(), labels.device());
        let made = self.generator.forward(&z, Some(labels), ctx);
        let judge = &mut Context::train(ctx.key());
        let scores = self.discriminator.forward(&made, Some(labels), judge);
        let mut loss = match self.game {
            Game::Plain(loss) => loss.generator(&scores),
            Game::Penalty(game) => game.generator(&scores),
        };
        self.generators.step(&gradients(&loss, &self.generator), &mut self.generator);
        ctx.apply_updates(&mut self.generator);
        self.average.update(&self.generator);
        commit((&mut self.generator, &mut self.generators, &mut self.average, &mut loss))?;
        loss.item()
    }

    /// The generator of mean weights, whose batch norms see what it makes of some batches of noise.
    fn averaged(&self, ctx: &mut Context, device: &Device) -> Result<DcganGenerator> {
        let mut generator = self.average.model(&self.generator);
        let labels = labels_in_turn(250, device)?;
        for _ in 0..40 {
            let z = generator.noise(labels.size(0), ctx.key(), device);
            let mut made = generator.forward(&z, Some(&labels), ctx);
            ctx.apply_updates(&mut generator);
            commit((&mut generator, &mut made))?;
        }
        generator.freeze();
        Ok(generator)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "25-gan",
        source: include_str!("25-gan.rs"),
        epochs: 3,
        epoch: "passes over the data",
        batch_size: 32,
        data: "assets/fashion-mnist",
        own: &[("--game NAME", "hinge, non-saturating or wgan-gp (hinge)")],
    })?;
    let game = match options.arguments.text("--game").unwrap_or("hinge") {
        "hinge" => Game::Plain(GanLoss::Hinge),
        "non-saturating" => Game::Plain(GanLoss::NonSaturating),
        "wgan-gp" => Game::Penalty(WganGp::default()),
        other => {
            return Err(
                format!("--game {other}: there are hinge, non-saturating and wgan-gp").into()
            );
        }
    };
    let device = options.arguments.device()?;
    let real = Real::load(&options)?;
    let mut players = players(game, &options, &device)?;
    println!(
        "{} + {} parameters, on {}",
        players.generator.parameter_count(),
        players.discriminator.parameter_count(),
        device.name()
    );
    // A critic with a penalty is to be near its optimum, so it moves more often.
    let rounds = if matches!(game, Game::Penalty(_)) { 3 } else { 1 };
    let ctx = &mut Context::train(Key::new(options.seed).fold(2));
    let (mut losses, mut others) = (Vec::new(), Vec::new());
    let start = Instant::now();
    let train = real.train(&options);
    let most = if options.tiny { 6 } else { usize::MAX };
    let epochs = if options.tiny { 1 } else { options.epochs };
    let steps = u64::from(epochs) * train.batch_count() as u64;
    let schedule = Schedule::cosine_to(players.generators.learning_rate(), 2e-5, steps);
    for epoch in 0..epochs {
        for (batch, found) in train.epoch(epoch).take(most).enumerate() {
            let (pictures, labels) = found?.to_tensors(&device)?;
            let pictures = pictures * 2.0 - 1.0;
            let step = u64::from(epoch) * train.batch_count() as u64 + batch as u64;
            players.generators.set_learning_rate(schedule.at(step));
            players.discriminators.set_learning_rate(schedule.at(step));
            let loss = players.discriminate(&pictures, &labels, ctx)?;
            let step = step as f64;
            losses.push((step, loss));
            if batch % rounds == 0 {
                others.push((step, players.generate(&labels, ctx)?));
            }
        }
        let mean = |all: &[(f64, f64)]| {
            let last = &all[all.len().saturating_sub(200)..];
            last.iter().map(|(_, loss)| loss).sum::<f64>() / last.len() as f64
        };
        println!(
            "epoch {}: discriminator {:.3}, generator {:.3}, {:.0} s",
            epoch + 1,
            mean(&losses),
            mean(&others),
            start.elapsed().as_secs_f64()
        );
    }

    let generator = players.averaged(ctx, &device)?;
    let judge = Judge::train(&real, &options, &device)?;
    let labels = labels_in_turn(judged(&options), &device)?;
    let key = Key::new(options.seed).fold(3);
    let drawn = generator.sample(labels.size(0), Some(&labels), key, &device);
    let mut drawn = (drawn + 1.0) * 0.5;
    commit(&mut drawn)?;
    let figures = judge.figures(judge.verdict(&drawn, Some(&labels))?);
    let of_class = labels.narrow(0, 0, CLASSES).to_vec::<i32>()?;
    let names: Vec<&str> =
        of_class.iter().map(|&class| real.names[class as usize].as_str()).collect();
    println!("columns of the sheet: {}", names.join(", "));
    save(&sheet(&drawn.narrow(0, 0, 4 * CLASSES), CLASSES)?, &options.out.join("made.png"))?;
    let curve = Curve {
        title: "losses".into(),
        x: "step".into(),
        y: "loss".into(),
        lines: vec![("discriminator".into(), losses), ("generator".into(), others)],
    };
    report::save(&options, &generator, &made::page(&options, vec![curve], figures))
}

fn players(game: Game, options: &Options, device: &Device) -> Result<Players, Failure> {
    let init = &mut Init::new(Key::new(options.seed), device);
    let width = if options.tiny { 8 } else { 48 };
    let generator = DcganConfig { width, latent: 64, ..DcganConfig::new(1, SIZE).classes(CLASSES) };
    let generator = DcganGenerator::new(&generator, init)?;
    let norm = match game {
        Game::Plain(_) => DiscriminatorNorm::Batch,
        Game::Penalty(_) => DiscriminatorNorm::Sample,
    };
    let classes = Some((CLASSES, LabelUse::Projection));
    let config = DiscriminatorConfig { width, norm, classes, ..DiscriminatorConfig::new(1, SIZE) };
    let discriminator = DcganDiscriminator::new(&config, init)?;
    let adam = || Adam::new(3e-4).betas([0.5, 0.999]);
    Ok(Players {
        generator,
        average: Ema::new(0.998),
        discriminator,
        generators: adam(),
        discriminators: adam(),
        game,
    })
}
