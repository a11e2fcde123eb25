//! [`LoraConfig`]: the `adapter_config.json` of updates of low rank.

use std::collections::BTreeMap;

use crate::config::Checker;
use crate::{ModelConfig, Result};
use serde::Deserialize;
use serde_json::Value;

/// The keys that matter here, under `peft`'s names and with its defaults.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub(super) struct LoraConfig {
    pub(super) peft_type: String,
    pub(super) r: usize,
    pub(super) lora_alpha: f64,
    pub(super) lora_dropout: f64,
    pub(super) use_rslora: bool,
    use_dora: bool,
    lora_bias: bool,
    layer_replication: Option<Value>,
    /// Names, a regular expression, or `all-linear`.
    target_modules: Option<Value>,
    modules_to_save: Option<Vec<String>>,
    pub(super) alpha_pattern: BTreeMap<String, f64>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        LoraConfig {
            peft_type: String::new(),
            r: 8,
            lora_alpha: 8.0,
            lora_dropout: 0.0,
            use_rslora: false,
            use_dora: false,
            lora_bias: false,
            layer_replication: None,
            target_modules: None,
            modules_to_save: None,
            alpha_pattern: BTreeMap::new(),
        }
    }
}

impl LoraConfig {
    /// The names of the layers with an update, where they are listed.
    pub(super) fn targets(&self) -> Option<Vec<&str>> {
        let names = self.target_modules.as_ref()?.as_array()?;
        Some(names.iter().filter_map(Value::as_str).collect())
    }

    /// The names of the parts that were saved as a whole.
    pub(super) fn saved(&self) -> &[String] {
        self.modules_to_save.as_deref().unwrap_or_default()
    }
}

impl ModelConfig for LoraConfig {
    const MODEL: &'static str = "lora";

    fn check(&self) -> Result<()> {
        let replicated = self.layer_replication.is_some();
        let regular = |name: &&String| name.contains(|c: char| "^$*+?()[]{}|\\".contains(c));
        let pattern = self.alpha_pattern.keys().find(regular);
        let alphas = self.alpha_pattern.values().chain([&self.lora_alpha]);
        Checker::new::<Self>()
            .require(self.peft_type.eq_ignore_ascii_case("lora"), || {
                format!("peft_type is {:?}, not LORA", self.peft_type)
            })
            .size("r", self.r)
            .require(alphas.into_iter().all(|alpha| alpha.is_finite()), || {
                "an alpha is not finite".into()
            })
            .probability("lora_dropout", self.lora_dropout)
            .require(!self.use_dora, || "use_dora is true, which is not supported".into())
            .require(!self.lora_bias, || "lora_bias is true, which is not supported".into())
            .require(!replicated, || "layer_replication is set, which is not supported".into())
            .require(pattern.is_none(), || {
                let name = pattern.map_or("", String::as_str);
                format!("alpha_pattern has {name:?}; only names of layers are supported")
            })
            .finish()
    }
}
