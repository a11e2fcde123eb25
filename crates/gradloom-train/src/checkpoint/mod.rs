//! [`Checkpoints`]: when a run is saved, in which files, and which are kept.
//!
//! A checkpoint is one safetensors file with all that a run needs to go on with the same bits. It is written
//! whole, by a thread of its own, from tensors that the next step leaves alone.

mod file;
mod folder;
mod writer;

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

/// The epochs with the best figures, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Best {
    pub(crate) entries: Vec<(f64, u32, String)>,
}

impl Best {
    /// Takes in an epoch. Gives its file and the files that are to go, if it is among the best.
    pub(crate) fn offer(
        &mut self,
        value: f64,
        epoch: u32,
        monitor: &Monitor,
        keep: usize,
    ) -> Option<(String, Vec<String>)> {
        let place = self
            .entries
            .iter()
            .position(|(other, _, _)| monitor.is_better(value, Some(*other)))
            .unwrap_or(self.entries.len());
        if place >= keep || value.is_nan() {
            return None;
        }
        let file = match keep {
            1 => "best.safetensors".to_owned(),
            _ => format!("best-{epoch:04}.safetensors"),
        };
        self.entries.insert(place, (value, epoch, file.clone()));
        let gone = self.entries.split_off(keep.min(self.entries.len()));
        let gone = gone.into_iter().map(|(_, _, gone)| gone);
        let gone = gone.filter(|gone| *gone != file).collect();
        Some((file, gone))
    }
}

#[cfg(test)]
mod tests {
    use super::Best;
    use crate::Monitor;

    #[test]
    fn the_best_epochs_are_kept_in_order() {
        let monitor = Monitor::new("val_loss");
        let mut best = Best::default();
        let mut offer = |value, epoch| best.offer(value, epoch, &monitor, 2);
        assert_eq!(offer(3.0, 0).unwrap(), ("best-0000.safetensors".into(), vec![]));
        assert_eq!(offer(2.0, 1).unwrap().1, Vec::<String>::new());
        assert_eq!(offer(f64::NAN, 2), None);
        assert_eq!(offer(5.0, 3), None);
        assert_eq!(offer(2.5, 4).unwrap().1, ["best-0000.safetensors"]);
        assert_eq!(offer(1.0, 5).unwrap().1, ["best-0004.safetensors"]);
        let epochs: Vec<u32> = best.entries.iter().map(|(_, epoch, _)| *epoch).collect();
        assert_eq!(epochs, [5, 1]);
        let mut one = Best::default();
        assert!(one.offer(3.0, 0, &monitor, 1).is_some());
        // The same file is written over, not removed.
        assert_eq!(one.offer(2.0, 1, &monitor, 1).unwrap().1, Vec::<String>::new());
    }
}
