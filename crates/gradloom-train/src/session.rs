//! How a fit begins: what it holds, what is checked before the first step, and a checkpoint that it goes on from.

use std::path::Path;

use gradloom_nn::{Context, Module, Optimizer, Schedule};

use crate::checkpoint::{Folder, Writer};
use crate::clock::Clock;
use crate::plateau::WatchedPlateau;
use crate::progress::Reporter;
use crate::settings::Course;
use crate::task::run_in;
use crate::trainer::Rates;
use crate::{Batches, Ema, Result, Setting, Swa, Task, Trainer, error, interrupt};

/// What a fit holds beside the trainer.
pub(crate) struct Session {
    pub(crate) setting: Setting,
    pub(crate) course: Course,
    pub(crate) names: Vec<String>,
    pub(crate) reporter: Reporter,
    pub(crate) files: Option<(Folder, Writer)>,
    /// Batches of an epoch and steps of the run, as far as known.
    pub(crate) batch_count: Option<usize>,
    /// True if an epoch has as many batches as that; otherwise it has so many at most.
    pub(crate) counted: bool,
    pub(crate) epochs: Option<u32>,
    pub(crate) resumed: bool,
    pub(crate) start: Clock,
}

impl<M: Module + Clone, O: Optimizer, K> Trainer<M, O, K> {
    /// Prepares a run, perhaps from a checkpoint, and checks what can be checked before the first step.
    pub(crate) fn begin<T: Batches>(&mut self, train: &T, validates: bool) -> Result<Session> {
        let setting = self.setting()?;
        let epochs = self.epochs.or(if self.steps.is_some() { None } else { Some(1) });
        if epochs == Some(0) || self.steps == Some(0) {
            return Err(error::invalid("fit: 0 epochs or steps leave nothing to do"));
        }
        if self.batches_max == Some(0) {
            return Err(error::invalid("fit: 0 batches per epoch leave nothing to do"));
        }
        let batch_count = match (train.batch_count(), self.batches_max) {
            (Some(count), Some(max)) => Some(count.min(max)),
            (count, max) => count.or(max),
        };
        let per_epoch = batch_count.map(|count| count.div_ceil(self.step.accumulates()) as u64);
        let of_epochs = per_epoch.zip(epochs).map(|(steps, epochs)| steps * u64::from(epochs));
        let total = match (of_epochs, self.steps) {
            (Some(steps), Some(most)) => Some(steps.min(most)),
            (steps, most) => steps.or(most),
        };
        let course = Course::new(train, self.schedule_of(total)?);
        let mut names = self.metrics.names("");
        if validates {
            names.extend(self.valid_metrics.names("val_"));
        }
        names.push("learning_rate".into());
        check_names(&names)?;
        if let Some(plateau) = &self.plateau {
            plateau.monitor.check("plateau", &names)?;
        }
        if let Some(monitor) = self.checkpoints.as_ref().and_then(|files| files.best.as_ref()) {
            monitor.check("checkpoints", &names)?;
        }
        self.check_callbacks()?;
        if self.saves_on_interrupt {
            interrupt::listen()?;
        }
        let files = match &self.checkpoints {
            Some(files) => Some((Folder::open(&files.folder)?, Writer::start()?)),
            None => None,
        };
        (self.position, self.history, self.best) = Default::default();
        (self.ctx, self.stop) = (Context::train(self.key), None);
        self.metrics.reset();
        self.step.restart();
        self.step.ema.iter_mut().for_each(Ema::restart);
        self.swa.iter_mut().for_each(Swa::restart);
        self.plateau.iter_mut().for_each(WatchedPlateau::restart);
        let resumed = self.resume(&course, &setting)?;
        if let Some((folder, _)) = &files {
            // Of a file that is elsewhere or gone, another epoch's takes the place.
            self.best.entries.retain(|(_, _, file)| folder.file(file).is_file());
            if resumed && self.resume_from.is_none() {
                folder.keep_best(&self.best)?;
            }
        }
        Ok(Session {
            setting,
            course,
            names,
            reporter: Reporter::new(self.progress, total),
            files,
            batch_count,
            counted: train.batch_count().is_some(),
            epochs,
            resumed,
            start: Clock::start(),
        })
    }

