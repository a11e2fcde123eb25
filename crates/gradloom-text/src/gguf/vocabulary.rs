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
    /// `model`: `gpt2` (byte-level BPE), `llama` (SentencePiece's BPE), `gemma4` (the same with merges),
    /// `t5` (SentencePiece's Unigram) or `bert` (WordPiece).
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
    /// `eot_token_id`, the end of a turn.
    pub eot: Option<u32>,
    /// `eom_token_id`, the end of a message after which the model expects a tool's answer.
    pub eom: Option<u32>,
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
    /// `remove_extra_whitespaces`.
    pub remove_extra_whitespaces: Option<bool>,
    /// `precompiled_charsmap`: SentencePiece's table of what characters become, or empty.
    pub precompiled_charsmap: Vec<u8>,
}

const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;

/// What models call the end of a text, of a turn or of a message.
const ENDS: [&str; 17] = [
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "</s>",
    "<eos>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<｜end▁of▁sentence｜>",
];

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
        let roles = [self.bos, self.eos, self.eot, self.eom];
        let roles = roles.into_iter().chain([self.unk, self.pad, self.cls, self.sep, self.mask]);
        if let Some(id) = roles.flatten().find(|&id| id as usize >= count) {
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
            let other = ids.insert(token.as_str(), id).filter(|_| !token.is_empty());
            // Gemma 4 has a few tokens twice, of which the later one counts.
            if let Some(other) = other.filter(|_| self.model != "gemma4") {
                let message = format!("tokens {other} and {id} are both {token:?}");
                return Err(error::malformed(NAME, message));
            }
        }
        if let Some(id) = self.scores.iter().position(|score| score.is_nan()) {
            return Err(error::malformed(NAME, format!("the score of token {id} is not a number")));
        }
        Ok(ids)
    }

    /// The merges, whose tokens are all in the vocabulary.
    pub(super) fn merges(&self, ids: &HashMap<&str, u32>) -> Result<Vec<(String, String)>> {
        let mut merges = Vec::with_capacity(self.merges.len());
        for merge in &self.merges {
            let Some((left, right)) = merge.split_once(' ') else {
                return Err(error::malformed(NAME, format!("merge {merge:?} is not two tokens")));
            };
            let joined = [left, right].concat();
            if ![left, right, &joined].into_iter().all(|token| ids.contains_key(token)) {
                let message = format!("merge of {left:?} and {right:?}: not in the vocabulary");
                return Err(error::malformed(NAME, message));
            }
            merges.push((left.to_owned(), right.to_owned()));
        }
        Ok(merges)
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

    /// The tokens that end a text or a turn: those that the file names, and those that llama.cpp takes for
    /// one by their text.
    pub(super) fn ends(&self, ids: &HashMap<&str, u32>) -> Vec<u32> {
        let named = [self.eos, self.eot, self.eom].into_iter().flatten();
        // Where a token returns, an end only closes a part of the answer.
        let returns = ids.contains_key("<|return|>");
        let usual = ENDS.iter().filter(|&&text| !(returns && text == "<|end|>"));
        let special =
            |id: &u32| matches!(self.token_type(*id as usize), UNKNOWN | CONTROL | USER_DEFINED);
        named.chain(usual.filter_map(|text| ids.get(text).copied()).filter(special)).collect()
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
