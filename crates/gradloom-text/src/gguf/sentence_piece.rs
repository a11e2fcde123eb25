//! `llama` vocabularies: SentencePiece's BPE, where the pair with the best score joins first and what is not
//! in the vocabulary falls back to bytes.
//!
//! The `tokenizers` crate wants merges instead of scores: every way to cut a token in two tokens is one, in
//! the order of the scores.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::spaces;
use super::vocabulary::{GgufVocabulary, NAME};
use crate::assemble::{Assembly, assemble};
use crate::json::check_normalizer;
use crate::{Result, Tokenizer, error};

const NORMAL: i32 = 1;

/// Cuts of all tokens together: 256,000 tokens of Gemma have two millions.
const CUTS_MAX: usize = 1 << 23;

/// The model's own table of characters and its removal of spaces count where `cleans`; llama.cpp leaves them out.
pub(super) fn tokenizer(
    vocabulary: &GgufVocabulary,
    ids: &HashMap<&str, u32>,
    cleans: bool,
) -> Result<Tokenizer> {
    if vocabulary.scores.is_empty() {
        return Err(error::malformed(NAME, "a llama vocabulary needs scores"));
    }
    let prefix = vocabulary.add_space_prefix.unwrap_or(true);
    let bos = vocabulary.add_bos.unwrap_or(true);
    build(vocabulary, merges(vocabulary, ids)?, prefix, bos, cleans, None)
}

/// A `gemma4` vocabulary: merges in their order, whole characters, and nothing across the end of a line.
pub(super) fn with_merges(
    vocabulary: &GgufVocabulary,
    ids: &HashMap<&str, u32>,
) -> Result<Tokenizer> {
    let merges = vocabulary.merges(ids)?;
    let lines = json!({
        "type": "Split", "pattern": { "Regex": r"\n+" }, "behavior": "Isolated", "invert": false,
    });
    // llama.cpp begins such texts whatever the file says.
    build(
        vocabulary,
        merges,
        vocabulary.add_space_prefix.unwrap_or(false),
        true,
        false,
        Some(lines),
    )
}

fn build(
    vocabulary: &GgufVocabulary,
    merges: Vec<(String, String)>,
    prefix: bool,
    add_bos: bool,
    cleans: bool,
    pre_tokenizer: Option<Value>,
) -> Result<Tokenizer> {
    let vocab = vocabulary.named_tokens().map(|(id, token)| (token, id));
    let vocab: tokenizers::models::bpe::Vocab = vocab.collect();
    let mut builder =
        BPE::builder().vocab_and_merges(vocab, merges).byte_fallback(true).fuse_unk(true);
    if let Some(unk) = vocabulary.unk {
        builder = builder.unk_token(vocabulary.token(unk).to_owned());
    }
    let model = builder.build().map_err(|error| error::malformed(NAME, error.to_string()))?;

    let normalizer = spaces::normalizer(vocabulary, prefix, cleans);
    check_normalizer(NAME, Some(&normalizer))?;
    let bos = vocabulary.bos.filter(|_| add_bos);
    let eos = vocabulary.eos.filter(|_| vocabulary.add_eos.unwrap_or(false));
    assemble(
        NAME,
        Assembly {
            model: model.into(),
            normalizer: Some(normalizer),
            pre_tokenizer,
            post_processor: vocabulary.template(bos, eos),
            decoder: Some(spaces::decoder(prefix)),
            added_tokens: vocabulary.added_tokens(),
        },
    )
}

/// Every way to put a normal token together from two tokens, best scores first.
fn merges(vocabulary: &GgufVocabulary, ids: &HashMap<&str, u32>) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut cuts = 0;
    for (id, token) in vocabulary.tokens.iter().enumerate() {
        if vocabulary.token_type(id) != NORMAL {
            continue;
        }
        cuts += token.len();
        if cuts > CUTS_MAX {
            return Err(error::too_large(NAME, "the tokens are too long altogether"));
        }
        for (at, _) in token.char_indices().skip(1) {
            let (left, right) = token.split_at(at);
            if let (Some(&left), Some(&right)) = (ids.get(left), ids.get(right)) {
                found.push((vocabulary.scores[id], id, left, right));
            }
        }
    }
    found.sort_unstable_by(|one, other| {
        other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)).then(one.2.cmp(&other.2))
    });
    let text = |id: u32| vocabulary.token(id).to_owned();
    Ok(found.into_iter().map(|(_, _, left, right)| (text(left), text(right))).collect())
}
