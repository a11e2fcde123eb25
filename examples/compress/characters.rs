//! [`Alphabet`]: tokens that are characters, and how other programs are told of them.

use std::collections::BTreeSet;

use gradloom::weights::Value;
use serde_json::{Map, json};

/// The characters of a text; their places are their tokens.
pub(crate) struct Alphabet(Vec<char>);

impl Alphabet {
    pub(crate) fn of(text: &str) -> Self {
        Alphabet(text.chars().collect::<BTreeSet<char>>().into_iter().collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn encode(&self, text: &str) -> Vec<u32> {
        let token = |character: char| self.0.binary_search(&character).ok();
        text.chars().filter_map(token).map(|token| token as u32).collect()
    }

    pub(crate) fn decode(&self, tokens: &[u32]) -> String {
        tokens.iter().filter_map(|&token| self.0.get(token as usize)).collect()
    }

    /// A `tokenizer.json` that splits texts into characters.
    pub(crate) fn tokenizer_json(&self) -> String {
        let vocabulary: Map<String, serde_json::Value> = self
            .0
            .iter()
            .enumerate()
            .map(|(id, character)| (character.to_string(), json!(id)))
            .collect();
        json!({
            "version": "1.0",
            "added_tokens": [],
            "pre_tokenizer": {
                "type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": false,
            },
            "decoder": {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": " "},
        })
        .to_string()
    }

    /// What GGUF files say of it: a vocabulary of GPT-2's kind without merges.
    pub(crate) fn gguf(&self) -> Vec<(&'static str, Value)> {
        let tokens: Vec<String> = self.0.iter().map(|character| byte_level(*character)).collect();
        vec![
            ("general.name", "characters of Shakespeare".into()),
            ("tokenizer.ggml.model", "gpt2".into()),
            ("tokenizer.ggml.pre", "gpt-2".into()),
            ("tokenizer.ggml.token_type", vec![1i32; tokens.len()].into()),
            ("tokenizer.ggml.tokens", tokens.into()),
            ("tokenizer.ggml.merges", Vec::<String>::new().into()),
            ("tokenizer.ggml.bos_token_id", 0u32.into()),
            ("tokenizer.ggml.eos_token_id", 0u32.into()),
        ]
    }
}

/// GPT-2's signs for bytes: printable ones stand for themselves, the others for those from 256 on, in their order.
fn byte_level(character: char) -> String {
    let plain = |byte: u8| matches!(byte, 33..=126 | 161..=172 | 174..=255);
    let sign = |byte: u8| match plain(byte) {
        true => char::from(byte),
        false => {
            let before = (0..byte).filter(|byte| !plain(*byte)).count() as u32;
            char::from_u32(256 + before).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
    };
    character.encode_utf8(&mut [0; 4]).bytes().map(sign).collect()
}
