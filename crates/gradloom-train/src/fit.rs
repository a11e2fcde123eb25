//! The loop of [`Trainer::fit`]: epochs, steps, validation, what is saved, and how it ends.

use gradloom_nn::{Context, Module, ModuleExt, Optimizer, Role, name_layers};
use gradloom_tensor::{LayerTag, commit};

use crate::advance::ModelTensors;
use crate::callback::Run;
use crate::checkpoint::LAST;
use crate::evaluate::{check_batches, evaluate};
use crate::progress::{figures, time};
use crate::session::Session;
use crate::task::run_in;
use crate::trainer::Position;
use crate::{
    Batches, Callback, History, Metrics, Record, Result, Setting, StepReport, Task, Trainer, error,
    interrupt,
};

/// What a fit came to.
#[derive(Clone, Debug)]
pub struct Fit {
    /// The figures of all epochs, those before a resumed one included.
    pub history: History,
    /// Steps done.
    pub steps: u64,
    /// Why the run ended before its last epoch, if it did.
    pub stopped: Option<String>,
}

impl<M: Module + Clone, O: Optimizer, K> Trainer<M, O, K> {
    /// Trains on one set and measures on another after every epoch. Begins with epoch 0, unless it goes on
    /// from a checkpoint.
    ///
    /// # Errors
    /// If a set has no batches, a figure that is looked at does not exist, a loss is not finite, the device
    /// fails, a checkpoint is of another run or cannot be written, or a callback says so. What was saved
    /// before stays.
    pub fn fit<T: Batches, V: Batches>(&mut self, train: &T, valid: &V) -> Result<Fit>
    where
        K: Task<M, T::Batch> + Task<M, V::Batch>,
    {
        check_batches("training", train)?;
        check_batches("validation", valid)?;
        self.run(train, Some(valid))
    }

    /// Trains without validation.
    ///
    /// # Errors
    /// As [`fit`](Trainer::fit).
    pub fn fit_train<T: Batches>(&mut self, train: &T) -> Result<Fit>
    where
        K: Task<M, T::Batch>,
    {
        check_batches("training", train)?;
        self.run::<T, T>(train, None)
    }

    /// The loss and the metrics over a set, of the model that validation measures.
    ///
    /// # Errors
    /// If the set has no batches, or the device fails.
    pub fn evaluate<V: Batches>(&mut self, batches: &V) -> Result<Vec<(String, f64)>>
    where
        K: Task<M, V::Batch>,
    {
        let setting = self.setting()?;
        self.measure(batches, &setting)?;
        Ok(self.valid_metrics.values(""))
    }

    fn run<T: Batches, V: Batches>(&mut self, train: &T, valid: Option<&V>) -> Result<Fit>
    where
        K: Task<M, T::Batch> + Task<M, V::Batch>,
    {
        self.check_last_batch(train)?;
        if LayerTag::noting() {
            name_layers(&self.model);
        }
        let mut session = self.begin(train, valid.is_some())?;
        let ended = self.epochs_of(&mut session, train, valid);
        session.reporter.finish();
        // What was saved is worth waiting for, however the run ended.
        let written = match session.files.take() {
            Some((_folder, writer)) => writer.finish(),
            None => Ok(()),
        };
        ended.and(written)?;
        if let Some(reason) = &self.stop {
            session.reporter.line(&format!("stopped: {reason}"));
        }
        let (history, stopped) = (self.history.clone(), self.stop.clone());
        Ok(Fit { history, steps: self.position.step, stopped })
    }

    fn epochs_of<T: Batches, V: Batches>(
        &mut self,
        session: &mut Session,
        train: &T,
        valid: Option<&V>,
    ) -> Result<()>
    where
        K: Task<M, T::Batch> + Task<M, V::Batch>,
    {
        self.call(session, &[], |callback, run| callback.on_fit_begin(run))?;
        while self.stop.is_none()
            && session.epochs.is_none_or(|epochs| self.position.epoch < epochs)
            && self.steps.is_none_or(|steps| self.position.step < steps)
        {
            self.call(session, &[], |callback, run| callback.on_epoch_begin(run))?;
            session.reporter.resume();
            let finished = self.epoch(session, train)?;
            session.reporter.pause();
            if finished {
                self.end_epoch(session, valid)?;
            }
        }
        if self.stop.is_some() || self.position.batch > 0 {
            // What epochs have saved already is written again: a run may end in the middle of one.
            self.save(session, vec![LAST.to_owned()], Vec::new())?;
        }
        if self.swa.as_ref().is_some_and(|swa| swa.count > 0) {
            self.take_swa(session, train)?;
        }
        self.call(session, &[], |callback, run| callback.on_fit_end(run))
    }

