//! Reading a model's folder: `tokenizer.json` beside `tokenizer_config.json` and `special_tokens_map.json`.

use std::path::Path;

use serde_json::Value;

use crate::files::{config, read};
use crate::limits::IDS_MAX;
use crate::{Result, Tokenizer, error, formats, json, plain};

/// Reads the tokenizer and the roles of its special tokens.
pub(crate) fn tokenizer(folder: &Path) -> Result<Tokenizer> {
    let path = folder.join("tokenizer.json");
    let name = path.display().to_string();
    let tokenizer = match read(&path) {
        Ok(bytes) => match formats::named(&bytes) {
            Some(found) => return Err(error::unsupported(&name, found)),
            None => json::read(&name, &bytes)?,
        },
        Err(missing) if missing.is_not_found() => plain::in_folder(folder)?.ok_or(missing)?,
        Err(error) => return Err(error),
    };
    let mut special = tokenizer.special_tokens();
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let path = folder.join(name);
        let Some(config) = config(&path)? else { continue };
        if let Some(missing) = special.read_config(&config, |token| tokenizer.token_to_id(token)) {
            return Err(error::vocabulary_mismatch(format!(
                "{}: the vocabulary has no {missing}",
                path.display()
            )));
        }
    }
    let ends = ends(folder)?;
    Ok(tokenizer.with_special_tokens(special).with_end_tokens(&ends))
}

/// The tokens at which a model's own settings stop: one, or a list.
fn ends(folder: &Path) -> Result<Vec<u32>> {
    // Without settings for writing, Python takes those of the model.
    for name in ["generation_config.json", "config.json"] {
        let path = folder.join(name);
        let Some(config) = config(&path)? else { continue };
        let entry = config.get("eos_token_id").unwrap_or(&Value::Null);
        let list = match entry {
            Value::Array(list) => list.as_slice(),
            Value::Null => &[],
            one => std::slice::from_ref(one),
        };
        let id = |value: &Value| u32::try_from(value.as_u64()?).ok().filter(|&id| id <= IDS_MAX);
        let ids: Option<Vec<u32>> = list.iter().map(id).collect();
        return ids.ok_or_else(|| {
            let message = format!("eos_token_id is {entry}, neither an id nor a list of ids");
            error::malformed(&path.display().to_string(), message)
        });
    }
    Ok(Vec::new())
}
