//! [`Settings`]: what `tokenizer_config.json` and its neighbours say about a vocabulary.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::special_tokens::token_text;
use crate::{Error, Result, error, files};

/// The fields of the files, as far as they are there.
#[derive(Default)]
pub(super) struct Settings {
    config: Map<String, Value>,
    /// `added_tokens.json`: ids by token.
    added: Map<String, Value>,
    /// `model_type` of `config.json`.
    model: Option<String>,
}

impl Settings {
    pub(super) fn in_folder(path: &Path) -> Result<Settings> {
        let file = |name: &str| -> Result<Map<String, Value>> {
            Ok(files::config(&path.join(name))?.unwrap_or_default())
        };
        let model = file("config.json")?;
        let model = model.get("model_type").and_then(Value::as_str).map(str::to_owned);
        let (config, added) = (file("tokenizer_config.json")?, file("added_tokens.json")?);
        Ok(Settings { config, added, model })
    }

    /// The Python class, without the `Fast` that some names end with.
    pub(super) fn class(&self) -> Option<&str> {
        let class = self.config.get("tokenizer_class")?.as_str()?;
        Some(class.strip_suffix("Fast").unwrap_or(class))
    }

    /// `model_type` of the model.
    pub(super) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.config.get(name)?.as_bool()
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.config.get(name)?.as_u64()
    }

    /// The text of the token with a role.
    pub(super) fn role(&self, name: &str) -> Option<&str> {
        self.config.get(name).and_then(token_text)
    }

    /// The tokens that were added to a vocabulary, as `tokenizer.json` lists them: `own` ones of a class
    /// unless the files have others with the same text.
    pub(super) fn added_tokens(&self, name: &str, own: Vec<Value>) -> Result<Vec<Value>> {
        let wrong = |what: &str| error::malformed(name, format!("{what} is no added token"));
        let mut listed = Vec::new();
        let decoder = self.config.get("added_tokens_decoder").and_then(Value::as_object);
        for (id, token) in decoder.into_iter().flatten() {
            let id: u32 = id.parse().map_err(|_| wrong(id))?;
            let mut token = token.as_object().cloned().ok_or_else(|| wrong(&id.to_string()))?;
            token.insert("id".to_owned(), id.into());
            listed.push(Value::Object(token));
        }
        for (content, id) in &self.added {
            listed.push(json!({ "id": id, "content": content, "normalized": true }));
        }
        let content =
            |token: &Value| token.get("content").and_then(Value::as_str).map(str::to_owned);
        for token in own.into_iter().rev() {
            if !listed.iter().any(|other| content(other) == content(&token)) {
                listed.insert(0, token);
            }
        }
        let mut seen = std::collections::HashSet::new();
        listed.retain(|token| seen.insert(content(token)));
        Ok(listed)
    }

    /// The error for a class whose rules are not known.
    pub(super) fn unknown_class(&self, name: &str, class: &str, known: &[&str]) -> Error {
        let message = format!(
            "a vocabulary of {class}, whose rules are not known; known are {}. Save it as tokenizer.json: \
             AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
            known.join(", ")
        );
        error::unsupported(name, message)
    }
}
