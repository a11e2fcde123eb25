//! Soft prompts as files: [`save_soft_prompt`] and [`load_soft_prompt`].

use std::path::Path;

use crate::adapters::lora_files::{made, weight_file};
use crate::adapters::{CONFIG_FILE, SoftPrompt, WEIGHT_FILES};
use crate::config::Checker;
use crate::pretrained::config_at;
use crate::{ModelConfig, Result, error};
use gradloom_nn::lora::Lora;
use gradloom_nn::{LoadOptions, Module, ModuleExt, Parameter, StateDict, weights};
use gradloom_tensor::{DType, Tensors, commit};
use serde::Deserialize;
use serde_json::json;

/// The name of the vectors in a file.
const VECTORS: &str = "prompt_embeddings";

/// What the names of parts that were saved as a whole begin with.
const PREFIX: &str = "base_model.";

/// The keys that matter here, under `peft`'s names.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PromptConfig {
    peft_type: String,
    num_virtual_tokens: usize,
}

impl ModelConfig for PromptConfig {
    const MODEL: &'static str = "soft prompt";

    fn check(&self) -> Result<()> {
        Checker::new::<Self>()
            .require(self.peft_type.eq_ignore_ascii_case("prompt_tuning"), || {
                format!("peft_type is {:?}, not PROMPT_TUNING", self.peft_type)
            })
            .size("num_virtual_tokens", self.num_virtual_tokens)
            .finish()
    }
}

/// Writes a prompt to a folder, which is made if it is not there, with the parts of the model that learnt
/// as a whole, such as `["classifier"]`. `base_model` is where the model came from, for whoever reads the
/// files.
///
/// Python: `PeftModel.save_pretrained`.
///
/// # Errors
/// If a weight cannot be computed, or a file cannot be written.
pub fn save_soft_prompt(
    folder: impl AsRef<Path>,
    prompt: &SoftPrompt,
    model: &impl Module,
    train_also: &[&str],
    base_model: Option<&str>,
) -> Result<()> {
    let folder = folder.as_ref();
    let parts = Lora::new(1).train_also(train_also.iter().copied());
    let learnt = model.parameters().into_iter().filter(|(name, _)| parts.is_trained_also(name));
    let mut dict: StateDict = learnt
        .map(|(name, parameter)| (format!("{PREFIX}{name}"), parameter.tensor().detach()))
        .collect();
    dict.insert(VECTORS, prompt.prompt_embeddings.detach());
    let config = json!({
        "peft_type": "PROMPT_TUNING",
        "task_type": if train_also.is_empty() { "CAUSAL_LM" } else { "SEQ_CLS" },
        "base_model_name_or_path": base_model,
        "inference_mode": true,
        "num_virtual_tokens": prompt.vectors(),
        "num_transformer_submodules": 1,
        "token_dim": prompt.prompt_embeddings.size(1),
        "prompt_tuning_init": "RANDOM",
        "modules_to_save": if train_also.is_empty() { json!(null) } else { json!(train_also) },
    });
    made(folder)?;
    weights::save(folder.join(WEIGHT_FILES[0]), &dict)
        .map_err(|error| error::weights("saving a prompt", error))?;
    gradloom_files::write(folder.join(CONFIG_FILE), format!("{config:#}\n").as_bytes())
}

/// Reads a prompt from a folder, puts the parts that were saved with it into the model, and freezes the
/// rest of the model.
///
/// Python: `PeftModel.from_pretrained(model, folder, is_trainable=True)`.
///
/// # Errors
/// If a file is missing or damaged, is of a kind that is not supported, or does not fit the model, which
/// is then as before.
pub fn load_soft_prompt<M: Module + Tensors>(
    folder: impl AsRef<Path>,
    model: &mut M,
) -> Result<SoftPrompt> {
    let folder = folder.as_ref();
    load(folder, model).map_err(|error| error.context(folder.display().to_string()))
}

fn load<M: Module + Tensors>(folder: &Path, model: &mut M) -> Result<SoftPrompt> {
    let config: PromptConfig = config_at(&folder.join(CONFIG_FILE))?;
    let wrong = |message: String| error::config(PromptConfig::MODEL, message);
    let device = model.parameters().first().map(|(_, parameter)| parameter.device().clone());
    let Some(device) = device else { return Err(wrong("the model has no weights".to_owned())) };
    let failed = |error| error::weights("loading a prompt", error);
    let mut dict = weights::load(weight_file(folder)?, &device).map_err(failed)?;
    let Some(vectors) = dict.remove(VECTORS) else {
        return Err(wrong(format!("the file has no {VECTORS}")));
    };
    let count = config.num_virtual_tokens;
    if vectors.rank() != 2 || vectors.size(0) != count {
        let shape = vectors.shape();
        return Err(wrong(format!("{VECTORS} has shape {shape} for {count} vectors")));
    }
    let own = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    let parts = dict.rename(|name| Some(own(name)));
    for (name, tensor) in parts.iter() {
        let weight = model.parameter(name);
        if weight.is_none_or(|weight| weight.shape() != tensor.shape()) {
            let shape = tensor.shape();
            return Err(wrong(format!("the model has no weight {name} of shape {shape}")));
        }
    }
    model.load_state_dict(&parts, &LoadOptions::lenient().cast()).map_err(failed)?;
    model.freeze();
    model.set_trainable(true, |name| parts.get(name).is_some());
    let mut prompt = SoftPrompt { prompt_embeddings: Parameter::new(vectors.cast(DType::F32)) };
    commit((&mut *model, &mut prompt)).map_err(|error| error.context("loading a prompt"))?;
    Ok(prompt)
}
