//! Tokenizers from the vocabulary inside a GGUF file, with the ids of llama.cpp.
//!
//! A GGUF file holds tokens and names the rules; the rules themselves are in [`pre_tokenizer`],
//! [`sentence_piece`] and [`word_piece`].
//! Absent: T5's Unigram, RWKV and PLaMo vocabularies, which have rules of their own.

mod vocabulary;

mod byte_level;
mod pre_tokenizer;
mod sentence_piece;
mod word_piece;

use self::vocabulary::NAME;
use crate::{Result, SpecialTokens, Tokenizer, error};

pub use self::vocabulary::GgufVocabulary;

pub(crate) fn tokenizer(vocabulary: &GgufVocabulary) -> Result<Tokenizer> {
    let ids = vocabulary.check()?;
    let tokenizer = match vocabulary.model.as_str() {
        "gpt2" => byte_level::tokenizer(vocabulary, &ids)?,
        "llama" => sentence_piece::tokenizer(vocabulary, &ids)?,
        "bert" => word_piece::tokenizer(vocabulary)?,
        other => {
            let message = format!("tokenizer.ggml.model is {other:?}; known are gpt2, llama, bert");
            return Err(error::unsupported(NAME, message));
        }
    };
    let GgufVocabulary { bos, eos, unk, pad, cls, sep, mask, .. } = *vocabulary;
    Ok(tokenizer.with_special_tokens(SpecialTokens { bos, eos, unk, pad, cls, sep, mask }))
}
