//! The `model` of a `tokenizer.json`: vocabulary and merges, checked, then built.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use tokenizers::models::ModelWrapper;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::unigram::Unigram;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::models::wordpiece::WordPiece;

use crate::limits::{IDS_MAX, TOKEN_BYTES_MAX};
use crate::{Result, error};

/// WordPiece tries every end of every word: a word costs the square of this.
const WORD_CHARS_MAX: usize = 1 << 12;

#[derive(Deserialize)]
pub(super) struct ModelEntry {
    #[serde(rename = "type")]
    kind: Option<String>,
    vocab: Vocabulary,
    merges: Option<Vec<Merge>>,
    unk_token: Option<String>,
    unk_id: Option<usize>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    max_input_chars_per_word: Option<usize>,
    fuse_unk: Option<bool>,
    byte_fallback: Option<bool>,
    ignore_merges: Option<bool>,
}

/// Tokens with ids, or in the order of their ids with scores.
enum Vocabulary {
    Ids(Vocab),
    Scores(Vec<(String, f64)>),
}

/// Two tokens that join, written as a pair or as one string with a space between.
struct Merge(String, String);

impl ModelEntry {
    /// Checks tokens and ids, and returns the token of each id.
    pub(super) fn tokens_by_id(&self, name: &str) -> Result<HashMap<u32, &str>> {
        let mut tokens = HashMap::new();
        let check = |token: &str, id: u32| {
            if token.len() > TOKEN_BYTES_MAX || id > IDS_MAX {
                let message = format!("token {id} of {} bytes is too large", token.len());
                return Err(error::too_large(name, message));
            }
            Ok(id)
        };
        match &self.vocab {
            Vocabulary::Ids(vocabulary) => {
                for (token, &id) in vocabulary.iter() {
                    if let Some(other) = tokens.insert(check(token, id)?, token.as_str()) {
                        let message =
                            format!("tokens {other:?} and {token:?} have the same id {id}");
                        return Err(error::malformed(name, message));
                    }
                }
            }
            Vocabulary::Scores(list) => {
                for (index, (token, score)) in list.iter().enumerate() {
                    let id = u32::try_from(index).unwrap_or(u32::MAX);
                    if token.is_empty() || !score.is_finite() {
                        let message = format!("token {id} is {token:?} with score {score}");
                        return Err(error::malformed(name, message));
                    }
                    tokens.insert(check(token, id)?, token.as_str());
                }
            }
        }
        if tokens.is_empty() {
            return Err(error::malformed(name, "the vocabulary has no tokens"));
        }
        Ok(tokens)
    }

    /// The model, for ids that [`tokens_by_id`](Self::tokens_by_id) has checked.
    pub(super) fn build(mut self, name: &str) -> Result<ModelWrapper> {
        let kind = self.kind.take().unwrap_or_else(|| self.guess_kind().to_owned());
        let vocab = std::mem::replace(&mut self.vocab, Vocabulary::Scores(Vec::new()));
        match (kind.as_str(), vocab) {
            ("BPE", Vocabulary::Ids(vocab)) => self.build_bpe(name, vocab),
            ("WordPiece", Vocabulary::Ids(vocab)) => self.build_word_piece(name, vocab),
            ("WordLevel", Vocabulary::Ids(vocab)) => {
                let unk_token = self.unk_token.unwrap_or_else(|| "<unk>".to_owned());
                let built = WordLevel::builder().vocab(vocab).unk_token(unk_token).build();
                Ok(built.map_err(|error| error::malformed(name, format!("model: {error}")))?.into())
            }
            ("Unigram", Vocabulary::Scores(list)) => {
                let built = Unigram::from(list, self.unk_id, self.byte_fallback.unwrap_or(false));
                Ok(built.map_err(|error| error::malformed(name, format!("model: {error}")))?.into())
            }
            ("BPE" | "WordPiece" | "WordLevel" | "Unigram", _) => {
                let message = format!("model: the vocabulary's form is not that of {kind}");
                Err(error::malformed(name, message))
            }
            _ => {
                let known = "BPE, Unigram, WordPiece, WordLevel";
                let message = format!("model of type {kind:?}; known are {known}");
                Err(error::unsupported(name, message))
            }
        }
    }

