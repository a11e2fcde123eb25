//! Tokenizers from the vocabulary inside a GGUF file, with the ids of llama.cpp.
//!
//! A GGUF file holds tokens and names the rules; the rules themselves are in [`pre_tokenizer`],
//! [`sentence_piece`], [`unigram`] and [`word_piece`].
//! Absent: RWKV and PLaMo vocabularies, which have rules of their own.

mod vocabulary;

mod byte_level;
mod pre_tokenizer;
mod sentence_piece;
mod spaces;
mod unigram;
mod word_piece;

use self::vocabulary::NAME;
use crate::{Result, SpecialTokens, Tokenizer, error};

pub(crate) use self::pre_tokenizer::QWEN_2;
pub use self::vocabulary::GgufVocabulary;

/// The tokenizer of a GGUF file, as llama.cpp has it.
pub(crate) fn tokenizer(vocabulary: &GgufVocabulary) -> Result<Tokenizer> {
    build(vocabulary, false)
}

/// The tokenizer of a SentencePiece model, as SentencePiece has it.
pub(crate) fn of_sentence_piece(name: &str, vocabulary: &GgufVocabulary) -> Result<Tokenizer> {
    build(vocabulary, true).map_err(|error| error.context(name.to_owned()))
}

fn build(vocabulary: &GgufVocabulary, cleans: bool) -> Result<Tokenizer> {
    let ids = vocabulary.check()?;
    let tokenizer = match vocabulary.model.as_str() {
        "gpt2" => byte_level::tokenizer(vocabulary, &ids)?,
        "llama" => sentence_piece::tokenizer(vocabulary, &ids, cleans)?,
        "gemma4" => sentence_piece::with_merges(vocabulary, &ids)?,
        "t5" => unigram::tokenizer(vocabulary)?,
        "bert" => word_piece::tokenizer(vocabulary)?,
        other => {
            let known = "gpt2, llama, gemma4, t5, bert";
            let message = format!("tokenizer.ggml.model is {other:?}; known are {known}");
            return Err(error::unsupported(NAME, message));
        }
    };
    let GgufVocabulary { bos, eos, unk, pad, cls, sep, mask, .. } = *vocabulary;
    let special = SpecialTokens { bos, eos, unk, pad, cls, sep, mask };
    Ok(tokenizer.with_special_tokens(special).with_end_tokens(&vocabulary.ends(&ids)))
}
