//! [`Tracking`]: tells a tracker what happens in a run.

use gradloom_nn::{Module, ModuleExt as _};
use gradloom_tensor::DType;
use gradloom_track::{Settings, Tracker};

use crate::{Callback, Result, Run};

/// Tells a [`Tracker`] every figure of a run: TensorBoard's event files, JSON lines, MLflow, or a list of
/// them.
///
/// Figures of steps have tags like `step/loss`; those of epochs `loss/train` and `loss/validation`, at the
/// number of steps done. A run that ends with an error is told as failed.
///
/// ```
/// use gradloom_track::{EventWriter, JsonLines, Tracker};
/// use gradloom_train::callbacks::Tracking;
///
/// # fn main() -> gradloom_train::Result<()> {
/// # let folder = tempfile::tempdir()?;
/// # let folder = folder.path();
/// let trackers: Vec<Box<dyn Tracker>> = vec![
///     Box::new(EventWriter::new(folder.join("runs/first"))?),
///     Box::new(JsonLines::append(folder.join("first.jsonl"))?),
/// ];
/// let settings = [("learning_rate".to_owned(), 1e-3.into())].into();
/// let tracking = Tracking::new(trackers).settings(settings).every(10).weights(true);
/// # let _ = tracking;
/// # Ok(())
/// # }
/// ```
pub struct Tracking<T: Tracker> {
    tracker: T,
    settings: Settings,
    every: u64,
    weights: bool,
    finished: bool,
}

impl<T: Tracker> Tracking<T> {
    /// To this tracker.
    pub fn new(tracker: T) -> Self {
        Tracking { tracker, settings: Settings::new(), every: 1, weights: false, finished: false }
    }

    /// Settings of the run, told at its beginning.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Figures of every so many steps.
    ///
    /// # Panics
    /// If it is zero.
    #[must_use]
    #[track_caller]
    pub fn every(mut self, steps: u64) -> Self {
        assert!(steps > 0, "tracking: figures of every 0 steps");
        self.every = steps;
        self
    }

    /// Whether the distribution of each weight is told after every epoch.
    #[must_use]
    pub fn weights(mut self, weights: bool) -> Self {
        self.weights = weights;
        self
    }
}

/// `loss` of training and `val_loss` of validation are two curves of one chart.
fn tag(name: &str) -> String {
    match name.strip_prefix("val_") {
        Some(name) => format!("{name}/validation"),
        None if name == "learning_rate" => name.to_owned(),
        None => format!("{name}/train"),
    }
}

impl<M: Module, T: Tracker> Callback<M> for Tracking<T> {
    fn name(&self) -> String {
        "tracking".into()
    }

    fn on_fit_begin(&mut self, run: &mut Run<M>) -> Result<()> {
        if self.settings.is_empty() || run.resumed {
            return Ok(());
        }
        let tags: Vec<String> = run.names.iter().map(|name| tag(name)).collect();
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        self.tracker.hyper_parameters(&self.settings, &tags)
    }

    fn on_batch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        if !run.step.is_multiple_of(self.every) {
            return Ok(());
        }
        for (name, value) in run.scalars {
            self.tracker.scalar(&format!("step/{name}"), run.step, *value)?;
        }
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<M>) -> Result<()> {
        for (name, value) in run.scalars {
            self.tracker.scalar(&tag(name), run.step, *value)?;
        }
        if self.weights {
            for (name, tensor) in
                run.model.state_dict().iter().filter(|(_, t)| t.dtype().is_float())
            {
                let values = tensor.cast(DType::F32).to_vec::<f32>()?;
                self.tracker.histogram(name, run.step, &values)?;
            }
        }
        self.tracker.flush()
    }

    fn on_fit_end(&mut self, _run: &mut Run<M>) -> Result<()> {
        self.finished = true;
        self.tracker.finish(true)
    }
}

impl<T: Tracker> Drop for Tracking<T> {
    fn drop(&mut self) {
        if !self.finished {
            // What the run failed with is told by whoever gets its error.
            let _ = self.tracker.finish(false);
        }
    }
}
