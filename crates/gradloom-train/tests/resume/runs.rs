//! Small runs with everything in them that has a state.

use std::collections::BTreeMap;
use std::path::Path;

use gradloom_data::transform::{Normalize, RandomCrop, RandomFlip, Scale};
use gradloom_data::{ImageDataset, Loader};
use gradloom_nn::layers::{BatchNorm, Conv2d, Dropout, Flatten, Linear, MaxPool2d};
use gradloom_nn::{
    Activation, AdamW, Init, ModuleExt, Optimizer, Plateau, Schedule, Sequential, Sgd,
};
use gradloom_tensor::ops::convolution::Conv2dOptions;
use gradloom_tensor::{Key, Tensor};
use gradloom_train::callbacks::Unfreezing;
use gradloom_train::metrics::Accuracy;
use gradloom_train::{
    Callback, Checkpoints, EarlyStopping, Ema, Fit, LossScaler, Precision, Progress, Result, Run,
    Supervised, Swa, Trainer,
};

/// Pictures of 8 x 8 whose class is the brighter half.
pub(crate) fn pictures(count: usize, seed: usize) -> ImageDataset {
    let mut pixels = Vec::with_capacity(count * 64);
    let labels: Vec<i32> = (0..count).map(|picture| ((picture + seed) % 2) as i32).collect();
    for (picture, label) in labels.iter().enumerate() {
        for place in 0..64 {
            let bright = (place % 8 >= 4) == (*label == 1);
            let noise = (picture * 31 + place * 17 + seed * 7) % 90;
            pixels.push((if bright { 120 } else { 60 } + noise) as u8);
        }
    }
    ImageDataset::new(pixels, [1, 8, 8], labels).unwrap()
}

fn model() -> Sequential {
    let init = &mut Init::new(Key::new(5), &gradloom_cpu::device());
    Sequential::new()
        .with(Conv2d::new(1, 4, [3, 3], Conv2dOptions::default().padding(1), init))
        .with(BatchNorm::new(4, init))
        .with(Activation::Relu)
        .with(MaxPool2d::new(2))
        .with(Flatten)
        .with(Dropout::new(0.2))
        .with(Linear::new(64, 2, init))
}

/// Which of the runs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Workers, augmentation, accumulation, dropout, EMA, bf16, clipping, a schedule.
    Bf16,
    /// f16 with a scaler that overflows and grows, a plateau, momentum.
    F16,
    /// Stochastic weight averaging, and weights that learn from a later epoch on.
    Swa,
}

/// Stops at a step, as Ctrl-C would; waits at each, so that kills find it at work.
pub(crate) struct At {
    pub(crate) stop: Option<u64>,
    pub(crate) wait_ms: u64,
}

impl<M> Callback<M> for At {
    fn name(&self) -> String {
        "at".into()
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        std::thread::sleep(std::time::Duration::from_millis(self.wait_ms));
        if Some(run.step) == self.stop {
            run.stop("here");
        }
        Ok(())
    }
}

/// Runs to the end, or to a step, going on from what is in the folder.
pub(crate) fn run(kind: Kind, folder: &Path, stop: Option<u64>, wait_ms: u64) -> Result<Fit> {
    run_with(kind, folder, At { stop, wait_ms }, false)
}

/// Runs to the end, or to a Ctrl-C.
#[cfg(all(unix, feature = "ctrlc"))]
pub(crate) fn run_interruptible(kind: Kind, folder: &Path, wait_ms: u64) -> Result<Fit> {
    run_with(kind, folder, At { stop: None, wait_ms }, true)
}

fn run_with(kind: Kind, folder: &Path, at: At, interruptible: bool) -> Result<Fit> {
    let files = Checkpoints::in_folder(folder).best("val_loss").keep(2).every_epochs(2);
    match kind {
        Kind::Bf16 => {
            let trainer = trainer(AdamW::new(0.01))
                .epochs(4)
                .key(Key::new(9))
                .accumulate(2)
                .clip_norm(1.0)
                .precision(Precision::Bf16)
                .ema(Ema::new(0.9))
                .schedule_over(|steps| Schedule::cosine(0.01, steps).warmup(3))
                .metric(Accuracy::new())
                .callback(EarlyStopping::new("val_loss").patience(2).restore_best(true))
                .save_on_interrupt(interruptible);
            fit(trainer, files, at)
        }
        Kind::F16 => {
            let scaler = LossScaler::default().initial(2f64.powi(24)).growth_interval(4);
            let trainer = trainer(Sgd::new(0.05).momentum(0.9))
                .epochs(3)
                .precision(Precision::F16)
                .scaler(scaler)
                .plateau(Plateau::new(0.05).patience(0).factor(0.5), "val_accuracy")
                .metric(Accuracy::new());
            fit(trainer, files, at)
        }
        Kind::Swa => {
            let trainer = trainer(Sgd::new(0.05))
                .epochs(3)
                .swa(Swa::from_epoch(1))
                .callback(Unfreezing::of("0.").and("1.").at(1, "0."));
            fit(trainer, files, at)
        }
    }
}

type Loss = Supervised<fn(&Tensor, &Tensor) -> Tensor>;
pub(crate) type Pictures<O> = Trainer<Sequential, O, Loss>;

/// Of the model of all these runs.
pub(crate) fn trainer<O: Optimizer>(optimizer: O) -> Pictures<O> {
    let loss: fn(&Tensor, &Tensor) -> Tensor = Tensor::cross_entropy;
    Trainer::new(model(), optimizer, loss)
}

/// Fits on augmented pictures that two workers read, saving after every second step.
pub(crate) fn fit<O: Optimizer>(trainer: Pictures<O>, files: Checkpoints, at: At) -> Result<Fit> {
    let normalize = || Normalize::new([0.5], [0.25]);
    let augment = (RandomCrop::new(8, 8, 1), RandomFlip::new(0.1), Scale, normalize());
    let train =
        Loader::images(pictures(37, 0), augment).batch_size(5).shuffle(Key::new(3)).workers(2);
    let valid = Loader::images(pictures(16, 1), (Scale, normalize())).batch_size(8);
    let final_file = files.last_file().with_file_name("final.safetensors");
    let mut trainer = trainer
        .callback(at)
        .checkpoints(files.every_steps(2).resume(true))
        .progress(Progress::Silent);
    let fit = trainer.fit(&train, &valid)?;
    trainer.model.save(final_file)?;
    Ok(fit)
}

/// All files that a run leaves, with their bytes; a temporary one would be among them.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(std::io::Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect()
}