    /// Old files do not name the type.
    fn guess_kind(&self) -> &'static str {
        match (&self.merges, &self.vocab) {
            (Some(_), _) => "BPE",
            (None, Vocabulary::Scores(_)) => "Unigram",
            (None, Vocabulary::Ids(_)) if self.continuing_subword_prefix.is_some() => "WordPiece",
            (None, Vocabulary::Ids(_)) => "WordLevel",
        }
    }

    fn build_bpe(self, name: &str, vocab: Vocab) -> Result<ModelWrapper> {
        let merges = self.merges.unwrap_or_default();
        let prefix = self.continuing_subword_prefix.unwrap_or_default();
        for Merge(left, right) in &merges {
            let joined = right.strip_prefix(prefix.as_str()).map(|rest| left.clone() + rest);
            let known = [left, right].into_iter().all(|token| vocab.contains_key(token));
            if !known || joined.is_none_or(|token| !vocab.contains_key(&token)) {
                let message = format!("merge of {left:?} and {right:?}: not in the vocabulary");
                return Err(error::malformed(name, message));
            }
        }
        let merges = merges.into_iter().map(|Merge(left, right)| (left, right)).collect();
        let mut builder = BPE::builder()
            .vocab_and_merges(vocab, merges)
            .fuse_unk(self.fuse_unk.unwrap_or(false))
            .byte_fallback(self.byte_fallback.unwrap_or(false))
            .ignore_merges(self.ignore_merges.unwrap_or(false));
        if let Some(token) = self.unk_token {
            builder = builder.unk_token(token);
        }
        if !prefix.is_empty() {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = self.end_of_word_suffix.filter(|suffix| !suffix.is_empty()) {
            builder = builder.end_of_word_suffix(suffix);
        }
        let built = builder.build();
        Ok(built.map_err(|error| error::malformed(name, format!("model: {error}")))?.into())
    }

    fn build_word_piece(self, name: &str, vocab: Vocab) -> Result<ModelWrapper> {
        let chars_max = self.max_input_chars_per_word.unwrap_or(100);
        if chars_max > WORD_CHARS_MAX {
            let message = format!(
                "model: max_input_chars_per_word is {chars_max}, at most {WORD_CHARS_MAX} is \
                 supported"
            );
            return Err(error::too_large(name, message));
        }
        let prefix = self.continuing_subword_prefix.unwrap_or_else(|| "##".to_owned());
        let built = WordPiece::builder()
            .vocab(vocab)
            .unk_token(self.unk_token.unwrap_or_else(|| "[UNK]".to_owned()))
            .continuing_subword_prefix(prefix)
            .max_input_chars_per_word(chars_max)
            .build();
        Ok(built.map_err(|error| error::malformed(name, format!("model: {error}")))?.into())
    }
}

impl<'de> Deserialize<'de> for Vocabulary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Vocabulary;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a vocabulary: tokens with ids, or pairs of token and score")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vocabulary, A::Error> {
                let mut vocab = Vocab::default();
                while let Some((token, id)) = map.next_entry::<String, u32>()? {
                    vocab.insert(token, id);
                }
                Ok(Vocabulary::Ids(vocab))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vocabulary, A::Error> {
                let mut scores = Vec::new();
                while let Some(entry) = list.next_element()? {
                    scores.push(entry);
                }
                Ok(Vocabulary::Scores(scores))
            }
        }
        deserializer.deserialize_any(Entries)
    }
}

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pair;
        impl<'de> Visitor<'de> for Pair {
            type Value = Merge;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a merge: two tokens")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Merge, E> {
                match text.split_once(' ') {
                    Some((left, right)) if !right.contains(' ') => {
                        Ok(Merge(left.to_owned(), right.to_owned()))
                    }
                    _ => Err(E::custom(format!("merge {text:?} is not two tokens"))),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Merge, A::Error> {
                let merge = (list.next_element()?, list.next_element()?);
                let (Some(left), Some(right)) = merge else {
                    return Err(A::Error::custom("a merge has two tokens"));
                };
                Ok(Merge(left, right))
            }
        }
        deserializer.deserialize_any(Pair)
    }
}
