//! [`History`]: the figures of every epoch.

use serde_json::{Value, json};

use crate::exact::{self, Entries};
use crate::{Result, error};

/// The figures of one epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Number of the epoch, from 0.
    pub epoch: u32,
    /// Steps done at its end.
    pub step: u64,
    /// Figures by name: `loss`, the metrics, the same of validation with `val_` before, `learning_rate`.
    pub scalars: Vec<(String, f64)>,
}

impl Record {
    /// The figure of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.scalars.iter().find(|(other, _)| other == name).map(|(_, value)| *value)
    }
}

/// The figures of all epochs, in order. Keras: `History`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// One record for each epoch that was finished.
    pub records: Vec<Record>,
}

impl History {
    /// The last figure of this name.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.records.last()?.get(name)
    }

    /// The figures of this name, one for each epoch that has it.
    pub fn curve(&self, name: &str) -> Vec<f64> {
        self.records.iter().filter_map(|record| record.get(name)).collect()
    }

    pub(crate) fn state(&self) -> Value {
        let record = |record: &Record| {
            json!({
                "epoch": record.epoch,
                "step": record.step,
                "scalars": exact::scalars(&record.scalars),
            })
        };
        Value::Array(self.records.iter().map(record).collect())
    }

    pub(crate) fn from_state(state: &Value) -> Result<Self> {
        let records =
            state.as_array().ok_or_else(|| error::malformed("checkpoint: the history"))?;
        let record = |record: &Value| {
            let record = Entries::new("history", record)?;
            let (epoch, step) = (record.narrow("epoch")?, record.count("step")?);
            Ok(Record { epoch, step, scalars: record.scalars("scalars")? })
        };
        Ok(History { records: records.iter().map(record).collect::<Result<_>>()? })
    }
}