    /// The rest of an epoch. False if the run ended in its middle.
    fn epoch<T: Batches>(&mut self, session: &mut Session, train: &T) -> Result<bool>
    where
        K: Task<M, T::Batch>,
    {
        let Position { epoch, batch: first, .. } = self.position;
        if first == 0 {
            self.metrics.reset();
        }
        let mut batches = train.batches(epoch, first).peekable();
        let mut next = first;
        while session.batch_count.is_none_or(|count| next < count) {
            let Some(batch) = batches.next() else { break };
            let batch = batch
                .map_err(|error| error.context(format!("fit: epoch {epoch}, batch {next}")))?;
            next += 1;
            // Looking ahead waits for the next batch, so it is only done where nothing else is known.
            let last =
                session.batch_count == Some(next) || (!session.counted && batches.peek().is_none());
            if !self.callbacks.is_empty() {
                self.call(session, &[], |callback, run| callback.on_batch_begin(run))?;
            }
            if let Some(schedule) = &session.course.schedule {
                self.optimizer.set_learning_rate(schedule.at(self.position.step));
            }
            let report = self.learn(&session.setting, &batch, last)?;
            drop(batch);
            let steps = !self.step.is_accumulating();
            self.position.batch = next;
            self.position.step += u64::from(steps);
            self.report(session, &report)?;
            if steps && self.after_step(session, last)? {
                return Ok(last);
            }
        }
        if next == first {
            return Err(error::invalid(format!(
                "fit: epoch {epoch} of the training set ({}) has no batch number {first}",
                session.course.order
            )));
        }
        match session.batch_count.filter(|&count| session.counted && next < count) {
            Some(count) => Err(error::invalid(format!(
                "fit: epoch {epoch} of the training set ({}) ended after {next} of its {count} batches",
                session.course.order
            ))),
            None => Ok(true),
        }
    }

    /// One batch.
    fn learn<B>(&mut self, setting: &Setting, batch: &B, last: bool) -> Result<StepReport>
    where
        K: Task<M, B>,
    {
        let Trainer { model, optimizer, ctx, task, step, metrics, position, .. } = self;
        let seen = &*metrics;
        let forward = |model: &M, ctx: &mut Context| {
            let mut outcome = task.run(model, batch, ctx, setting)?;
            seen.observe(&mut outcome)?;
            Ok(outcome)
        };
        let report = match last {
            true => step.run_last(model, optimizer, ctx, forward),
            false => step.run(model, optimizer, ctx, forward),
        };
        let report = report.map_err(|error| {
            let Position { epoch, batch, step } = *position;
            error.context(format!("fit: epoch {epoch}, batch {batch}, step {step}"))
        })?;
        metrics.update(report.loss, report.weight, report.samples, &report.observed)?;
        Ok(report)
    }

    /// Tells progress and callbacks of a batch.
    fn report(&mut self, session: &mut Session, report: &StepReport) -> Result<()> {
        let (metrics, epoch) = (&self.metrics, self.position.epoch);
        session.reporter.step(self.position.step, report.samples, || {
            let of = session.epochs.map(|epochs| format!("/{epochs}")).unwrap_or_default();
            format!("epoch {}{of}  {}", epoch + 1, figures(&metrics.values("")))
        });
        if self.callbacks.is_empty() {
            return Ok(());
        }
        let mut scalars = vec![
            ("loss".to_owned(), report.loss),
            ("learning_rate".to_owned(), self.optimizer.learning_rate()),
        ];
        scalars.extend(report.gradient_norm.map(|norm| ("gradient_norm".to_owned(), norm)));
        self.call(session, &scalars, |callback, run| callback.on_batch_end(run))
    }

    /// What may happen between two steps: an end, a checkpoint. True if the run ends here.
    fn after_step(&mut self, session: &mut Session, last: bool) -> Result<bool> {
        let step = self.position.step;
        if self.saves_on_interrupt && interrupt::take() {
            self.stop.get_or_insert("interrupted".into());
        }
        let done = self.steps.is_some_and(|steps| step >= steps);
        if self.stop.is_some() || done {
            return Ok(true);
        }
        let every = self.checkpoints.as_ref().and_then(|files| files.every_steps);
        // The end of an epoch is saved with its validation.
        if !last && every.is_some_and(|every| step.is_multiple_of(every)) {
            self.save(session, vec![LAST.to_owned()], Vec::new())?;
        }
        Ok(false)
    }

