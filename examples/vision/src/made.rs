//! What the examples of made pictures share: the pictures that they learn from, sheets of what was made, and a judge, a
//! classifier of real pictures that says which class a made one shows and how far both are apart in its features.

use std::path::Path;

use examples::Failure;
use examples::options::Options;
use gradloom::data::dataset::Subset;
use gradloom::data::transform::{OnInput, Scale};
use gradloom::data::{CollateImages, Dataset, FashionMnist, ImageDataset, Loader, Split, mnist};
use gradloom::metrics::{FeatureStatistics, frechet_distance};
use gradloom::nn::layers::{Conv2d, Flatten, Linear, MaxPool2d};
use gradloom::ops::convolution::Conv2dOptions;
use gradloom::prelude::*;
use gradloom::track::{Curve, Picture, Report};
use gradloom::train::Progress;

/// Number of classes, of digits as of clothes.
pub const CLASSES: usize = 10;
/// Height and width of all pictures.
pub const SIZE: usize = 28;
/// The judge's features, by the name of their tap.
const FEATURES: &str = "8.output";

/// Batches of pictures in 0..=1.
pub type Pictures = Loader<Subset<ImageDataset>, OnInput<Scale>, CollateImages>;

/// The pictures of Fashion-MNIST; in tiny mode a part of the embedded digits.
pub struct Real {
    train: Subset<ImageDataset>,
    test: Subset<ImageDataset>,
    /// Names of the classes.
    pub names: Vec<String>,
}

impl Real {
    /// # Errors
    /// If there is no data in its folder.
    pub fn load(options: &Options) -> Result<Real, Failure> {
        let (train, test, names) = if options.tiny {
            let (train, test) = mnist::embedded_split()?;
            let names = train.dataset().class_names().to_vec();
            (train, test, names)
        } else {
            let [train, test] =
                [Split::Train, Split::Test].map(|split| FashionMnist::load(&options.data, split));
            let (train, test) = (train?, test?);
            let names = train.class_names().to_vec();
            let [train, test] = [train, test].map(|set| {
                let all = (0..set.len()).collect();
                set.subset(all)
            });
            (train?, test?, names)
        };
        Ok(Real { train, test, names })
    }

    /// Those to learn from, in another order in each epoch.
    pub fn train(&self, options: &Options) -> Pictures {
        Loader::images(self.train.clone(), Scale)
            .batch_size(options.batch_size_of(self.train.len()))
            .shuffle(Key::new(options.seed).fold(1))
            .drop_last(true)
            .workers(1)
    }

    /// Those that nothing learns from.
    pub fn test(&self) -> Pictures {
        Loader::images(self.test.clone(), Scale).batch_size(250)
    }

    /// The first `count` of those that nothing learns from, `[count, 1, 28, 28]`, and their labels, `[count]`.
    ///
    /// # Errors
    /// If there are none, or the device cannot take them.
    pub fn unseen(&self, count: usize, device: &Device) -> Result<(Tensor, Tensor), Failure> {
        let loader = Loader::images(self.test.clone(), Scale).batch_size(count);
        let batch = loader.epoch(0).next().ok_or("there are no pictures")??;
        Ok(batch.to_tensors(device)?)
    }
}

/// How many samples the judge sees.
pub fn judged(options: &Options) -> usize {
    if options.tiny { 40 } else { 2000 }
}

/// Labels of `count` pictures: all classes in turn, `[count]`.
///
/// # Errors
/// If the device cannot take them.
pub fn labels_in_turn(count: usize, device: &Device) -> Result<Tensor> {
    let labels = (0..count).map(|sample| (sample % CLASSES) as i32);
    Tensor::from_vec(labels.collect::<Vec<i32>>(), count, device)
}

/// A classifier of real pictures.
pub struct Judge {
    model: Sequential,
    /// Share of unseen real pictures that it recognises.
    pub accuracy: f64,
    real: FeatureStatistics,
    /// The distance of as many pictures to learn from to the unseen ones, which nothing made can beat by much.
    pub floor: f64,
}

/// What the judge says of made pictures.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// Share of pictures in which it sees the class that was asked for; `None` if none was.
    pub recognised: Option<f64>,
    /// Distance of their features to those of unseen real pictures.
    pub distance: f64,
}

impl Judge {
    /// Trains it, and measures what is real.
    ///
    /// # Errors
    /// If the device fails.
    pub fn train(real: &Real, options: &Options, device: &Device) -> Result<Judge, Failure> {
        let init = &mut Init::new(Key::new(options.seed).fold(100), device);
        let padded = Conv2dOptions::default().padding(1);
        let model = Sequential::new()
            .with(Conv2d::new(1, 16, 3, padded, init))
            .with(Activation::Relu)
            .with(MaxPool2d::new(2))
            .with(Conv2d::new(16, 32, 3, padded, init))
            .with(Activation::Relu)
            .with(MaxPool2d::new(2))
            .with(Flatten)
            .with(Linear::new(32 * 7 * 7, 64, init))
            .with(Activation::Relu)
            .with(Linear::new(64, CLASSES, init));
        let mut trainer = Trainer::new(model, Adam::new(2e-3), Tensor::cross_entropy)
            .epochs(if options.tiny { 1 } else { 4 })
            .batches_per_epoch(if options.tiny { 10 } else { usize::MAX })
            .key(Key::new(options.seed).fold(101))
            .schedule_over(|steps| Schedule::one_cycle(3e-3, steps))
            .progress(Progress::Silent);
        trainer.fit_train(&real.train(options))?;
        let mut judge = Judge {
            model: trainer.model,
            accuracy: 0.0,
            real: FeatureStatistics::new(64),
            floor: 0.0,
        };
        judge.model.freeze();
        let count = judged(options);
        let (mut right, mut total) = (0, 0);
        for batch in real.test().epoch(0) {
            let (pictures, labels) = batch?.to_tensors(device)?;
            let (features, classes) = judge.look(&pictures)?;
            if total < count {
                judge.real.update(&features)?;
            }
            let labels = labels.to_vec::<i32>()?;
            right += classes.iter().zip(&labels).filter(|(said, is)| said == is).count();
            total += labels.len();
        }
        judge.accuracy = right as f64 / total as f64;
        let mut seen = FeatureStatistics::new(64);
        for batch in real.train(options).epoch(0) {
            if seen.count() >= count as u64 {
                break;
            }
            seen.update(&judge.look(&batch?.to_tensors(device)?.0)?.0)?;
        }
        judge.floor = frechet_distance(&judge.real, &seen)?;
        Ok(judge)
    }

