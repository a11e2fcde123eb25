//! What one step computes: forward, gradients, what is accumulated, the optimizer, the commit; and what is said
//! when it went wrong.

use std::collections::BTreeSet;

use gradloom_nn::module::for_each_tensor;
use gradloom_nn::{Context, Gradients, Module, ModuleExt, Optimizer, gradients};
use gradloom_tensor::{Tensor, Tensors, commit};

use crate::scaler::all_finite;
use crate::step::TrainStep;
use crate::task::run_in;
use crate::{Outcome, Result, StepReport, error, hunt};

/// Elements of a model up to which its weights are held over a step that may go wrong, in twice their memory. In
/// larger ones each is chosen on the device, which costs two nodes of graph for each weight and no memory.
const HELD_MAX: usize = 1 << 16;

/// What a step changes.
struct Learner<'a, M> {
    model: &'a mut M,
    optimizer: &'a mut dyn Optimizer,
    ctx: &'a mut Context,
}

impl TrainStep {
    /// One step, or one batch of it. After an error the weights are as before, and nothing is accumulated.
    pub(crate) fn advance<M: Module + Clone>(
        &mut self,
        model: &mut M,
        optimizer: &mut dyn Optimizer,
        ctx: &mut Context,
        ends: bool,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<StepReport> {
        let drawn = ctx.keys_drawn();
        self.before.clear();
        self.ids.clear();
        for_each_tensor(model, &mut |tensor| {
            self.before.push(tensor.clone());
            self.ids.push(tensor.id());
        });
        let mut learner = Learner { model, optimizer, ctx };
        let report = self.attempt(&mut learner, ends, forward).inspect_err(|_| {
            learner.ctx.set_keys_drawn(drawn);
            learner.ctx.discard_updates();
            put_back(learner.model, &self.ids);
            self.restart();
        });
        self.before.clear();
        report
    }

    fn attempt<M: Module + Clone>(
        &mut self,
        learner: &mut Learner<M>,
        ends: bool,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<StepReport> {
        let Learner { model, ctx, .. } = learner;
        let drawn = ctx.keys_drawn();
        let mut outcome = self.forward(*model, ctx, forward)?;
        if !(outcome.weight >= 0.0 && outcome.weight.is_finite()) {
            let message = format!("train step: a loss that is a mean over {}", outcome.weight);
            return Err(error::invalid(message + "; give the weight of the batch, not negative"));
        }
        // Held over the commit, outputs would keep all activations from being given back.
        outcome.pair = None;
        let of_batch = match &self.scaler {
            Some(scaler) => gradients(&scaler.scaled(&outcome.loss), *model),
            None => gradients(&outcome.loss, *model),
        };
        if let Some(ema) = self.ema.as_mut().filter(|ema| ema.updates == 0) {
            ema.begin(*model);
        }
        let mut report = StepReport {
            loss: f64::NAN,
            samples: outcome.samples,
            weight: outcome.weight,
            stepped: false,
            skipped: false,
            gradient_norm: None,
            observed: std::mem::take(&mut outcome.observed),
        };
        let mut loss = outcome.loss;
        let mut sound = None;
        let alone = ends && self.accumulation.batches == 0;
        let complete = if alone {
            Some(of_batch)
        } else {
            self.accumulation.add(of_batch, outcome.weight);
            if ends { self.accumulation.take()? } else { None }
        };
        let complete = match (complete, self.scaler.is_some()) {
            (Some(scaled), true) => self.unscaled(scaled, &mut loss, &mut report)?,
            (complete, _) => complete,
        };
        match complete {
            Some(complete) => {
                sound = self.change(learner, complete, &loss, &mut report)?;
            }
            None => {
                self.before.clear();
                ctx.apply_updates(*model);
                let rest = (&mut report.observed, &mut loss);
                commit((ModelTensors(*model), &mut self.accumulation, rest))?;
            }
        }
        report.loss = loss.item()?;
        if self.scaler.is_none() && self.checks_loss {
            let sound =
                sound.map(|sound| sound.item()).transpose()?.is_none_or(|sound| sound > 0.0);
            if !report.loss.is_finite() || !sound {
                learner.ctx.set_keys_drawn(drawn);
                // Where they are held, the step has written the new weights elsewhere.
                let mut before = self.before.drain(..);
                for_each_tensor(learner.model, &mut |tensor| {
                    if let Some(held) = before.next() {
                        *tensor = held;
                    }
                });
                drop(before);
                return Err(self.fault(learner, forward, report.loss)?);
            }
        }
        Ok(report)
    }

    fn forward<M: Module + Clone>(
        &self,
        model: &M,
        ctx: &mut Context,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
    ) -> Result<Outcome> {
        run_in(self.precision.compute(), ctx, |ctx| forward(model, ctx))
    }

    /// Gradients of a scaled loss, computed, as those of the loss; `None` if they overflowed.
    fn unscaled(
        &mut self,
        mut scaled: Gradients,
        loss: &mut Tensor,
        report: &mut StepReport,
    ) -> Result<Option<Gradients>> {
        let Some(scaler) = &mut self.scaler else { return Ok(Some(scaled)) };
        let Some(mut finite) = all_finite(&scaled) else { return Ok(Some(scaled)) };
        commit((&mut scaled, &mut finite, loss, &mut report.observed))?;
        let unscaled = scaler.unscaled(&scaled);
        report.skipped = finite.item()? == 0.0;
        scaler.update(report.skipped);
        scaler.check()?;
        Ok((!report.skipped).then_some(unscaled))
    }

    /// Clips, lets the optimizer change the weights, and computes it all. Gives the flag that says whether the
    /// gradients were finite, where they are checked.
    fn change<M: Module + Clone>(
        &mut self,
        learner: &mut Learner<M>,
        gradients: Gradients,
        loss: &Tensor,
        report: &mut StepReport,
    ) -> Result<Option<Tensor>> {
        let Learner { model, optimizer, ctx } = learner;
        let mut gradients = gradients;
        let checks = self.checks_loss && self.scaler.is_none();
        let holds = checks && self.ema.is_none() && count_of(&self.before) <= HELD_MAX;
        let guard = (checks && (self.checks_gradients || !holds)).then(|| {
            let finite = loss.detach().is_finite().reshape([0usize; 0]);
            let all = self.checks_gradients.then(|| all_finite(&gradients)).flatten();
            all.map_or(finite.clone(), |all| finite.logical_and(all.to_device(finite.device())))
        });
        if let Some(bound) = self.bound {
            gradients = gradients.clip_value(bound);
        }
        let mut norm = None;
        if let Some(norm_max) = self.norm_max.filter(|_| !gradients.is_empty()) {
            let (clipped, before) = gradients.clip_norm(norm_max);
            (gradients, norm) = (clipped, Some(before));
        }
        optimizer.step(&gradients, *model);
        ctx.apply_updates(*model);
        if !holds {
            // No handle on the old weights may be left, or they could not be updated in their memory.
            match &guard {
                Some(guard) => keep_unless(guard, *model, self.before.drain(..)),
                None => self.before.clear(),
            }
        }
        if let Some(ema) = &mut self.ema {
            ema.update(*model);
        }
        drop(gradients);
        // Where nothing made of the loss is computed, it is asked for itself.
        let mut loss = guard.is_none().then(|| loss.clone());
        let mut flag = guard.filter(|_| self.checks_gradients);
        let rest = (&mut report.observed, &mut norm, &mut flag, &mut loss);
        commit((ModelTensors(*model), &mut **optimizer, &mut self.ema, rest))?;
        report.stepped = true;
        report.gradient_norm = norm.map(|norm| norm.item()).transpose()?;
        Ok(flag)
    }

    /// The error of a step that went wrong: it is run once more to say where.
    fn fault<M: Module + Clone>(
        &self,
        learner: &mut Learner<M>,
        forward: &dyn Fn(&M, &mut Context) -> Result<Outcome>,
        loss: f64,
    ) -> Result<crate::Error> {
        let Learner { model, ctx, .. } = learner;
        let model = &**model;
        let outcome = self.forward(model, ctx, forward)?;
        ctx.discard_updates();
        let mut found = hunt::first_fault(&outcome.loss, model)?;
        let mut what = format!("the loss is {loss}");
        if loss.is_finite() {
            for (name, gradient) in gradients(&outcome.loss, model).iter() {
                found = hunt::first_fault(gradient, model)?;
                if found.is_some() {
                    what = format!("the gradient of {name} is not finite");
                    break;
                }
            }
        }
        let found =
            found.unwrap_or_else(|| "the same step was finite when it was run again".into());
        Ok(error::not_finite(format!(
            "train step: {what}: {found}; lower the learning rate or look at that line"
        )))
    }
}

/// The tensors of a module, for `commit`.
pub(crate) struct ModelTensors<'a, M: ?Sized>(pub(crate) &'a mut M);

impl<M: Module + ?Sized> Tensors for ModelTensors<'_, M> {
    fn for_each_tensor(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        for_each_tensor(self.0, visit);
    }
}

fn count_of(tensors: &[Tensor]) -> usize {
    tensors.iter().map(|tensor| tensor.count()).sum()
}

/// Gives the weights back what they were, which they are made of while a step is not computed.
fn put_back(model: &mut impl Module, ids: &[u64]) {
    let mut ids = ids.iter();
    for_each_tensor(model, &mut |tensor| {
        let Some(&id) = ids.next() else { return };
        let (mut seen, mut waiting) = (BTreeSet::new(), vec![tensor.clone()]);
        while let Some(node) = waiting.pop() {
            if node.id() == id {
                *tensor = node;
                return;
            }
            // Operands have smaller numbers than what is made of them.
            if node.id() > id && seen.insert(node.id()) {
                waiting.extend(node.inputs().iter().cloned());
            }
        }
    });
}

/// Keeps the old values unless the flag is true. What was not changed is left alone.
fn keep_unless(flag: &Tensor, model: &mut impl Module, mut old: impl Iterator<Item = Tensor>) {
    model.for_each_parameter(|_, parameter| {
        let Some(before) = old.next() else { return };
        if before.id() != parameter.id() {
            let flag = flag.to_device(parameter.device());
            parameter.update(flag.select(parameter.tensor(), &before));
        }
    });
}
