//! Reading `tokenizer.json`, which is not trusted.
//!
//! The file is parsed into plain data first, and only what passed the checks of [`model`] and [`components`]
//! reaches the `tokenizers` crate, which believes what it is given: it indexes by merges, lengths and tables
//! of the file.
//! The vocabulary is handed over as data, so it is parsed once.
//! Absent on purpose: the file's own truncation and padding, which each call states, and BPE's dropout, which
//! would make ids random.

mod components;
mod model;

use std::collections::{HashMap, HashSet};

use serde::Deserialize;
use serde_json::Value;
use tokenizers::AddedToken;

use crate::assemble::{Assembly, assemble};
use crate::limits::{IDS_MAX, TOKEN_BYTES_MAX};
use crate::tokenizer::Tokenizer;
use crate::{Error, Result, error};

pub(crate) use components::{check_normalizer, decoder_steps};

/// The largest published files have 40 MB.
const BYTES_MAX: usize = 128 << 20;

#[derive(Deserialize)]
struct File {
    version: Option<String>,
    #[serde(default)]
    added_tokens: Vec<AddedTokenEntry>,
    normalizer: Option<Value>,
    pre_tokenizer: Option<Value>,
    post_processor: Option<Value>,
    decoder: Option<Value>,
    model: model::ModelEntry,
}

#[derive(Deserialize)]
struct AddedTokenEntry {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

/// Reads a whole `tokenizer.json`; `name` is what messages call it.
pub(crate) fn read(name: &str, bytes: &[u8]) -> Result<Tokenizer> {
    if bytes.len() > BYTES_MAX {
        let message = format!("{} bytes, but a tokenizer has at most {BYTES_MAX}", bytes.len());
        return Err(error::too_large(name, message));
    }
    build(name, serde_json::from_slice(bytes).map_err(|error| not_one(name, &error))?)
}

/// Builds what another file described, in the form of a `tokenizer.json`.
pub(crate) fn from_value(name: &str, value: Value) -> Result<Tokenizer> {
    build(name, serde_json::from_value(value).map_err(|error| not_one(name, &error))?)
}

fn not_one(name: &str, error: &serde_json::Error) -> Error {
    error::malformed(name, format!("not a tokenizer.json: {error}"))
}

fn build(name: &str, file: File) -> Result<Tokenizer> {
    if let Some(version) = file.version.filter(|version| version != "1.0") {
        return Err(error::unsupported(name, format!("version {version:?}; known is \"1.0\"")));
    }
    check_added_tokens(name, &file.added_tokens, &file.model.tokens_by_id(name)?)?;
    components::check_normalizer(name, file.normalizer.as_ref())?;
    components::check_pre_tokenizer(name, file.pre_tokenizer.as_ref())?;
    let added_ids = components::check_post_processor(name, file.post_processor.as_ref())?;
    components::check_decoder(name, file.decoder.as_ref())?;
    let model = file.model.build(name)?;
    let expected: Vec<(String, u32)> =
        file.added_tokens.iter().map(|token| (token.content.clone(), token.id)).collect();
    let tokenizer = assemble(
        name,
        Assembly {
            model,
            normalizer: file.normalizer,
            pre_tokenizer: file.pre_tokenizer,
            post_processor: file.post_processor,
            decoder: file.decoder,
            added_tokens: file.added_tokens.into_iter().map(AddedTokenEntry::into_token).collect(),
        },
    )?;
    for (content, id) in expected {
        let actual = tokenizer.token_to_id(&content);
        if actual != Some(id) {
            let actual = actual.map_or("none".to_owned(), |id| id.to_string());
            return Err(error::vocabulary_mismatch(format!(
                "{name}: added token {content:?} has id {id} in the list, but {actual} in the \
                 vocabulary"
            )));
        }
    }
    if let Some(id) = added_ids.into_iter().find(|&id| tokenizer.id_to_token(id).is_none()) {
        let message = format!("{name}: the post-processor adds id {id}, which no token has");
        return Err(error::vocabulary_mismatch(message));
    }
    Ok(tokenizer)
}

impl AddedTokenEntry {
    fn into_token(self) -> AddedToken {
        AddedToken {
            content: self.content,
            single_word: self.single_word,
            lstrip: self.lstrip,
            rstrip: self.rstrip,
            normalized: self.normalized,
            special: self.special,
        }
    }
}

fn check_added_tokens(
    name: &str,
    tokens: &[AddedTokenEntry],
    by_id: &HashMap<u32, &str>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for AddedTokenEntry { content, id, .. } in tokens {
        if content.is_empty() {
            return Err(error::malformed(name, format!("added token {id} is empty")));
        }
        if content.len() > TOKEN_BYTES_MAX || *id > IDS_MAX {
            let message = format!("added token {id} of {} bytes is too large", content.len());
            return Err(error::too_large(name, message));
        }
        let taken = by_id.get(id).is_some_and(|token| token != content);
        if taken || !seen.insert(content.as_str()) {
            let message = format!("added token {content:?} or its id {id} is there twice");
            return Err(error::malformed(name, message));
        }
    }
    Ok(())
}
