//! Makes a network of pictures and an encoder of sentences compute with 8-bit integers, and a network with 4 bits.
//!
//! `cargo xtask assets fashion-mnist minilm`, then
//! `cargo run --release -p compress-examples --example 30-quantize`, a few minutes on two cores
//!
//! Prints accuracy and speed of f32 and of 8 bits after training, which layers suffer most at 4 bits, what 4 bits cost
//! after training and with training (LSQ), and how near the sentences' vectors stay. In tiny mode the pictures are
//! embedded digits and the encoder is a random one.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Instant;

use examples::Failure;
use examples::options::{Options, Program};
use gradloom::compress::quantize::{
    Calibrator, FakeQuantized, Int8Model, LayerScheme, Quantizers, Recipe, Scales, sensitivity,
};
use gradloom::data::transform::{Normalize, RandomCrop, RandomFlip, Scale};
use gradloom::data::{Dataset, FashionMnist, Image, Labelled, Loader, Split, mnist};
use gradloom::nn::layers::{Conv2d, Dropout, Flatten, Linear, MaxPool2d};
use gradloom::prelude::*;
use gradloom::text::{EncodeOptions, Padding, Tokenizer};
use gradloom::train::metrics::Accuracy;
use gradloom::zoo::{BertConfig, BertInput, BertModel, Pretrained};

const SENTENCES: [&str; 16] = [
    "The cat sits on the mat.",
    "A kitten is resting on a rug.",
    "The stock market fell sharply today.",
    "Share prices dropped across the board.",
    "How do I reset my password?",
    "I forgot the code for my account.",
    "The orchestra played a symphony by Mahler.",
    "She practises the violin every evening.",
    "Heavy rain is expected over the weekend.",
    "Bring an umbrella on Saturday.",
    "The recipe needs two eggs and a cup of flour.",
    "Water boils at a lower temperature on a mountain.",
    "A dull film that never decides whom it is about.",
    "The best performance of the year, and the funniest.",
    "The train to the coast leaves at seven from platform two.",
    "Nobody had told the gardener that the roses were plastic.",
];

/// Batches of pictures, and what they show.
type Batches = Vec<(Tensor, Tensor)>;

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "30-quantize",
        source: include_str!("30-quantize.rs"),
        epochs: 4,
        epoch: "passes over the pictures",
        batch_size: 64,
        data: "assets/fashion-mnist",
        own: &[("--minilm FOLDER", "where the encoder is (assets/minilm)")],
    })?;
    let device = options.arguments.device()?;
    if options.tiny {
        let (train, test) = mnist::embedded_split()?;
        pictures(&options, train, test, &device)?;
    } else {
        let load = |split| FashionMnist::load(&options.data, split);
        pictures(&options, load(Split::Train)?, load(Split::Test)?, &device)?;
    }
    sentences(&options, &device)
}

