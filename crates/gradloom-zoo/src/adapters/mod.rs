//! What was learnt beside a frozen model, as files: updates of low rank, and soft prompts.
//!
//! The format is that of Python's `peft`: a folder with `adapter_config.json` and
//! `adapter_model.safetensors`. How the updates learn is in [`gradloom_nn::lora`]. Other kinds of
//! adapters, and updates of tables of embeddings, are absent.

mod config;
mod lora_files;
mod prompt_files;
mod soft_prompt;

pub use lora_files::{load_lora, save_lora};
pub use prompt_files::{load_soft_prompt, save_soft_prompt};
pub use soft_prompt::{Prompted, SoftPrompt};

/// The file of the configuration in a folder.
const CONFIG_FILE: &str = "adapter_config.json";

/// The files of the weights in a folder: the first that is there.
const WEIGHT_FILES: [&str; 2] = ["adapter_model.safetensors", "adapter_model.bin"];
