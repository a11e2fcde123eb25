//! Training an image classifier: the loop, a progress bar, the evaluation, the files it leaves.

use std::time::Instant;

use gradloom::data::transform::Transform;
use gradloom::data::{Dataset, Image, Labelled, Loader};
use gradloom::metrics::ConfusionMatrix;
use gradloom::nn::weights;
use gradloom::prelude::*;
use indicatif::{ProgressBar, ProgressStyle};

use crate::evaluation::{Evaluation, Mistake};
use crate::options::Options;
use crate::{Failure, picture};

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
    /// Samples to be measured on.
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
    M: Layer + Tensors,
    D: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    E: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    A: Transform<Image, Output = Image<f32>> + Send + Sync + 'static,
    N: Transform<Image, Output = Image<f32>> + Send + Sync + 'static,
{
    /// Trains, measures, prints the figures, writes the weights and a picture, and returns the test
    /// accuracy.
    ///
    /// # Errors
    /// If the device fails, the loss is not finite, or files cannot be written.
    pub fn run(mut self, options: &Options, device: &Device) -> Result<f64, Failure> {
        std::fs::create_dir_all(&options.out)
            .map_err(|error| format!("{}: {error}", options.out.display()))?;
        let train = Loader::images(self.train, self.augment)
            .batch_size(options.batch_size)
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
        let steps_per_epoch = if options.tiny { 3 } else { train.batch_count() as u64 };
        let epochs = if options.tiny { 1 } else { options.epochs };
        let total = steps_per_epoch * u64::from(epochs);
        let schedule = (self.schedule)(total);
        let bar = ProgressBar::new(total);
        bar.set_style(ProgressStyle::with_template(
            "{elapsed_precise} [{bar:30}] {pos}/{len} {msg} eta {eta}",
        )?);
        let mut ctx = Context::train(Key::new(options.seed).fold(2));
        let (mut losses, mut step, mut right, mut seen) = (Vec::new(), 0, 0.0, 0.0);
        let start = Instant::now();
        for epoch in 0..epochs {
            for batch in train.epoch(epoch).take(steps_per_epoch as usize) {
                let (images, labels) = batch?.to_tensors(device)?;
                let logits = self.model.forward(&images, &mut ctx);
                let loss = logits.cross_entropy(&labels);
                let mut hits = logits.detach().argmax(-1).eq(&labels).sum(..);
                self.optimizer.set_learning_rate(schedule.at(step));
                drop(logits);
                self.optimizer.step(&gradients(&loss, &self.model), &mut self.model);
                ctx.apply_updates(&mut self.model);
                commit((&mut self.model, &mut self.optimizer, &mut hits))?;
                step += 1;
                losses.push(check_finite(loss.item()?, step)?);
                right = 0.95 * right + hits.item()?;
                seen = 0.95 * seen + labels.count() as f64;
                let images_per_s =
                    (step as usize * options.batch_size) as f64 / start.elapsed().as_secs_f64();
                bar.set_message(format!(
                    "loss {:.4} accuracy {:.1}% {images_per_s:.0} images/s",
                    losses[losses.len() - 1],
                    100.0 * right / seen
                ));
                bar.inc(1);
            }
        }
        bar.finish();
        let seconds = start.elapsed().as_secs_f64();
        println!("trained in {seconds:.1} s");
        let evaluation = evaluate(&self.model, &test, self.classes.len(), device)?;
        println!("{}", evaluation.confusion.report(&self.classes));
        let accuracy = evaluation.confusion.accuracy();
        println!("test accuracy {:.2}%", 100.0 * accuracy);
        let weights_file = options.out.join("model.safetensors");
        weights::save(&weights_file, &self.model.state_dict())?;
        let picture_file = options.out.join("result.png");
        picture::draw(&picture_file, &losses, &evaluation, &self.classes)?;
        println!("wrote {} and {}", weights_file.display(), picture_file.display());
        Ok(accuracy)
    }
}

/// Runs the model over all test samples.
fn evaluate<E, N>(
    model: &impl Layer,
    test: &Loader<E, N, gradloom::data::CollateImages>,
    classes: usize,
    device: &Device,
) -> Result<Evaluation, Failure>
where
    E: Dataset<Item = Labelled<Image>> + Send + Sync + 'static,
    N: Transform<Labelled<Image>, Output = Labelled<Image<f32>>> + Send + Sync + 'static,
{
    let mut confusion = ConfusionMatrix::new(classes);
    let mut mistakes = Vec::new();
    let mut size = [1, 1, 1];
    for batch in test.epoch(0) {
        let batch = batch?;
        let (images, labels) = batch.to_tensors(device)?;
        let probabilities = model.forward(&images, &mut Context::eval()).softmax(-1);
        let (confidence, predicted) = (probabilities.max(-1), probabilities.argmax(-1));
        eval([&confidence, &predicted])?;
        let (actual, predicted) = (labels.to_vec::<i32>()?, predicted.to_vec::<i32>()?);
        confusion.update(&actual, &predicted)?;
        size = [batch.shape[1], batch.shape[2], batch.shape[3]];
        let pixels: usize = size.iter().product();
        for (index, confidence) in confidence.to_vec::<f32>()?.into_iter().enumerate() {
            if actual[index] != predicted[index] {
                mistakes.push(Mistake {
                    pixels: batch.images[index * pixels..(index + 1) * pixels].to_vec(),
                    actual: actual[index],
                    predicted: predicted[index],
                    confidence,
                });
            }
        }
    }
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    Ok(Evaluation { confusion, mistakes, size })
}