    /// An error if every epoch would end with a batch of one sample that a layer cannot learn from: after hours, if
    /// nobody looked. Only such a batch is tried, as graph.
    pub(crate) fn check_last_batch<T: Batches>(&self, train: &T) -> Result<()>
    where
        K: Task<M, T::Batch>,
    {
        let cut = |count: usize| self.batches_max.is_some_and(|most| most < count);
        let last = train.batch_count().filter(|&count| count > 0 && !cut(count));
        let Some(last) = last.filter(|_| train.last_batch_size() == Some(1)) else { return Ok(()) };
        let Some(batch) = train.batches(0, last - 1).next() else { return Ok(()) };
        let (batch, setting) = (batch?, self.setting()?);
        let ctx = &mut Context::train(self.key);
        let tried =
            run_in(setting.compute(), ctx, |ctx| self.task.run(&self.model, &batch, ctx, &setting));
        tried.map(drop).map_err(|error| {
            let (number, order) = (last - 1, train.order());
            error.context(format!(
                "fit: the last batch of each epoch, number {number}, has one sample ({order})"
            ))
        })
    }

    /// The schedule of a run of so many steps.
    fn schedule_of(&self, total: Option<u64>) -> Result<Option<Schedule>> {
        let schedule = match (&self.rates, total) {
            (None, _) => None,
            (Some(Rates::Fixed(schedule)), _) => Some(schedule.clone()),
            (Some(Rates::Over(make)), Some(total)) => Some(make(total)),
            (Some(Rates::Over(_)), None) => {
                return Err(error::invalid(
                    "fit: a schedule over all steps, whose number is not known; set steps",
                ));
            }
        };
        if schedule.is_some() && self.plateau.is_some() {
            return Err(error::invalid(
                "fit: a schedule and a plateau would both set the learning rate; give one of them",
            ));
        }
        Ok(schedule)
    }

    fn check_callbacks(&self) -> Result<()> {
        let mut names: Vec<String> = self.callbacks.iter().map(|call| call.name()).collect();
        names.sort();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(error::invalid(format!("fit: two callbacks are called {:?}", twice[0])));
        }
        match names.iter().find(|name| name.contains('/')) {
            Some(name) => Err(error::invalid(format!(
                "fit: the name of the callback {name:?} has a slash, which names in checkpoints cannot"
            ))),
            None => Ok(()),
        }
    }

    /// Goes on from a checkpoint if that was asked for and there is one.
    fn resume(&mut self, course: &Course, setting: &Setting) -> Result<bool> {
        let of_folder = self.checkpoints.as_ref().filter(|files| files.resumes);
        let of_folder = of_folder.map(|files| files.last_file());
        let path = match (&self.resume_from, of_folder) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(file)) => is_there(&file)?.then_some(file),
            (None, None) => None,
        };
        // A run that goes on in the process in which it was stopped began with the rate of then.
        if path.is_none() || self.first_rate.is_none() {
            self.first_rate = Some(self.optimizer.learning_rate());
        }
        if path.is_some() || !self.accepted.is_empty() {
            let settings = self.settings(course);
            self.check_accepted(&settings)?;
            if let Some(path) = &path {
                self.restore(path, &settings, setting)?;
            }
        }
        Ok(path.is_some())
    }
}

/// Whether there is a file. One that cannot be looked at is an error: a run that began anew would write over it.
fn is_there(file: &Path) -> Result<bool> {
    let there = file.try_exists();
    there.map_err(|cause| error::io(format!("checkpoint: {}", file.display()), cause))
}

/// An error if two figures have one name: whoever asks for it would get the first of them.
fn check_names(names: &[String]) -> Result<()> {
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(twice) => Err(error::invalid(format!(
            "fit: two figures are called {:?}; give one of the metrics another name",
            twice[0]
        ))),
        None => Ok(()),
    }
}