/// A network of pictures: 8 bits after training, 4 bits after and with training.
fn pictures<D>(options: &Options, train: D, test: D, device: &Device) -> Result<(), Failure>
where
    D: Dataset<Item = Labelled<Image>> + Clone + Send + Sync + 'static,
{
    let normalize = || Normalize::new([0.2860], [0.3530]);
    let test = batches(&Loader::images(test, (Scale, normalize())).batch_size(250), device)?;
    let samples = Loader::images(train.clone(), (Scale, normalize())).batch_size(100);
    let samples: Batches = batches_of(&samples, if options.tiny { 1 } else { 5 }, device)?;
    let augmented = (RandomCrop::new(28, 28, 1), RandomFlip::new(0.5), Scale, normalize());
    let train = Loader::images(train, augmented)
        .batch_size(options.batch_size)
        .shuffle(Key::new(options.seed).fold(1))
        .drop_last(true)
        .workers(1);
    let test = if options.tiny { test[..1].to_vec() } else { test };

    let mut init = Init::new(Key::new(options.seed), device);
    let model = Sequential::new()
        .with_named("first", Conv2d::new(1, 32, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with_named("second", Conv2d::new(32, 64, [3, 3], Default::default(), &mut init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with_named("hidden", Linear::new(1600, 512, &mut init))
        .with(Activation::Relu)
        .with(Dropout::new(0.3))
        .with_named("head", Linear::new(512, 10, &mut init));
    let rate = |steps| Schedule::one_cycle(0.06, steps);
    let sgd = || Sgd::new(0.05).momentum(0.9).weight_decay(5e-4);
    let batches_per_epoch = if options.tiny { 3 } else { usize::MAX };
    let mut trainer = Trainer::new(model, sgd(), Tensor::cross_entropy)
        .epochs(if options.tiny { 1 } else { options.epochs })
        .batches_per_epoch(batches_per_epoch)
        .key(Key::new(options.seed).fold(2))
        .schedule_over(rate)
        .metric(Accuracy::new());
    trainer.fit_train(&train)?;
    let model = trainer.model;

    let quantize = |recipe: &Recipe| -> Result<_> {
        let mut calibrator = Calibrator::new(&model, recipe)?;
        for (x, _) in &samples {
            calibrator.batch(&[x], |model, ctx| model.forward(x, ctx))?;
        }
        calibrator.finish()
    };
    let full = accuracy(&model, &test)?;
    let full_speed = speed(&model, &test)?;
    println!("f32              accuracy {:.2} %, {full_speed:.0} images/s", 100.0 * full);

    let recipe = Recipe::int8();
    let quantizers = Quantizers::new(&model, &recipe, &quantize(&recipe)?)?;
    let x = &samples[0].0;
    let run = |model: &Sequential, ctx: &mut Context| model.forward(x, ctx);
    let int8 = Int8Model::convert(model.clone(), &quantizers, &[x], run)?;
    let (own, own_speed) = (accuracy(&int8, &test)?, speed(&int8, &test)?);
    let [before, after] = int8.bytes();
    println!(
        "8 bits           accuracy {:.2} %, {own_speed:.0} images/s, {:.2} times as fast; {} KB became {} KB",
        100.0 * own,
        own_speed / full_speed,
        before / 1024,
        after / 1024
    );

    // The first layer reads pictures and the last one decides: both keep 8 bits, as is usual.
    let eight = LayerScheme::bits(8, 8);
    let recipe = Recipe::new(LayerScheme::bits(4, 4)).with("first", eight).with("head", eight);
    let calibration = quantize(&recipe)?;
    let few = &test[..test.len().min(8)];
    println!("\n4 bits, layer by layer: accuracy, change, bytes in f32 and then");
    print!("{}", sensitivity(&model, &recipe, &calibration, |model| accuracy(model, few))?);

    let fixed = FakeQuantized::new(model.clone(), &recipe, &calibration, Scales::Fixed)?;
    let after = accuracy(&fixed, &test)?;
    let aware = FakeQuantized::new(model, &recipe, &calibration, Scales::Learned)?;
    let mut trainer =
        Trainer::new(aware, Sgd::new(0.01).momentum(0.9).weight_decay(1e-4), Tensor::cross_entropy)
            .epochs(if options.tiny { 1 } else { options.epochs.div_ceil(2) })
            .batches_per_epoch(batches_per_epoch)
            .key(Key::new(options.seed).fold(3))
            .schedule_over(|steps| Schedule::linear(0.01, 0.0, steps))
            .metric(Accuracy::new());
    trainer.fit_train(&train)?;
    let with = accuracy(&trainer.model, &test)?;
    println!(
        "4 bits           accuracy {:.2} % after training, {:.2} % with training (LSQ)",
        100.0 * after,
        100.0 * with
    );
    let quantizers = trainer.model.quantizers()?;
    let integers = Int8Model::convert(trainer.model.model, &quantizers, &[x], run)?;
    println!(
        "                 accuracy {:.2} % of the integers",
        100.0 * accuracy(&integers, &test)?
    );
    Ok(())
}

/// An encoder whose linear layers round what comes, row by row.
fn sentences(options: &Options, device: &Device) -> Result<(), Failure> {
    let (model, tokens, mask) = encoder(options, device)?;
    let input = BertInput::new(&tokens).mask(&mask);
    let embed = |model: &BertModel, ctx: &mut Context| model.sentence_embeddings(&input, ctx);
    let int8 = Int8Model::dynamic(model.clone(), &Recipe::int8(), &[&tokens, &mask], embed)?;
    let full = || embed(&model, &mut Context::eval());
    let own = || int8.run(&mut Context::eval(), &[&tokens, &mask], embed);
    // Vectors have length 1.
    let cosines = (full() * own()).sum(1).to_vec::<f32>()?;
    let least = cosines.iter().copied().fold(1.0, f32::min);
    let time = |run: &dyn Fn() -> Tensor| -> Result<f64> {
        let mut times = Vec::new();
        for _ in 0..if options.tiny { 2 } else { 20 } {
            let start = Instant::now();
            run().eval()?;
            times.push(start.elapsed().as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    };
    let (full, own) = (time(&full)?, time(&own)?);
    println!(
        "\nsentences        least cosine to f32 {least:.4}; {:.1} ms in f32, {:.1} ms in 8 bits, {:.2} times as \
         fast; {} layers",
        1e3 * full,
        1e3 * own,
        full / own,
        int8.quantized().len()
    );
    Ok(())
}

/// The encoder, tokens and which of them are real.
fn encoder(options: &Options, device: &Device) -> Result<(BertModel, Tensor, Tensor), Failure> {
    if options.tiny {
        let config = BertConfig {
            vocab_size: 100,
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 64,
            max_position_embeddings: 16,
            ..BertConfig::default()
        };
        let model = BertModel::new(&config, &mut Init::new(Key::new(1), device))?;
        let tokens: Vec<i32> = (0..4 * 12).map(|at| at * 7 % 97).collect();
        let tokens = Tensor::from_slice(&tokens, [4, 12], device)?;
        let mask = tokens.full_like(1);
        return Ok((model, tokens, mask));
    }
    let folder = Path::new(options.arguments.text("--minilm").unwrap_or("assets/minilm"));
    if !folder.join("model.safetensors").is_file() {
        let folder = folder.display();
        return Err(format!("{folder}: no model there; run `cargo xtask assets minilm`").into());
    }
    let (model, tokenizer) =
        (BertModel::from_folder(folder, device)?, Tokenizer::from_folder(folder)?);
    let encodings =
        tokenizer.encode_batch(&SENTENCES, &EncodeOptions::new().pad(Padding::Longest))?;
    let length = encodings[0].len();
    let tensor = |values: Vec<u32>| {
        let values: Vec<i32> = values.into_iter().map(|value| value as i32).collect();
        Tensor::from_slice(&values, [SENTENCES.len(), length], device)
    };
    let tokens = tensor(encodings.iter().flat_map(|encoding| encoding.ids.clone()).collect())?;
    let mask = encodings.iter().flat_map(|encoding| encoding.attention_mask.clone()).collect();
    Ok((model, tokens, tensor(mask)?))
}

fn batches<D, T>(
    loader: &Loader<D, T, gradloom::data::CollateImages>,
    device: &Device,
) -> Result<Batches, Failure>
where
    D: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    T: gradloom::data::transform::Transform<Labelled<Image>, Output = Labelled<Image<f32>>>
        + Send
        + Sync
        + 'static,
{
    batches_of(loader, usize::MAX, device)
}

fn batches_of<D, T>(
    loader: &Loader<D, T, gradloom::data::CollateImages>,
    count: usize,
    device: &Device,
) -> Result<Batches, Failure>
where
    D: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    T: gradloom::data::transform::Transform<Labelled<Image>, Output = Labelled<Image<f32>>>
        + Send
        + Sync
        + 'static,
{
    let mut batches = Vec::new();
    for batch in loader.epoch(0).take(count) {
        batches.push(batch?.to_tensors(device)?);
    }
    Ok(batches)
}

/// The share of pictures that are told right.
fn accuracy(model: &impl Layer, batches: &[(Tensor, Tensor)]) -> Result<f64> {
    let (mut right, mut count) = (0, 0);
    for (x, labels) in batches {
        let said = model.forward(x, &mut Context::eval()).argmax(-1).to_vec::<i32>()?;
        let pairs = labels.to_vec::<i32>()?.into_iter().zip(said);
        count += labels.count();
        right += pairs.filter(|(is, said)| is == said).count();
    }
    Ok(right as f64 / count as f64)
}

/// Pictures in a second: the best of three passes.
fn speed(model: &impl Layer, batches: &[(Tensor, Tensor)]) -> Result<f64> {
    let mut best = 0.0f64;
    for _ in 0..3 {
        let start = Instant::now();
        for (x, _) in batches {
            model.forward(x, &mut Context::eval()).eval()?;
        }
        let count: usize = batches.iter().map(|(x, _)| x.size(0)).sum();
        best = best.max(count as f64 / start.elapsed().as_secs_f64());
    }
    Ok(best)
}
