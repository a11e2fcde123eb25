//! The ways in which a [`Tokenizer`] comes from files: of `tokenizer.json`, of older vocabularies, of a model's
//! folder, of GGUF.

use std::path::Path;

use crate::{GgufVocabulary, Result, Tokenizer, files, folder, gguf, json, plain};

impl Tokenizer {
    /// Reads a `tokenizer.json` (`Tokenizer.from_file` in Python), a SentencePiece model, or a `vocab.txt` of
    /// BERT's kind; the content tells which. Roles of special tokens are guessed from their usual names;
    /// [`from_folder`](Self::from_folder) reads them, and what Python's class adds to a text: of a SentencePiece
    /// model alone nothing is added.
    ///
    /// # Errors
    /// The file is not there, is not a tokenizer, is too large, or is of an unknown kind; other formats are
    /// named.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        Self::from_bytes(&path.display().to_string(), &files::read(path)?)
    }

    /// Reads the bytes of such a file; `name` is what messages call them.
    ///
    /// # Errors
    /// As of [`from_file`](Self::from_file).
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        match plain::from_bytes(name, bytes)? {
            Some(tokenizer) => Ok(tokenizer),
            None => json::read(name, bytes),
        }
    }

    /// Reads a model's folder: `tokenizer.json`, or else `vocab.json` with `merges.txt`, a SentencePiece model
    /// (`tokenizer.model`, `spiece.model`) or `vocab.txt`; the roles of special tokens from
    /// `tokenizer_config.json` and `special_tokens_map.json`, and the tokens that end a text from
    /// `generation_config.json`, where these are there (`AutoTokenizer.from_pretrained` in Python). Older
    /// vocabularies need rules that only Python's classes have: those of BERT, GPT-2, RoBERTa, Qwen 2, Llama,
    /// Gemma and T5 are here.
    ///
    /// # Errors
    /// As of [`from_file`](Self::from_file), and for classes of tokenizers whose rules are not here; also when a role is given to a token that the vocabulary lacks.
    pub fn from_folder(path: impl AsRef<Path>) -> Result<Self> {
        folder::tokenizer(path.as_ref())
    }

    /// Builds the tokenizer that a GGUF file describes, with the same ids as llama.cpp gives.
    ///
    /// # Errors
    /// The vocabulary contradicts itself, or its kind is unknown.
    pub fn from_gguf(vocabulary: &GgufVocabulary) -> Result<Self> {
        gguf::tokenizer(vocabulary)
    }
}
