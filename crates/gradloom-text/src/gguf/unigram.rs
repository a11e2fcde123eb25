//! `t5` vocabularies: SentencePiece's Unigram, the likeliest way to cut a text by the scores of its tokens.

use serde_json::json;
use tokenizers::models::unigram::Unigram;

use super::spaces;
use super::vocabulary::{GgufVocabulary, NAME};
use crate::assemble::{Assembly, assemble};
use crate::json::check_normalizer;
use crate::{Result, Tokenizer, error};

/// The kind of tokens that stand for a byte.
const BYTE: i32 = 6;

pub(super) fn tokenizer(vocabulary: &GgufVocabulary) -> Result<Tokenizer> {
    if vocabulary.scores.is_empty() {
        return Err(error::malformed(NAME, "a t5 vocabulary needs scores"));
    }
    let Some(unk) = vocabulary.unk else {
        return Err(error::malformed(NAME, "a t5 vocabulary needs an unknown token"));
    };
    if let Some(id) = vocabulary.scores.iter().position(|score| !score.is_finite()) {
        return Err(error::malformed(NAME, format!("the score of token {id} is not finite")));
    }
    let scores = vocabulary.scores.iter().map(|&score| f64::from(score));
    let list = vocabulary.named_tokens().map(|(_, token)| token).zip(scores).collect();
    let bytes = (0..vocabulary.tokens.len()).any(|id| vocabulary.token_type(id) == BYTE);
    let model = Unigram::from(list, Some(unk as usize), bytes);
    let model = model.map_err(|error| error::malformed(NAME, error.to_string()))?;

    let prefix = vocabulary.add_space_prefix.unwrap_or(true);
    let normalizer = spaces::normalizer(vocabulary, prefix, true);
    check_normalizer(NAME, Some(&json!(normalizer)))?;
    // What a user defined is a token with the best score, and the text around it stays one.
    let mut added_tokens = vocabulary.added_tokens();
    added_tokens.retain(|token| token.special);
    let bos = vocabulary.bos.filter(|_| vocabulary.add_bos.unwrap_or(false));
    let eos = vocabulary.eos.filter(|_| vocabulary.add_eos.unwrap_or(true));
    assemble(
        NAME,
        Assembly {
            model: model.into(),
            normalizer: Some(normalizer),
            pre_tokenizer: None,
            post_processor: vocabulary.template(bos, eos),
            decoder: Some(spaces::decoder(prefix)),
            added_tokens,
        },
    )
}
