//! The ways in which a [`Tokenizer`] comes from files: of `tokenizer.json`, of a model's folder, of GGUF.

use std::path::Path;

use crate::{GgufVocabulary, Result, Tokenizer, folder, gguf, json};

impl Tokenizer {
    /// Reads a `tokenizer.json` (`Tokenizer.from_file` in Python). Roles of special tokens are guessed from
    /// their usual names; [`from_folder`](Self::from_folder) reads them.
    ///
    /// # Errors
    /// The file is not there, is not a tokenizer, is too large, or is of an unknown kind.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        json::read(&path.display().to_string(), &folder::read(path)?)
    }

    /// Reads the bytes of a `tokenizer.json`; `name` is what messages call them.
    ///
    /// # Errors
    /// As of [`from_file`](Self::from_file).
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        json::read(name, bytes)
    }

    /// Reads a model's folder: `tokenizer.json`, and the roles of special tokens from
    /// `tokenizer_config.json` and `special_tokens_map.json` where these are there
    /// (`AutoTokenizer.from_pretrained` in Python).
    ///
    /// # Errors
    /// As of [`from_file`](Self::from_file); also when a role is given to a token that the vocabulary lacks.
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
