//! [`Checkpoints`]: when a run is saved, in which files, and which are kept.
//!
//! A checkpoint is one safetensors file with all that a run needs to go on with the same bits. It is written
//! whole, by a thread of its own, from tensors that the next step leaves alone.

mod best;
mod file;
mod folder;
mod writer;

pub(crate) use best::Best;
pub(crate) use file::{Parts, Snapshot, VERSION, read};
pub(crate) use folder::Folder;
pub(crate) use writer::Writer;

use std::path::{Path, PathBuf};

use gradloom_nn::StateDict;
use gradloom_tensor::Device;

use crate::{Monitor, Result, error};

/// When a run is saved, in which files of a folder, and which are kept.
///
/// - `last.safetensors` after every epoch, every few steps if wanted, and when a run is stopped.
/// - `best.safetensors` of the epoch with the best figure, or several.
/// - `epoch-0010.safetensors` and so on every few epochs, for good.
///
/// ```
/// use gradloom_train::Checkpoints;
///
/// let checkpoints = Checkpoints::in_folder("out/run").best("val_loss").every_steps(500).resume(true);
/// # let _ = checkpoints;
/// ```
///
/// Lightning: `ModelCheckpoint`. One run at a time uses a folder.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub(crate) folder: PathBuf,
    pub(crate) best: Option<Monitor>,
    pub(crate) keep: usize,
    pub(crate) every_steps: Option<u64>,
    pub(crate) every_epochs: Option<u32>,
    pub(crate) resumes: bool,
}

/// The file of the newest state.
pub(crate) const LAST: &str = "last.safetensors";

impl Checkpoints {
    /// In a folder, which is made if it is not there.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Checkpoints {
            folder: folder.into(),
            best: None,
            keep: 1,
            every_steps: None,
            every_epochs: None,
            resumes: false,
        }
    }

    /// Also keeps the epoch with the best figure; less is better for losses and errors, else more.
    #[must_use]
    pub fn best(mut self, monitor: impl Into<Monitor>) -> Self {
        self.best = Some(monitor.into());
        self
    }

    /// Keeps so many of the best epochs, as `best-0003.safetensors` by the number of the epoch.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn keep(mut self, epochs: usize) -> Self {
        assert!(epochs > 0, "checkpoints: the best 0 epochs");
        self.keep = epochs;
        self
    }

    /// Writes the newest state every so many steps, not only after epochs.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn every_steps(mut self, steps: u64) -> Self {
        assert!(steps > 0, "checkpoints: every 0 steps");
        self.every_steps = Some(steps);
        self
    }

    /// Keeps a file of its own for every so many epochs.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn every_epochs(mut self, epochs: u32) -> Self {
        assert!(epochs > 0, "checkpoints: every 0 epochs");
        self.every_epochs = Some(epochs);
        self
    }

    /// Whether a run goes on from the newest state in the folder, if there is one.
    #[must_use]
    pub fn resume(mut self, resumes: bool) -> Self {
        self.resumes = resumes;
        self
    }

    /// The file of the newest state.
    pub fn last_file(&self) -> PathBuf {
        self.folder.join(LAST)
    }

    /// The file of the best epoch, if one is kept.
    pub fn best_file(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }
}

/// The weights of the model in a checkpoint, for
/// [`load_state_dict`](gradloom_nn::ModuleExt::load_state_dict).
///
/// # Errors
/// If the file is missing or damaged, or no checkpoint of a training run.
pub fn model_weights(path: impl AsRef<Path>, device: &Device) -> Result<StateDict> {
    let path = path.as_ref();
    let mut parts = read(path, device)?;
    parts.take("model").ok_or_else(|| {
        error::malformed(format!("{}: a checkpoint without a model", path.display()))
    })
}

/// The averaged weights in a checkpoint: of the trainable parameters. `None` if the run had no
/// [`Ema`](crate::Ema).
///
/// # Errors
/// If the file is missing or damaged, or no checkpoint of a training run.
pub fn averaged_weights(path: impl AsRef<Path>, device: &Device) -> Result<Option<StateDict>> {
    Ok(read(path.as_ref(), device)?.take("ema"))
}
