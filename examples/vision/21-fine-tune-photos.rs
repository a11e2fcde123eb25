//! Transfer learning: a network that knows ImageNet's photos learns to tell faces from other cuttings of photos, of which
//! there are 120 to learn from.
//!
//! `cargo xtask assets faces mobilenet-v2`, then
//! `cargo run --release -p vision-examples --example 21-fine-tune-photos`
//!
//! First a new head learns on features that the frozen network computes once, then everything learns a little. Ends with the
//! accuracy on 80 cuttings that were not learnt from, before and after, and a page with the mistakes. Takes two minutes on
//! two cores. In tiny mode it needs no data: a small network that knows nothing gets digits.
#![forbid(unsafe_code)]

use std::path::Path;

use examples::Failure;
use examples::classifier::Task;
use examples::options::{Options, Program};
use gradloom::data::dataset::Subset;
use gradloom::data::transform::{Interpolation, Normalize, RandomCrop, RandomFlip, Resize, Scale};
use gradloom::data::{Dataset, ImageDataset, Labelled, Loader, mnist};
use gradloom::nn::layers::Linear;
use gradloom::prelude::*;
use gradloom::train::Progress;
use gradloom::vision::{Classifier, MobileNetV2, MobileNetV2Config};
use gradloom::weights::{Checkpoint, ReadOptions};

/// Height and width of what the network reads: cuttings have 25 pixels, and larger pictures cost more than they give.
const SIDE: usize = 96;
const WEIGHTS: &str = "assets/mobilenet-v2/mobilenet_v2-b0353104.pth";
/// The last of the features.
const FEATURES: &str = "features";
const FACES: &str = "lfw_subset.npy";

fn main() -> Result<(), Failure> {
    let options = Options::read(&Program {
        name: "21-fine-tune-photos",
        source: include_str!("21-fine-tune-photos.rs"),
        epochs: 6,
        epoch: "passes over the cuttings with everything learning",
        batch_size: 20,
        data: "assets/faces",
        own: &[("--weights FILE", "the pretrained network (assets/mobilenet-v2)")],
    })?;
    let device = options.arguments.device()?;
    let key = Key::new(options.seed);
    let weights = options.arguments.text("--weights").unwrap_or(WEIGHTS);
    let (mut model, cuttings) = if options.tiny {
        let config = MobileNetV2Config { width: 0.25, ..MobileNetV2Config::new() };
        (MobileNetV2::new(&config, &mut Init::new(key, &device))?, digits()?)
    } else {
        let model = MobileNetV2::from_file(&MobileNetV2Config::new(), weights, &device);
        let how = "fetch what is missing with `cargo xtask assets faces mobilenet-v2`";
        let model = model.map_err(|error| format!("{error}\n{how}"))?;
        let faces = faces(&options.data.join(FACES), &device);
        (model, faces.map_err(|error| format!("{error:?}\n{how}"))?)
    };
    let classes = cuttings.class_names().to_vec();
    let (train, test) = cuttings.split_stratified(cuttings.len() * 3 / 5, key.fold(1))?;

    // The head first: the features of each cutting are computed once, as nothing before the head changes.
    let known = features(&model, &train, &device)?;
    let unseen = features(&model, &test, &device)?;
    let head = Linear::new(known.0.size(1), classes.len(), &mut Init::new(key.fold(2), &device));
    let mut trainer = Trainer::new(head, AdamW::new(3e-3), Tensor::cross_entropy)
        .epochs(if options.tiny { 2 } else { 200 })
        .progress(Progress::Silent);
    trainer.fit_train(&vec![known])?;
    let head = trainer.model;
    let said = head.forward(&unseen.0, &mut Context::eval()).argmax(1);
    let right = said.eq(&unseen.1).cast(DType::F32).mean(..).item()?;
    println!("a new head on frozen features: {:.2} % of {} are right", 100.0 * right, test.len());

    // Then everything, from where the head is, in small steps.
    model.replace_head(classes.len(), &mut Init::new(key.fold(3), &device))?;
    model.for_each_parameter(|name, parameter| match (name, &head.bias) {
        ("classifier.1.weight", _) => parameter.replace(head.weight.tensor()),
        ("classifier.1.bias", Some(bias)) => parameter.replace(bias.tensor()),
        _ => {}
    });
    let task = Task {
        model,
        optimizer: Sgd::new(0.002).momentum(0.9).weight_decay(1e-4),
        schedule: |steps| Schedule::cosine(0.002, steps),
        train,
        test,
        augment: (RandomFlip::new(0.5), RandomCrop::new(25, 25, 2), resize(), Scale, normalize()),
        normalize: (resize(), Scale, normalize()),
        classes,
    };
    let accuracy = task.run(&options, &device)?;
    println!("held-out accuracy: head {:.2} %, all {:.2} %", 100.0 * right, 100.0 * accuracy);
    Ok(())
}

fn resize() -> Resize {
    Resize::new(SIDE, SIDE).interpolation(Interpolation::Bilinear)
}

/// What ImageNet's weights were trained with.
fn normalize() -> Normalize {
    Normalize::new([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
}

/// What the network says before its head, `[N, features]`, and the classes.
fn features(
    model: &MobileNetV2,
    cuttings: &Subset<ImageDataset>,
    device: &Device,
) -> Result<(Tensor, Tensor), Failure> {
    let loader = Loader::images(cuttings.clone(), (resize(), Scale, normalize())).batch_size(40);
    let (mut features, mut classes) = (Vec::new(), Vec::new());
    for batch in loader.epoch(0) {
        let (pictures, labels) = batch?.to_tensors(device)?;
        let (_, found, _) = model.with_features(&pictures, &[FEATURES], Context::eval())?;
        let mean = found[0].mean([2, 3]);
        mean.eval()?;
        features.push(mean.detach());
        classes.push(labels);
    }
    Ok((Tensor::concat(&features, 0), Tensor::concat(&classes, 0)))
}

/// The cuttings as grey pictures of three equal channels: a hundred faces, then a hundred others.
fn faces(file: &Path, device: &Device) -> Result<ImageDataset, Failure> {
    let checkpoint = Checkpoint::open(file)?;
    let pixels = checkpoint.tensor_with("tensor", &ReadOptions::new().floats_as_f32(), device)?;
    if *pixels.shape() != [200, 25, 25][..] {
        return Err(format!("{}: an array of {}", file.display(), pixels.shape()).into());
    }
    let levels = pixels.to_vec::<f32>()?;
    let grey = levels.chunks_exact(625).flat_map(|cutting| cutting.repeat(3));
    let grey = grey.map(|level| (255.0 * level).round() as u8).collect();
    let labels = (0..200).map(|index| index / 100).collect();
    Ok(ImageDataset::new(grey, [3, 25, 25], labels)?.with_class_names(["face", "other"])?)
}

/// Some digits of two classes, instead of faces.
fn digits() -> Result<ImageDataset, Failure> {
    let (all, _) = mnist::embedded_split()?;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    let found = (0..all.len()).map(|index| all.get(index));
    for digit in found.filter(|digit| digit.as_ref().is_ok_and(|digit| digit.label < 2)).take(20) {
        let Labelled { input, label } = digit?;
        pixels.extend(input.pixels().repeat(3));
        labels.push(label);
    }
    Ok(ImageDataset::new(pixels, [3, 28, 28], labels)?.with_class_names(["0", "1"])?)
}
