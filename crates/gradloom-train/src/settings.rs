//! What a run must have in common with a checkpoint to end as the one that wrote it would have, and how a
//! difference is told.

use gradloom_nn::{Module, ModuleExt, Optimizer, Schedule};
use serde_json::{Map, Value, json};

use crate::{Batches, Result, Trainer, error, exact};

/// What decides a run beside the trainer itself: its batches, and the schedule once its steps are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Course {
    pub(crate) order: String,
    pub(crate) preparation: String,
    pub(crate) schedule: Option<Schedule>,
}

impl Course {
    pub(crate) fn new(batches: &impl Batches, schedule: Option<Schedule>) -> Self {
        Course { order: batches.order(), preparation: batches.preparation(), schedule }
    }
}

/// What has a state that only fits itself: it cannot come or go, or become another, in the middle of a run.
const FIXED: [&str; 5] = ["optimizer.kind", "ema", "swa", "scaler", "plateau"];

/// Characters of a value that a message shows.
const SHOWN_MAX: usize = 160;

impl<M: Module + Clone, O: Optimizer, K> Trainer<M, O, K> {
    /// All that decides how a run goes on, by name.
    pub(crate) fn settings(&self, course: &Course) -> Value {
        let step = &self.step;
        let mut optimizer = Map::from_iter([("kind".to_owned(), self.optimizer.kind().into())]);
        let own = self.optimizer.settings(&self.model).into_iter();
        optimizer.extend(own.map(|(name, value)| (name, Value::String(value))));
        let parameters = self.model.parameters().into_iter();
        let full = parameters.filter(|(_, weight)| weight.is_full_precision());
        let full: Vec<String> = full.map(|(name, _)| name).collect();
        let callbacks =
            self.callbacks.iter().map(|callback| (callback.name(), callback.settings()));
        let callbacks: Map<String, Value> =
            callbacks.filter(|(_, settings)| !settings.is_null()).collect();
        // A schedule sets the rate of every step, whatever it was at first.
        let rate = self.first_rate.filter(|_| course.schedule.is_none());
        json!({
            "optimizer": optimizer,
            "learning_rate": exact::optional(rate),
            "schedule": course.schedule.as_ref().map(|schedule| format!("{schedule:?}")),
            "plateau": self.plateau.as_ref().map(|plateau| plateau.settings()),
            "key": format!("{:?}", self.key.words()),
            "batches": course.order,
            "preparation": course.preparation,
            "batches_per_epoch": self.batches_max,
            "accumulate": step.every,
            "clip_norm": exact::optional(step.norm_max),
            "clip_value": exact::optional(step.bound),
            "precision": step.precision.name(),
            "full_precision": (!full.is_empty()).then(|| full.join(", ")),
            "scaler": step.scaler.as_ref().map(|scaler| scaler.settings()),
            "ema": step.ema.as_ref().map(|ema| ema.settings()),
            "swa": self.swa.as_ref().map(|swa| format!("from epoch {}", swa.from_epoch)),
            "callbacks": callbacks,
        })
    }

    /// An error that says in what a checkpoint differs from the run that shall go on with it, but for what may.
    pub(crate) fn check_settings(&self, saved: &Value, own: &Value) -> Result<()> {
        let mut differ = differences(saved, own);
        differ.retain(|difference| difference.is_fixed() || !self.accepts(&difference.name));
        if differ.iter().any(|difference| difference.name == "optimizer.kind") {
            differ.retain(|difference| {
                !difference.name.starts_with("optimizer.") || difference.name == "optimizer.kind"
            });
        }
        if differ.is_empty() {
            return Ok(());
        }
        let told: Vec<String> = differ.iter().map(Difference::to_string).collect();
        let (fixed, free): (Vec<_>, Vec<_>) = differ.iter().partition(|d| d.is_fixed());
        let names = |differ: &[&Difference]| -> Vec<String> {
            differ.iter().map(|difference| format!("{:?}", difference.name)).collect()
        };
        let mut todo = Vec::new();
        if !free.is_empty() {
            let names = names(&free).join(", ");
            todo.push(format!("to go on with what this run says, call accept_changes([{names}])"));
        }
        if !fixed.is_empty() {
            let names = names(&fixed).join(", ");
            todo.push(format!("{names} cannot become another in the middle of a run"));
        }
        Err(error::mismatch(format!(
            "checkpoint: it is of another run, whose end would not be the same: {}; {}",
            told.join("; "),
            todo.join("; ")
        )))
    }

    /// True if another value of a setting is wanted.
    pub(crate) fn accepts(&self, name: &str) -> bool {
        let within = |group: &String| {
            let rest = name.strip_prefix(group.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.accepted.iter().any(within)
    }

    /// An error if there is no setting of a name whose changes are to be accepted.
    pub(crate) fn check_accepted(&self, own: &Value) -> Result<()> {
        let mut names = Vec::new();
        names_of("", own, &mut names);
        match self.accepted.iter().find(|name| !names.contains(name)) {
            Some(name) => Err(error::invalid(format!(
                "accept_changes: there is no setting {name:?}; there are {}",
                names.join(", ")
            ))),
            None => Ok(()),
        }
    }
}

/// A setting that is another in the checkpoint than in the run.
#[derive(Debug)]
struct Difference {
    name: String,
    saved: Value,
    own: Value,
}

impl Difference {
    /// True if no state would fit the other value: another kind, or one of them without any.
    fn is_fixed(&self) -> bool {
        let absent = self.saved.is_null() || self.own.is_null();
        FIXED.contains(&self.name.as_str()) && (absent || self.name == "optimizer.kind")
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Difference { name, saved, own } = self;
        write!(formatter, "{name}: {} in the checkpoint, {} in this run", shown(saved), shown(own))
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match text.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Entries of two objects, and of the objects in them, that are not the same.
fn differences(saved: &Value, own: &Value) -> Vec<Difference> {
    let mut differ = Vec::new();
    compare("", saved, own, &mut differ);
    differ
}

fn compare(name: &str, saved: &Value, own: &Value, differ: &mut Vec<Difference>) {
    // Those of the run are few levels deep; what a file has beyond them is compared as a whole.
    if let (Value::Object(of_saved), Value::Object(of_own)) = (saved, own) {
        let keys: std::collections::BTreeSet<&String> =
            of_saved.keys().chain(of_own.keys()).collect();
        for key in keys {
            let of =
                |entries: &Map<String, Value>| entries.get(key).cloned().unwrap_or(Value::Null);
            compare(&joined(name, key), &of(of_saved), &of(of_own), differ);
        }
    } else if saved != own {
        let (saved, own) = (saved.clone(), own.clone());
        differ.push(Difference { name: name.to_owned(), saved, own });
    }
}

fn names_of(name: &str, value: &Value, names: &mut Vec<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let full = joined(name, key);
        names_of(&full, value, names);
        names.push(full);
    }
}

fn joined(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}
