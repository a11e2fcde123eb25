//! What the examples of smaller networks share: the clothes, a network of any width, its training and measuring.

use std::time::Instant;

use examples::Failure;
use examples::options::Options;
use gradloom::data::dataset::Subset;
use gradloom::data::transform::{Normalize, OnInput, RandomCrop, RandomFlip, Scale};
use gradloom::data::{CollateImages, Dataset, FashionMnist, ImageDataset, Loader, Split, mnist};
use gradloom::nn::layers::{BatchNorm, Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::prelude::*;
use gradloom::track::Curve;

type Learnt = OnInput<(RandomCrop, RandomFlip, Scale, Normalize)>;
type Measured = OnInput<(Scale, Normalize)>;

/// Batches to learn from.
pub(crate) type Train = Loader<Subset<ImageDataset>, Learnt, CollateImages>;
/// Batches that nothing learns from.
pub(crate) type Test = Loader<Subset<ImageDataset>, Measured, CollateImages>;

/// The pictures of Fashion-MNIST; in tiny mode a part of the embedded digits.
pub(crate) struct Clothes {
    train: Subset<ImageDataset>,
    test: Subset<ImageDataset>,
}

impl Clothes {
    /// # Errors
    /// If there is no data in its folder.
    pub(crate) fn load(options: &Options) -> Result<Clothes, Failure> {
        if options.tiny {
            let (train, test) = mnist::embedded_split()?;
            return Ok(Clothes { train, test });
        }
        let [train, test] = [Split::Train, Split::Test].map(|split| {
            let set = FashionMnist::load(&options.data, split)?;
            let all = (0..set.len()).collect();
            set.subset(all)
        });
        Ok(Clothes { train: train?, test: test? })
    }

    /// Those to learn from, in another order in each epoch.
    pub(crate) fn train(&self, options: &Options, seed: u64) -> Train {
        let augment = (RandomCrop::new(28, 28, 1), RandomFlip::new(0.5), Scale, normalize());
        Loader::images(self.train.clone(), augment)
            .batch_size(options.batch_size_of(self.train.len()))
            .shuffle(Key::new(seed).fold(1))
            .drop_last(true)
            .workers(1)
    }

    /// Those that nothing learns from.
    pub(crate) fn test(&self) -> Test {
        Loader::images(self.test.clone(), (Scale, normalize())).batch_size(250)
    }
}

/// Steps of an epoch in tiny mode.
pub(crate) const TINY_STEPS: usize = 4;

fn normalize() -> Normalize {
    Normalize::new([0.2860], [0.3530])
}

/// Two convolutions and two products, all so many channels wide.
pub(crate) fn network([first, second, hidden]: [usize; 3], init: &mut Init) -> Sequential {
    Sequential::new()
        .with(Conv2d::new(1, first, [3, 3], Default::default(), init).without_bias())
        .with(BatchNorm::new(first, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Conv2d::new(first, second, [3, 3], Default::default(), init).without_bias())
        .with(BatchNorm::new(second, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Linear::new(25 * second, hidden, init))
        .with(Activation::Relu)
        .with(Linear::new(hidden, 10, init))
}

/// Trains a network with any optimizer, and returns it.
///
/// # Errors
/// If the device fails or the loss is not finite.
pub(crate) fn learn<M: Layer + Clone + Tensors + 'static>(
    model: M,
    optimizer: impl Optimizer + 'static,
    rate: f64,
    epochs: u32,
    (clothes, options): (&Clothes, &Options),
) -> Result<M, Failure> {
    let mut trainer = Trainer::new(model, optimizer, Tensor::cross_entropy)
        .epochs(if options.tiny { 1 } else { epochs })
        .batches_per_epoch(if options.tiny { TINY_STEPS } else { usize::MAX })
        .key(Key::new(options.seed).fold(2))
        .schedule_over(move |steps| Schedule::one_cycle(rate, steps));
    trainer.fit_train(&clothes.train(options, options.seed))?;
    Ok(trainer.model)
}

/// The share of unseen pictures that a network recognises.
///
/// # Errors
/// If the device fails.
pub(crate) fn accuracy(
    model: &impl Layer,
    clothes: &Clothes,
    device: &Device,
) -> Result<f64, Failure> {
    let (mut right, mut all) = (0, 0);
    for batch in clothes.test().epoch(0) {
        let (pictures, labels) = batch?.to_tensors(device)?;
        let said = model.forward(&pictures, &mut Context::eval()).argmax(-1).to_vec::<i32>()?;
        let is = labels.to_vec::<i32>()?;
        right += said.iter().zip(&is).filter(|(said, is)| said == is).count();
        all += is.len();
    }
    Ok(right as f64 / all as f64)
}

/// Milliseconds that networks take for 250 pictures each: they are run in turn, and the median counts, so that what else
/// the machine does slows all of them alike.
///
/// # Errors
/// If the device fails.
pub(crate) fn milliseconds(
    models: &[&dyn Layer],
    rounds: usize,
    device: &Device,
) -> Result<Vec<f64>, Failure> {
    let pictures = Tensor::uniform(Key::new(0), [250, 1, 28, 28], -1.0, 1.0, device);
    pictures.eval()?;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); models.len()];
    for round in 0..rounds + 2 {
        for (model, times) in models.iter().zip(&mut times) {
            let start = Instant::now();
            model.forward(&pictures, &mut Context::eval()).to_vec::<f32>()?;
            if round >= 2 {
                times.push(start.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let median = |mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    Ok(times.into_iter().map(median).collect())
}

/// Writes a chart as `result.svg`.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn draw(curve: &Curve, options: &Options) -> Result<(), Failure> {
    let path = options.out.join("result.svg");
    std::fs::write(&path, curve.svg())?;
    println!("wrote {}", path.display());
    Ok(())
}
