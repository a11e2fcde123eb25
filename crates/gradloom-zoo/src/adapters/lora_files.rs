//! Updates of low rank as files: [`save_lora`] and [`load_lora`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::adapters::config::LoraConfig;
use crate::adapters::{CONFIG_FILE, WEIGHT_FILES};
use crate::pretrained::config_at;
use crate::{Error, ModelConfig, Result, error};
use gradloom_nn::layers::{Dropout, LowRank};
use gradloom_nn::lora::{self, Lora};
use gradloom_nn::{LoadOptions, Module, ModuleExt, Parameter, StateDict, weights};
use gradloom_tensor::{DType, Tensor, Tensors, commit};
use serde_json::json;

/// What the names of all weights begin with.
const PREFIX: &str = "base_model.model.";

/// Writes the updates of a model, and the parts that learnt as a whole, to a folder, which is made if it
/// is not there. `base_model` is where the model came from, for whoever reads the files.
///
/// Python: `PeftModel.save_pretrained`; `PeftModel.from_pretrained(model, folder)` reads them.
///
/// # Errors
/// If the model has no updates, a weight cannot be computed, or a file cannot be written.
pub fn save_lora(
    folder: impl AsRef<Path>,
    model: &impl Module,
    lora: &Lora,
    base_model: Option<&str>,
) -> Result<()> {
    let folder = folder.as_ref();
    let mut dict = StateDict::new();
    let mut ranks = BTreeMap::new();
    let mut inputs_first = false;
    for (name, parameter) in model.parameters() {
        if !lora::is_update(&name) && !lora.is_trained_also(&name) {
            continue;
        }
        if let Some(layer) = name.strip_suffix(".lora_A.weight") {
            ranks.insert(layer.to_owned(), parameter.size(0));
            let weight = model.parameter(&format!("{layer}.weight"));
            // A square weight does not show it; another layer of the model will, or reads the same.
            inputs_first |= weight.is_some_and(|weight| weight.size(1) != parameter.size(1));
        }
        dict.insert(format!("{PREFIX}{name}"), parameter.tensor().detach());
    }
    if ranks.is_empty() {
        return Err(error::config(LoraConfig::MODEL, "the model has no updates to save"));
    }
    let rank_pattern: BTreeMap<&String, usize> =
        ranks.iter().filter(|(_, rank)| **rank != lora.rank()).map(|(l, r)| (l, *r)).collect();
    let saved = lora.train_also_names();
    let config = json!({
        "peft_type": "LORA",
        "task_type": null,
        "base_model_name_or_path": base_model,
        "inference_mode": true,
        "bias": "none",
        "r": lora.rank(),
        "lora_alpha": lora.alpha_value(),
        "lora_dropout": lora.dropout_probability(),
        "use_rslora": lora.is_rank_stabilized(),
        "use_dora": false,
        "fan_in_fan_out": inputs_first,
        "target_modules": lora.target_names(),
        "modules_to_save": if saved.is_empty() { json!(null) } else { json!(saved) },
        "rank_pattern": rank_pattern,
        "alpha_pattern": lora.alphas(),
    });
    made(folder)?;
    weights::save(folder.join(WEIGHT_FILES[0]), &dict)
        .map_err(|error| error::weights("saving updates", error))?;
    gradloom_files::write(folder.join(CONFIG_FILE), format!("{config:#}\n").as_bytes())
}

/// Makes a folder if it is not there.
pub(super) fn made(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|cause| {
        let kind = gradloom_tensor::ErrorKind::of_io(&cause);
        Error::caused(kind, format!("{}: no folder can be made", folder.display()), cause)
    })
}

/// Reads updates from a folder into a model, and freezes all else but the parts that learnt as a whole.
/// Returns what the updates are.
///
/// The updates are trainable; [`ModuleExt::freeze`] makes a model that is only used faster.
/// Python: `PeftModel.from_pretrained(model, folder, is_trainable=True)`.
///
/// # Errors
/// If a file is missing or damaged, is of a kind that is not supported, or does not fit the model, which
/// is then as before.
pub fn load_lora<M: Module + Tensors>(folder: impl AsRef<Path>, model: &mut M) -> Result<Lora> {
    let folder = folder.as_ref();
    load(folder, model).map_err(|error| error.context(folder.display().to_string()))
}

