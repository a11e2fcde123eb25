//! `bert` vocabularies: WordPiece.
//!
//! GGUF marks the start of words with `▁` where BERT's own files mark what follows with `##`; here the files'
//! own form is restored.

use std::collections::HashSet;

use serde_json::json;
use tokenizers::models::bpe::Vocab;
use tokenizers::models::wordpiece::WordPiece;

use super::vocabulary::{GgufVocabulary, NAME};
use crate::assemble::{Assembly, assemble};
use crate::{Result, Tokenizer, error};

/// Longer words are unknown.
const WORD_CHARS_MAX: usize = 1_000;

pub(super) fn tokenizer(vocabulary: &GgufVocabulary) -> Result<Tokenizer> {
    let Some(unk) = vocabulary.unk else {
        return Err(error::malformed(NAME, "a bert vocabulary needs an unknown token"));
    };
    let added_tokens = vocabulary.added_tokens();
    let mut vocab = Vocab::default();
    let added: HashSet<&str> = added_tokens.iter().map(|token| token.content.as_str()).collect();
    for (id, token) in vocabulary.named_tokens() {
        let own_name =
            added.contains(token.as_str()) || (token.starts_with('[') && token.ends_with(']'));
        let token = match token.strip_prefix('▁') {
            _ if own_name => token,
            Some(word) => word.to_owned(),
            None => format!("##{token}"),
        };
        if let Some(other) = vocab.insert(token, id) {
            let message = format!("tokens {other} and {id} are the same without their marks");
            return Err(error::malformed(NAME, message));
        }
    }
    let model = WordPiece::builder()
        .vocab(vocab)
        .unk_token(vocabulary.token(unk).to_owned())
        .max_input_chars_per_word(WORD_CHARS_MAX)
        .build()
        .map_err(|error| error::malformed(NAME, error.to_string()))?;
    let before = vocabulary.cls.or(vocabulary.bos).filter(|_| vocabulary.add_bos.unwrap_or(true));
    let after = vocabulary.sep.or(vocabulary.eos).filter(|_| vocabulary.add_eos.unwrap_or(true));
    assemble(
        NAME,
        Assembly {
            model: model.into(),
            normalizer: Some(json!({
                "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                "strip_accents": true, "lowercase": true,
            })),
            pre_tokenizer: Some(json!({ "type": "BertPreTokenizer" })),
            post_processor: vocabulary.template(before, after),
            decoder: Some(json!({ "type": "WordPiece", "prefix": "##", "cleanup": true })),
            added_tokens,
        },
    )
}