    /// Validation, averages, the record of the epoch, and what is saved of it.
    fn end_epoch<V: Batches>(&mut self, session: &mut Session, valid: Option<&V>) -> Result<()>
    where
        K: Task<M, V::Batch>,
    {
        let mut scalars = self.metrics.values("");
        if let Some(valid) = valid {
            let measured = self.measure(valid, &session.setting);
            measured.map_err(|error| {
                error.context(format!("fit: validation of epoch {}", self.position.epoch))
            })?;
            scalars.extend(self.valid_metrics.values("val_"));
        }
        scalars.push(("learning_rate".into(), self.optimizer.learning_rate()));
        let Position { epoch, step, .. } = self.position;
        if let Some(plateau) = &mut self.plateau {
            let value = plateau.monitor.of("plateau", &scalars)?;
            self.optimizer.set_learning_rate(plateau.now.observe(value));
        }
        if let Some(swa) = self.swa.as_mut().filter(|swa| epoch >= swa.from_epoch) {
            swa.update(&self.model)?;
        }
        let of = session.epochs.map(|epochs| format!("/{epochs}")).unwrap_or_default();
        session.reporter.line(&format!(
            "epoch {}{of}  {}  {:.0} samples/s  {}",
            epoch + 1,
            figures(&scalars),
            session.reporter.samples_per_s(),
            time(session.start.elapsed().as_secs_f64())
        ));
        self.call(session, &scalars, |callback, run| callback.on_epoch_end(run))?;
        self.history.records.push(Record { epoch, step, scalars: scalars.clone() });
        self.position = Position { epoch: epoch + 1, batch: 0, step };
        self.metrics.reset();
        self.save_epoch(session, epoch, &scalars)
    }

    fn save_epoch(
        &mut self,
        session: &mut Session,
        epoch: u32,
        scalars: &[(String, f64)],
    ) -> Result<()> {
        let Some(files) = &self.checkpoints else { return Ok(()) };
        let (mut written, mut gone) = (Vec::new(), Vec::new());
        if let Some(monitor) = &files.best {
            let value = monitor.of("checkpoints", scalars)?;
            if let Some((file, others)) = self.best.offer(value, epoch, monitor, files.keep) {
                written.push(file);
                gone = others;
            }
        }
        if files.every_epochs.is_some_and(|every| (epoch + 1).is_multiple_of(every)) {
            written.push(format!("epoch-{epoch:04}.safetensors"));
        }
        // Last, so that it never knows of a file that is not there.
        written.push(LAST.to_owned());
        self.save(session, written, gone)
    }

    fn save(
        &mut self,
        session: &mut Session,
        written: Vec<String>,
        gone: Vec<String>,
    ) -> Result<()> {
        let Some((folder, writer)) = &session.files else { return Ok(()) };
        let paths = |names: Vec<String>| names.iter().map(|name| folder.file(name)).collect();
        writer.write(self.snapshot(&session.course), paths(written), paths(gone))
    }

    /// Measures the model, with averaged weights if there are, into the metrics of validation.
    fn measure<V: Batches>(&mut self, valid: &V, setting: &Setting) -> Result<()>
    where
        K: Task<M, V::Batch>,
    {
        let mut metrics = std::mem::replace(&mut self.valid_metrics, Metrics::new());
        let averaged = self.averages().map(|averages| averages.model(&self.model));
        let model = averaged.as_ref().unwrap_or(&self.model);
        let measured = evaluate(model, &Borrowed(&self.task), valid, setting, &mut metrics);
        self.valid_metrics = metrics;
        measured
    }

    /// Gives the model the average of the last epochs, and measures its running statistics anew.
    fn take_swa<T: Batches>(&mut self, session: &Session, train: &T) -> Result<()>
    where
        K: Task<M, T::Batch>,
    {
        let Some(swa) = &self.swa else { return Ok(()) };
        self.model = swa.model(&self.model);
        if let Some(ema) = &mut self.step.ema {
            ema.averages.put(&self.model.state_dict());
        }
        let measures = |role| self.model.parameters().iter().any(|(_, p)| p.role() == role);
        if !measures(Role::State) {
            return Ok(());
        }
        let mut ctx = Context::train(self.key.fold(u32::MAX)).measuring_statistics();
        for batch in train.batches(0, 0).take(session.batch_count.unwrap_or(usize::MAX)) {
            let (batch, setting) = (batch?, &session.setting);
            run_in(setting.compute(), &mut ctx, |ctx| {
                self.task.run(&self.model, &batch, ctx, setting)
            })?;
            ctx.apply_updates(&mut self.model);
            commit(ModelTensors(&mut self.model))?;
        }
        Ok(())
    }

    /// Calls all callbacks.
    fn call(
        &mut self,
        session: &Session,
        scalars: &[(String, f64)],
        event: impl Fn(&mut dyn Callback<M>, &mut Run<M>) -> Result<()>,
    ) -> Result<()> {
        let Trainer { model, optimizer, callbacks, step, position, stop, .. } = self;
        let mut run = Run {
            model,
            optimizer,
            epoch: position.epoch,
            step: position.step,
            scalars,
            names: &session.names,
            resumed: session.resumed,
            averages: step.ema.as_mut().map(|ema| &mut ema.averages),
            stop,
        };
        callbacks.iter_mut().try_for_each(|callback| event(&mut **callback, &mut run))
    }
}

/// A task by reference.
struct Borrowed<'a, K>(&'a K);

impl<M, B, K: Task<M, B>> Task<M, B> for Borrowed<'_, K> {
    fn run(
        &self,
        model: &M,
        batch: &B,
        ctx: &mut Context,
        setting: &Setting,
    ) -> Result<crate::Outcome> {
        self.0.run(model, batch, ctx, setting)
    }
}