fn load<M: Module + Tensors>(folder: &Path, model: &mut M) -> Result<Lora> {
    let config: LoraConfig = config_at(&folder.join(CONFIG_FILE))?;
    let wrong = |message: String| error::config(LoraConfig::MODEL, message);
    let device = model.parameters().first().map(|(_, parameter)| parameter.device().clone());
    let Some(device) = device else { return Err(wrong("the model has no weights".to_owned())) };
    let failed = |error| error::weights("loading updates", error);
    let dict = weights::load(weight_file(folder)?, &device).map_err(failed)?;
    let File { pairs, others } = File::sort(&dict)?;
    let mut lora = Lora::new(config.r)
        .alpha(config.lora_alpha)
        .dropout(config.lora_dropout)
        .rank_stabilized(config.use_rslora);
    for (layer, &alpha) in &config.alpha_pattern {
        lora = lora.alpha_of(layer, alpha);
    }
    let last = |layer: &String| layer.rsplit('.').next().unwrap_or(layer).to_owned();
    let found: BTreeSet<String> = pairs.keys().map(last).collect();
    lora = match config.targets() {
        Some(targets) => lora.targets(targets),
        None => lora.targets(found),
    };
    let saved = config.saved().iter().filter(|part| {
        let alone = Lora::new(1).train_also([part.as_str()]);
        others.iter().any(|(name, _)| alone.is_trained_also(name))
    });
    lora = lora.train_also(saved);
    for (name, tensor) in others.iter() {
        let weight = model.parameter(name);
        if weight.is_none_or(|weight| weight.shape() != tensor.shape()) {
            let shape = tensor.shape();
            return Err(wrong(format!("the model has no weight {name} of shape {shape}")));
        }
    }
    let mut updates = BTreeMap::new();
    for (layer, [a, b]) in pairs {
        if a.rank() != 2 || b.rank() != 2 || a.count() == 0 {
            let (a, b) = (a.shape(), b.shape());
            return Err(wrong(format!("the update of {layer} has shapes {a} and {b}")));
        }
        let scale = lora.scale(&layer, a.size(0));
        let [lora_a, lora_b] = [a, b].map(|tensor| Parameter::new(tensor.cast(DType::F32)));
        let dropout = Dropout::new(lora.dropout_probability());
        updates.insert(layer, LowRank { lora_a, lora_b, scale, dropout });
    }
    lora.place(model, updates).map_err(failed)?;
    model.load_state_dict(&others, &LoadOptions::lenient().cast()).map_err(failed)?;
    commit(model).map_err(|error| error.context("loading updates"))?;
    Ok(lora)
}

/// The file of the weights in a folder.
pub(super) fn weight_file(folder: &Path) -> Result<PathBuf> {
    let mut files = WEIGHT_FILES.iter().map(|name| folder.join(name));
    files.find(|path| path.is_file()).ok_or_else(|| {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        error::io(&folder.join(WEIGHT_FILES[0]), missing)
    })
}

/// The weights of a file, under the names that the model has for them.
struct File {
    /// A and B of each layer.
    pairs: BTreeMap<String, [Tensor; 2]>,
    /// Parts that were saved as a whole, and biases.
    others: StateDict,
}

impl File {
    fn sort(dict: &StateDict) -> Result<File> {
        let wrong = |message: String| Err(error::config(LoraConfig::MODEL, message));
        let mut halves = BTreeMap::<String, [Option<Tensor>; 2]>::new();
        let mut others = StateDict::new();
        for (name, tensor) in dict.iter() {
            let own = name.strip_prefix(PREFIX).unwrap_or(name);
            // Some versions wrote how a part is wrapped while it learns.
            let own = own.replace(".modules_to_save.default", "").replace(".modules_to_save", "");
            if let Some(layer) = own.strip_suffix(".lora_A.weight") {
                halves.entry(layer.to_owned()).or_default()[0] = Some(tensor.clone());
            } else if let Some(layer) = own.strip_suffix(".lora_B.weight") {
                halves.entry(layer.to_owned()).or_default()[1] = Some(tensor.clone());
            } else if own.contains("lora_") {
                return wrong(format!(
                    "{name} is of a kind that is not supported; only linear layers can have updates"
                ));
            } else {
                others.insert(own, tensor.clone());
            }
        }
        let mut pairs = BTreeMap::new();
        for (layer, halves) in halves {
            let [Some(a), Some(b)] = halves else {
                return wrong(format!("{layer} has only one of lora_A and lora_B"));
            };
            pairs.insert(layer, [a, b]);
        }
        Ok(File { pairs, others })
    }
}
