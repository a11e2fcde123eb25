//! One checkpoint as a safetensors file: tensors named `part/name`, and everything else as JSON in the header.

use std::collections::BTreeMap;
use std::path::Path;

use gradloom_nn::{StateDict, weights};
use gradloom_tensor::Device;
use gradloom_weights::Checkpoint;
use serde_json::Value;

use crate::{Result, error};

/// The entry of the header that makes a safetensors file a checkpoint of a run.
const KEY: &str = "gradloom_training";
/// Of the format that is written; others are refused.
pub(crate) const VERSION: u64 = 2;

/// All that a run needs to go on.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) parts: Vec<(String, StateDict)>,
    pub(crate) values: Value,
}

impl Snapshot {
    /// Writes a file whole; an older one stays until it is.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let mut tensors = StateDict::new();
        for (part, dict) in &self.parts {
            for (name, tensor) in dict.iter() {
                tensors.insert(format!("{part}/{name}"), tensor.clone());
            }
        }
        let header = BTreeMap::from([(KEY.to_owned(), self.values.to_string())]);
        weights::save_with(path, &tensors, &header).map_err(|error| error.context("checkpoint"))
    }
}

/// What a file holds.
#[derive(Debug)]
pub(crate) struct Parts {
    parts: BTreeMap<String, StateDict>,
    pub(crate) values: Value,
}

impl Parts {
    /// The tensors of a part; `None` if it has none.
    pub(crate) fn take(&mut self, part: &str) -> Option<StateDict> {
        self.parts.remove(part)
    }
}

/// Reads a checkpoint of a run.
pub(crate) fn read(path: &Path, device: &Device) -> Result<Parts> {
    let name = path.display();
    let file = Checkpoint::open(path).map_err(|error| error.context("checkpoint"))?;
    let Some(text) = file.metadata().get(KEY).and_then(|value| value.as_str()) else {
        return Err(error::mismatch(format!(
            "checkpoint: {name} holds weights, but is no checkpoint of a training run"
        )));
    };
    let values: Value = serde_json::from_str(text).map_err(|error| {
        error::malformed(format!("checkpoint: {name}: damaged header: {error}"))
    })?;
    match values["version"].as_u64() {
        Some(VERSION) => {}
        other => {
            let other = other.map_or("no version".into(), |version| format!("version {version}"));
            return Err(error::mismatch(format!(
                "checkpoint: {name} is of {other} of the format, this program reads version {VERSION}"
            )));
        }
    }
    let mut parts = BTreeMap::<String, StateDict>::new();
    for (full, tensor) in file.tensors(device).map_err(|error| error.context("checkpoint"))? {
        let Some((part, own)) = full.split_once('/') else {
            let message = format!("checkpoint: {name}: the tensor {full} belongs to no part");
            return Err(error::malformed(message));
        };
        parts.entry(part.to_owned()).or_default().insert(own, tensor);
    }
    Ok(Parts { parts, values })
}
