//! Vocabularies of before `tokenizer.json`: `vocab.txt`, `vocab.json` with `merges.txt`, and SentencePiece
//! models.
//!
//! Such a file holds tokens; the rules around them stand in Python's classes, and which class that is in
//! `tokenizer_config.json`. Each is put into the form of a `tokenizer.json` or of a GGUF vocabulary and checked
//! and built as these are. A class whose rules are not here is refused by its name, because it would give other
//! ids.

mod settings;

mod byte_level;
mod proto;
mod sentence_piece;
mod word_piece;

use std::path::Path;

use crate::{Result, Tokenizer, error, files, formats};

use self::settings::Settings;

/// Files of SentencePiece models under the names that Hugging Face gives them.
const SENTENCE_PIECE: [&str; 4] =
    ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "sentencepiece.model"];

/// The tokenizer of a folder without `tokenizer.json`; `None` if it has no other vocabulary either.
pub(crate) fn in_folder(folder: &Path) -> Result<Option<Tokenizer>> {
    let settings = Settings::in_folder(folder)?;
    let [json, merges] = ["vocab.json", "merges.txt"].map(|name| folder.join(name));
    if json.is_file() && merges.is_file() {
        let texts = [files::read(&json)?, files::read(&merges)?];
        let name = json.display().to_string();
        return byte_level::read(&name, [&texts[0], &texts[1]], &settings).map(Some);
    }
    let models = SENTENCE_PIECE.map(|name| folder.join(name));
    if let Some(path) = models.iter().find(|path| path.is_file()) {
        let name = path.display().to_string();
        return sentence_piece::read(&name, &files::read(path)?, &settings).map(Some);
    }
    let words = folder.join("vocab.txt");
    if words.is_file() {
        let name = words.display().to_string();
        return word_piece::read(&name, &files::read(&words)?, &settings).map(Some);
    }
    Ok(None)
}

/// The tokenizer of one file that is no `tokenizer.json`, by its content alone; `None` if it may be one.
pub(crate) fn from_bytes(name: &str, bytes: &[u8]) -> Result<Option<Tokenizer>> {
    if let Some(found) = formats::named(bytes) {
        return Err(error::unsupported(name, found));
    }
    if sentence_piece::recognise(bytes) {
        return sentence_piece::read(name, bytes, &Settings::default()).map(Some);
    }
    if word_piece::recognise(bytes) {
        return word_piece::read(name, bytes, &Settings::default()).map(Some);
    }
    if byte_level::is_vocabulary(bytes) {
        let message = "a vocabulary without its merges; open the folder that has merges.txt too";
        return Err(error::unsupported(name, message));
    }
    Ok(None)
}
