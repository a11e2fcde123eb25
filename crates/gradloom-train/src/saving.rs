//! A run as a [`Snapshot`], and a run that goes on from one.

use std::path::Path;

use gradloom_nn::{Context, LoadOptions, Module, ModuleExt, Optimizer, Role};
use gradloom_tensor::Key;
use serde_json::{Value, json};

use crate::checkpoint::{Best, Parts, Snapshot, VERSION, read};
use crate::exact::{self, Entries};
use crate::plateau::WatchedPlateau;
use crate::settings::Course;
use crate::trainer::Position;
use crate::{CallbackState, History, Result, Setting, Trainer};

const MODEL: &str = "model";
const OPTIMIZER: &str = "optimizer";
const EMA: &str = "ema";
const SWA: &str = "swa";

impl<M: Module + Clone, O: Optimizer, K> Trainer<M, O, K> {
    /// All that a run between two steps is.
    pub(crate) fn snapshot(&self, course: &Course) -> Snapshot {
        let mut parts = vec![
            (MODEL.to_owned(), self.model.state_dict()),
            (OPTIMIZER.to_owned(), self.optimizer.state_dict()),
        ];
        if let Some(ema) = &self.step.ema {
            parts.push((EMA.into(), ema.averages.state()));
        }
        if let Some(swa) = &self.swa {
            parts.push((SWA.into(), swa.averages.state()));
        }
        let mut callbacks = serde_json::Map::new();
        for callback in &self.callbacks {
            let CallbackState { values, tensors } = callback.state();
            parts.push((part_of(&callback.name()), tensors));
            callbacks.insert(callback.name(), values);
        }
        let frozen: Vec<String> = self
            .model
            .parameters()
            .into_iter()
            .filter(|(_, parameter)| parameter.role() == Role::Frozen)
            .map(|(name, _)| name)
            .collect();
        let best = self.best.entries.iter();
        let best: Vec<Value> =
            best.map(|(value, epoch, file)| json!([exact::number(*value), epoch, file])).collect();
        let values = json!({
            "version": VERSION,
            "gradloom": env!("CARGO_PKG_VERSION"),
            "settings": self.settings(course),
            "learning_rate": exact::number(self.optimizer.learning_rate()),
            "position": {
                "epoch": self.position.epoch,
                "batch": self.position.batch,
                "step": self.position.step,
            },
            "context": {"key": self.ctx.run_key().words(), "drawn": self.ctx.keys_drawn()},
            "metrics": self.metrics.state(),
            "history": self.history.state(),
            "plateau": self.plateau.as_ref().map(WatchedPlateau::state),
            "scaler": self.step.scaler.as_ref().map(|scaler| scaler.state()),
            "ema": self.step.ema.as_ref().map(|ema| json!({"updates": ema.updates})),
            "swa": self.swa.as_ref().map(|swa| json!({"count": swa.count})),
            "frozen": frozen,
            "callbacks": callbacks,
            "best": best,
        });
        Snapshot { parts, values }
    }

    /// Goes on from a file. On an error the model and the optimizer are as before.
    pub(crate) fn restore(&mut self, path: &Path, own: &Value, setting: &Setting) -> Result<()> {
        let mut file = read(path, &setting.device)?;
        let values = std::mem::take(&mut file.values);
        self.apply(&mut file, &values, own)
            .map_err(|error| error.context(format!("{}", path.display())))
    }

    fn apply(&mut self, file: &mut Parts, values: &Value, own: &Value) -> Result<()> {
        let values = Entries::new("the checkpoint", values)?;
        let saved = values.get("settings")?;
        self.check_settings(saved, own)?;
        let mut model = self.model.clone();
        let weights = file.take(MODEL).unwrap_or_default();
        model
            .load_state_dict(&weights, &LoadOptions::strict())
            .map_err(|error| error.context("checkpoint: it is of another model"))?;
        let frozen = values.texts("frozen")?;
        model.for_each_parameter(|name, parameter| {
            parameter.set_trainable(!frozen.iter().any(|other| other == name));
        });
        let mut position = values.object("position")?;
        let place = Position {
            epoch: position.narrow("epoch")?,
            batch: position.count("batch")? as usize,
            step: position.count("step")?,
        };
        position = values.object("context")?;
        let words = position.array("key")?;
        let word = |place: usize| words.get(place)?.as_u64()?.try_into().ok();
        let Some(key) = word(0).zip(word(1)) else {
            return Err(position.wrong("key", "is no key"));
        };
        let mut ctx = Context::train(Key::from_words([key.0, key.1]));
        ctx.set_keys_drawn(position.narrow("drawn")?);
        let history = History::from_state(values.get("history")?)?;
        let best = best(&values)?;
        // A first rate that was changed on purpose is the rate from now on.
        let changed = saved.get("learning_rate") != own.get("learning_rate");
        let rate = match self
            .first_rate
            .filter(|_| changed && own.get("schedule").is_none_or(Value::is_null))
        {
            Some(rate) => rate,
            None => values.number("learning_rate")?,
        };
        self.metrics.load_state(values.object("metrics")?)?;
        self.load_averages(file, &values, &model)?;
        let callbacks = values.object("callbacks")?;
        for callback in &mut self.callbacks {
            let name = callback.name();
            // One that the other run did not have begins anew.
            let Ok(values) = callbacks.get(&name) else { continue };
            let tensors = file.take(&part_of(&name)).unwrap_or_default();
            callback.load_state(CallbackState { values: values.clone(), tensors })?;
        }
        let remembered = file.take(OPTIMIZER).unwrap_or_default();
        self.optimizer
            .load_state_dict(&remembered, &model)
            .map_err(|error| error.context("checkpoint: its optimizer"))?;
        self.optimizer.set_learning_rate(rate);
        (self.model, self.ctx, self.position) = (model, ctx, place);
        (self.history, self.best) = (history, best);
        Ok(())
    }

    fn load_averages(&mut self, file: &mut Parts, values: &Entries, model: &M) -> Result<()> {
        let part = |file: &mut Parts, name| file.take(name).unwrap_or_default();
        if let Some(ema) = &mut self.step.ema {
            ema.updates = values.object(EMA)?.count("updates")?;
            ema.averages.load(EMA, part(file, EMA), model)?;
        }
        if let Some(swa) = &mut self.swa {
            swa.count = values.object(SWA)?.count("count")?;
            swa.averages.load(SWA, part(file, SWA), model)?;
        }
        if let Some(scaler) = &mut self.step.scaler {
            scaler.load_state(values.object("scaler")?)?;
        }
        if let Some(plateau) = &mut self.plateau {
            plateau.load_state(values.object("plateau")?)?;
        }
        Ok(())
    }
}

fn part_of(callback: &str) -> String {
    format!("callback {callback}")
}

fn best(values: &Entries) -> Result<Best> {
    let mut best = Best::default();
    for entry in values.array("best")? {
        let value = entry[0].as_str().and_then(|value| value.parse().ok());
        let epoch = entry[1].as_u64().and_then(|epoch| epoch.try_into().ok());
        let file = entry[2].as_str().filter(|file| !file.contains(['/', '\\']));
        let (Some(value), Some(epoch), Some(file)) = (value, epoch, file) else {
            return Err(values.wrong("best", "has an entry that is none"));
        };
        best.entries.push((value, epoch, file.to_owned()));
    }
    Ok(best)
}