    /// Features, one row after the other, and the class it sees, of pictures in 0..=1.
    fn look(&self, pictures: &Tensor) -> Result<(Vec<f32>, Vec<i32>), Failure> {
        let mut ctx = Context::eval().with_taps();
        let logits = self.model.forward(pictures, &mut ctx);
        let taps = ctx.take_taps();
        let features = taps.iter().find(|(name, _)| name == FEATURES);
        let features = features.ok_or("the judge has no features")?.1.clone();
        let classes = logits.argmax(-1);
        eval([&features, &classes])?;
        Ok((features.to_vec()?, classes.to_vec()?))
    }

    /// Looks at made pictures in 0..=1, and whether they show what was asked for.
    ///
    /// # Errors
    /// If the device fails, or there are fewer than two.
    pub fn verdict(&self, pictures: &Tensor, asked: Option<&Tensor>) -> Result<Verdict, Failure> {
        let mut made = FeatureStatistics::new(64);
        let mut seen = Vec::new();
        let count = pictures.size(0);
        for start in (0..count).step_by(250) {
            let part = pictures.narrow(0, start, (count - start).min(250));
            let (features, classes) = self.look(&part)?;
            made.update(&features)?;
            seen.extend(classes);
        }
        let share = |asked: Vec<i32>| {
            let right = asked.iter().zip(&seen).filter(|(asked, seen)| asked == seen).count();
            right as f64 / count as f64
        };
        let recognised = asked.map(|asked| asked.to_vec::<i32>()).transpose()?.map(share);
        Ok(Verdict { recognised, distance: frechet_distance(&self.real, &made)? })
    }

    /// Figures for the page, and prints them.
    pub fn figures(&self, verdict: Verdict) -> Vec<(String, String)> {
        let mut figures = vec![
            ("unseen real pictures that the judge recognises".to_owned(), percent(self.accuracy)),
            (
                "Frechet distance in the judge's features, real to unseen real".to_owned(),
                format!("{:.2}", self.floor),
            ),
            (
                "Frechet distance in the judge's features, made to unseen real".to_owned(),
                format!("{:.2}", verdict.distance),
            ),
        ];
        if let Some(share) = verdict.recognised {
            figures
                .push(("made pictures that show the class asked for".to_owned(), percent(share)));
        }
        for (name, value) in &figures {
            println!("{name}: {value}");
        }
        figures
    }
}

/// A share in words.
pub fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Pictures `[N, 1, 28, 28]` in 0..=1 side by side, so many in a row, each pixel as four.
///
/// # Errors
/// If the device fails, or they do not fill rows.
pub fn sheet(pictures: &Tensor, columns: usize) -> Result<Picture, Failure> {
    let values = pictures.cast(DType::F32).to_vec::<f32>()?;
    let (across, rows) = (columns * SIZE, values.len() / (SIZE * SIZE * columns.max(1)));
    let mut bytes = Vec::with_capacity(4 * values.len());
    for line in 0..rows * SIZE {
        let (row, y) = (line / SIZE, line % SIZE);
        let pixel = |x: usize| {
            let picture = row * columns + x / SIZE;
            (255.0 * values[(picture * SIZE + y) * SIZE + x % SIZE].clamp(0.0, 1.0)).round() as u8
        };
        let wide: Vec<u8> = (0..across).flat_map(|x| [pixel(x); 2]).collect();
        bytes.extend_from_slice(&wide);
        bytes.extend_from_slice(&wide);
    }
    Ok(Picture::new(2 * across as u32, 2 * (rows * SIZE) as u32, 1, bytes)?)
}

/// Writes a picture as a file, and says so.
///
/// # Errors
/// If it cannot be written.
pub fn save(picture: &Picture, path: &Path) -> Result<(), Failure> {
    std::fs::write(path, picture.png()?)?;
    println!("wrote {}", path.display());
    Ok(())
}

/// A page of a run without a trainer: curves of losses, figures.
pub fn page(options: &Options, curves: Vec<Curve>, figures: Vec<(String, String)>) -> Report {
    Report {
        title: options.name.clone(),
        curves,
        figures,
        settings: [
            ("epochs".into(), options.epochs.into()),
            ("batch size".into(), options.batch_size.into()),
            ("seed".into(), options.seed.into()),
            ("tiny".into(), options.tiny.into()),
        ]
        .into(),
        ..Report::default()
    }
}
