//! [`GgufVocabulary`]: the fields of a GGUF file that describe its tokenizer, and what their kinds have in
//! common.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::AddedToken;

use crate::limits::{IDS_MAX, TOKEN_BYTES_MAX};
use crate::{Result, error};

/// What messages call the file.
pub(super) const NAME: &str = "GGUF vocabulary";

/// The `tokenizer.ggml.*` fields of a GGUF file, as they are there.
#[derive(Clone, Debug, Default)]
pub struct GgufVocabulary {
    /// `model`: `gpt2` (byte-level BPE), `llama` (SentencePiece) or `bert` (WordPiece).
    pub model: String,
    /// `pre`: how text is cut before BPE, such as `llama-bpe`, `qwen2`, `smollm`.
    pub pre: Option<String>,
    /// `tokens`, in the order of their ids.
    pub tokens: Vec<String>,
    /// `token_type` of each token, or empty: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused,
    /// 6 byte.
    pub token_types: Vec<i32>,
    /// `scores` of each token, or empty.
    pub scores: Vec<f32>,
    /// `merges`, each two tokens with a space between.
    pub merges: Vec<String>,
    /// `bos_token_id`.
    pub bos: Option<u32>,
    /// `eos_token_id`.
    pub eos: Option<u32>,
    /// `unknown_token_id`.
    pub unk: Option<u32>,
    /// `padding_token_id`.
    pub pad: Option<u32>,
    /// `cls_token_id`; files of encoders often give it as `bos` only.
    pub cls: Option<u32>,
    /// `seperator_token_id`, spelt so.
    pub sep: Option<u32>,
    /// `mask_token_id`.
    pub mask: Option<u32>,
    /// `add_bos_token`.
    pub add_bos: Option<bool>,
    /// `add_eos_token`.
    pub add_eos: Option<bool>,
    /// `add_space_prefix`.
    pub add_space_prefix: Option<bool>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

impl GgufVocabulary {
    /// Checks that the lists fit together, and returns the id of each token.
    pub(super) fn check(&self) -> Result<HashMap<&str, u32>> {
        let count = self.tokens.len();
        if count == 0 {
            return Err(error::malformed(NAME, "there are no tokens"));
        }
        if count > IDS_MAX as usize {
            return Err(error::too_large(NAME, format!("{count} tokens")));
        }
        for (field, length) in
            [("token_type", self.token_types.len()), ("scores", self.scores.len())]
        {
            if length != 0 && length != count {
                let message = format!("{length} entries of {field} for {count} tokens");
                return Err(error::malformed(NAME, message));
            }
        }
        let roles = [self.bos, self.eos, self.unk, self.pad, self.cls, self.sep, self.mask];
        if let Some(id) = roles.into_iter().flatten().find(|&id| id as usize >= count) {
            return Err(error::vocabulary_mismatch(format!(
                "{NAME}: a special token has id {id}, but there are {count} tokens"
            )));
        }
        let mut ids = HashMap::with_capacity(count);
        for (id, token) in (0..).zip(&self.tokens) {
            if token.len() > TOKEN_BYTES_MAX {
                let message = format!("token {id} of {} bytes is too large", token.len());
                return Err(error::too_large(NAME, message));
            }
            if let Some(other) = ids.insert(token.as_str(), id).filter(|_| !token.is_empty()) {
                let message = format!("tokens {other} and {id} are both {token:?}");
                return Err(error::malformed(NAME, message));
            }
        }
        if let Some(id) = self.scores.iter().position(|score| score.is_nan()) {
            return Err(error::malformed(NAME, format!("the score of token {id} is not a number")));
        }
        Ok(ids)
    }

    pub(super) fn token_type(&self, id: usize) -> i32 {
        self.token_types.get(id).copied().unwrap_or(1)
    }

    /// The token of an id that the checks have passed.
    pub(super) fn token(&self, id: u32) -> &str {
        &self.tokens[id as usize]
    }

    /// The text of every token; an empty one gets the name that llama.cpp gives it.
    pub(super) fn named_tokens(&self) -> impl Iterator<Item = (u32, String)> {
        (0..).zip(&self.tokens).map(|(id, token)| {
            let name = if token.is_empty() { format!("[EMPTY_{id}]") } else { token.clone() };
            (id, name)
        })
    }

    /// The tokens that are found in a text as they are, before anything else.
    pub(super) fn added_tokens(&self) -> Vec<AddedToken> {
        let added = |(id, content): (u32, String)| {
            let kind = self.token_type(id as usize);
            let special = kind == CONTROL || kind == UNKNOWN;
            (special || kind == USER_DEFINED)
                .then(|| AddedToken::from(content, special).normalized(false))
        };
        self.named_tokens().filter_map(added).collect()
    }

    /// A post-processor that puts `before` and `after` around each text.
    pub(super) fn template(&self, before: Option<u32>, after: Option<u32>) -> Option<Value> {
        if before.is_none() && after.is_none() {
            return None;
        }
        let piece = |id: u32, type_id: u32| json!({ "SpecialToken": { "id": self.token(id), "type_id": type_id } });
        let text = |id: &str, type_id: u32| json!({ "Sequence": { "id": id, "type_id": type_id } });
        let mut single: Vec<Value> = before.iter().map(|&id| piece(id, 0)).collect();
        single.push(text("A", 0));
        single.extend(after.iter().map(|&id| piece(id, 0)));
        let mut pair = single.clone();
        pair.push(text("B", 1));
        pair.extend(after.iter().map(|&id| piece(id, 1)));
        let tokens: serde_json::Map<String, Value> = before
            .into_iter()
            .chain(after)
            .map(|id| {
                let token = self.token(id);
                (token.to_owned(), json!({ "id": token, "ids": [id], "tokens": [token] }))
            })
            .collect();
        Some(json!({
            "type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens,
        }))
    }
}
