//! Training an image classifier: the run, the evaluation, the files it leaves.

use std::time::Instant;

use gradloom::data::transform::Transform;
use gradloom::data::{CollateImages, Dataset, Image, Labelled, Loader};
use gradloom::metrics::ConfusionMatrix;
use gradloom::prelude::*;
use gradloom::track::{Mistake, Picture, summary};
use gradloom::train::metrics::Accuracy;

use crate::Failure;
use crate::options::Options;
use crate::report::{self, StepLosses};

/// Mistakes on the page.
const MISTAKES: usize = 40;

/// What a training run is made of.
pub struct Task<M, D, E, A, N> {
    /// The model, fresh.
    pub model: M,
    /// The optimizer.
    pub optimizer: Sgd,
    /// Learning rate of each step; gets the total number of steps.
    pub schedule: fn(u64) -> Schedule,
    /// Samples to learn from.
    pub train: D,
    /// Samples to be measured on. Nothing is chosen by them.
    pub test: E,
    /// What is done to a sample while learning.
    pub augment: A,
    /// What is done to a sample while measuring.
    pub normalize: N,
    /// Names of the classes.
    pub classes: Vec<String>,
}

impl<M, D, E, A, N> Task<M, D, E, A, N>
where
    M: Layer + Clone,
    D: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    E: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    A: Transform<Image, Output = Image<f32>> + Send + Sync + 'static,
    N: Transform<Image, Output = Image<f32>> + Send + Sync + 'static,
{
    /// Trains, measures, prints the figures, writes the weights and a page, and returns the test accuracy.
    ///
    /// # Errors
    /// If the device fails, the loss is not finite, or files cannot be written.
    pub fn run(self, options: &Options, device: &Device) -> Result<f64, Failure> {
        let batch_size = options.batch_size_of(self.train.len());
        let train = Loader::images(self.train, self.augment)
            .batch_size(batch_size)
            .shuffle(Key::new(options.seed).fold(1))
            .drop_last(true)
            .workers(1);
        let test = Loader::images(self.test, self.normalize).batch_size(250);
        println!(
            "{} parameters, {} + {} images, on {}",
            self.model.parameter_count(),
            train.dataset().len(),
            test.dataset().len(),
            device.name()
        );
        let steps = StepLosses::default();
        let mut trainer = Trainer::new(self.model, self.optimizer, Tensor::cross_entropy)
            .epochs(if options.tiny { 1 } else { options.epochs })
            .batches_per_epoch(if options.tiny { 3 } else { usize::MAX })
            .key(Key::new(options.seed).fold(2))
            .schedule_over(self.schedule)
            .metric(Accuracy::new())
            .callback(steps.clone());
        let start = Instant::now();
        let fit = trainer.fit(&train, &test)?;
        let seconds = start.elapsed().as_secs_f64();
        println!("trained in {seconds:.1} s");
        let evaluation = evaluate(&trainer.model, &test, &self.classes, device)?;
        let confusion = evaluation.confusion;
        println!("{}", confusion.report(&self.classes));
        let accuracy = confusion.accuracy();

        let mut page = report::page(options, &fit.history, &steps, device);
        page.figures = vec![
            ("test accuracy".into(), format!("{:.2} %", 100.0 * accuracy)),
            ("mean F1 of classes".into(), format!("{:.4}", confusion.macro_f1())),
            ("images".into(), format!("{} + {}", train.dataset().len(), test.dataset().len())),
            ("time of training".into(), format!("{seconds:.1} s, {} steps", fit.steps)),
        ];
        page.settings.insert("optimizer".into(), trainer.optimizer.kind().into());
        let input = Tensor::zeros(evaluation.input, DType::F32, device);
        page.summary = summary(&trainer.model, &input).to_string();
        (page.confusion, page.classes) = (Some(confusion), self.classes);
        page.mistakes = evaluation.mistakes;
        report::save(options, &trainer.model, &page)?;
        println!("test accuracy {:.2}%", 100.0 * accuracy);
        Ok(accuracy)
    }
}

/// What measuring found.
struct Evaluation {
    confusion: ConfusionMatrix,
    /// Surest first.
    mistakes: Vec<Mistake>,
    /// Shape of one input.
    input: [usize; 4],
}

/// Runs the model over all test samples.
fn evaluate<E, N>(
    model: &impl Layer,
    test: &Loader<E, N, CollateImages>,
    classes: &[String],
    device: &Device,
) -> Result<Evaluation, Failure>
where
    E: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    N: Transform<Labelled<Image>, Output = Labelled<Image<f32>>> + Send + Sync + 'static,
{
    let mut confusion = ConfusionMatrix::new(classes.len());
    let mut mistakes = Vec::new();
    let mut input = [1; 4];
    for batch in test.epoch(0) {
        let batch = batch?;
        let (images, labels) = batch.to_tensors(device)?;
        let probabilities = model.forward(&images, &mut Context::eval()).softmax(-1);
        let (confidence, predicted) = (probabilities.max(-1), probabilities.argmax(-1));
        eval([&confidence, &predicted])?;
        let (actual, predicted) = (labels.to_vec::<i32>()?, predicted.to_vec::<i32>()?);
        confusion.update(&actual, &predicted)?;
        input = [1, batch.shape[1], batch.shape[2], batch.shape[3]];
        let pixels: usize = input.iter().product();
        for (index, confidence) in confidence.to_vec::<f32>()?.into_iter().enumerate() {
            if actual[index] != predicted[index] {
                let image = batch.images[index * pixels..(index + 1) * pixels].to_vec();
                mistakes.push((confidence, image, predicted[index], actual[index]));
            }
        }
    }
    mistakes.sort_by(|one, other| other.0.total_cmp(&one.0));
    let mistake = |(confidence, image, said, is): (f32, Vec<f32>, i32, i32)| -> Result<Mistake> {
        let (said, is) = (&classes[said as usize], &classes[is as usize]);
        let caption = format!("{said} for {is}\n{:.0} % sure", 100.0 * confidence);
        Ok(Mistake { picture: Some(picture(&image, input)?), caption })
    };
    let mistakes: Result<_> = mistakes.into_iter().take(MISTAKES).map(mistake).collect();
    Ok(Evaluation { confusion, mistakes: mistakes?, input })
}

/// An image as the model saw it, stretched to the full range of grey or colour.
fn picture(pixels: &[f32], [_, channels, height, width]: [usize; 4]) -> Result<Picture> {
    let low = pixels.iter().copied().fold(f32::INFINITY, f32::min);
    let high = pixels.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let plane = height * width;
    let level = |place: usize, channel: usize| {
        (255.0 * (pixels[channel * plane + place] - low) / (high - low).max(1e-6)) as u8
    };
    let bytes = (0..plane).flat_map(|place| (0..channels).map(move |channel| (place, channel)));
    let bytes = bytes.map(|(place, channel)| level(place, channel)).collect();
    Picture::new(width as u32, height as u32, channels as u8, bytes)
}
