//! Training an image classifier: the run, the evaluation, the files it leaves.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use gradloom::data::transform::Transform;
use gradloom::data::{Dataset, Image, Labelled, Loader};
use gradloom::metrics::ConfusionMatrix;
use gradloom::prelude::*;
use gradloom::train::metrics::Accuracy;
use gradloom::train::{Callback, Run};

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
    M: Layer + Clone,
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
    pub fn run(self, options: &Options, device: &Device) -> Result<f64, Failure> {
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
        let losses = Losses::default();
        let mut trainer = Trainer::new(self.model, self.optimizer, Tensor::cross_entropy)
            .epochs(if options.tiny { 1 } else { options.epochs })
            .batches_per_epoch(if options.tiny { 3 } else { usize::MAX })
            .key(Key::new(options.seed).fold(2))
            .schedule_over(self.schedule)
            .metric(Accuracy::new())
            .callback(losses.clone());
        let start = Instant::now();
        trainer.fit_train(&train)?;
        println!("trained in {:.1} s", start.elapsed().as_secs_f64());
        let evaluation = evaluate(&trainer.model, &test, self.classes.len(), device)?;
        println!("{}", evaluation.confusion.report(&self.classes));
        let accuracy = evaluation.confusion.accuracy();
        println!("test accuracy {:.2}%", 100.0 * accuracy);
        let weights_file = options.out.join("model.safetensors");
        trainer.model.save(&weights_file)?;
        let picture_file = options.out.join("result.png");
        picture::draw(&picture_file, &losses.take(), &evaluation, &self.classes)?;
        println!("wrote {} and {}", weights_file.display(), picture_file.display());
        Ok(accuracy)
    }
}

/// The loss of every step, for the picture.
#[derive(Clone, Default)]
struct Losses(Arc<Mutex<Vec<f64>>>);

impl Losses {
    fn take(&self) -> Vec<f64> {
        self.0.lock().map(|mut losses| std::mem::take(&mut *losses)).unwrap_or_default()
    }
}

impl<M> Callback<M> for Losses {
    fn name(&self) -> String {
        "losses".into()
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        let loss = run.scalars.iter().find(|(name, _)| name == "loss");
        if let (Some((_, loss)), Ok(mut losses)) = (loss, self.0.lock()) {
            losses.push(*loss);
        }
        Ok(())
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
