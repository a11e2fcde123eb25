//! SentencePiece's `.model` files: BPE and Unigram with the model's own rules for spaces.
//!
//! They become vocabularies as GGUF has them, whose kinds of tokens are SentencePiece's. The models of words and
//! characters are absent.

use super::proto::{Field, Fields};
use super::settings::Settings;
use crate::gguf::{self, GgufVocabulary};
use crate::limits::IDS_MAX;
use crate::{Result, Tokenizer, error};

/// Python's classes: what they add to each text.
const CLASSES: [(&str, Adds); 8] = [
    ("LlamaTokenizer", Adds::Begin),
    ("CodeLlamaTokenizer", Adds::Begin),
    ("GemmaTokenizer", Adds::Begin),
    ("T5Tokenizer", Adds::End),
    ("MT5Tokenizer", Adds::End),
    ("UMT5Tokenizer", Adds::End),
    ("UdopTokenizer", Adds::End),
    ("SentencePieceProcessor", Adds::Nothing),
];

#[derive(Clone, Copy, PartialEq)]
enum Adds {
    Nothing,
    Begin,
    End,
}

const NORMAL: i32 = 1;
const USER_DEFINED: i32 = 4;

/// What a file says.
struct Model {
    vocabulary: GgufVocabulary,
    /// 1 Unigram, 2 BPE, 3 words, 4 characters.
    kind: u64,
    /// Of unknown, begin, end, padding.
    ids: [i64; 4],
}

/// True for files that begin with a piece of the vocabulary.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    let Some(Ok((1, Field::Bytes(piece)))) = Fields::new(bytes).next() else { return false };
    matches!(Fields::new(piece).next(), Some(Ok((1, Field::Bytes(text)))) if std::str::from_utf8(text).is_ok())
}

pub(super) fn read(name: &str, bytes: &[u8], settings: &Settings) -> Result<Tokenizer> {
    let Model { mut vocabulary, kind, ids } = parse(bytes)
        .map_err(|message| error::malformed(name, format!("SentencePiece model: {message}")))?;
    vocabulary.model = match kind {
        1 => "t5".to_owned(),
        2 => "llama".to_owned(),
        _ => {
            let message =
                format!("a SentencePiece model of kind {kind}; known are Unigram and BPE");
            return Err(error::unsupported(name, message));
        }
    };
    let count = vocabulary.tokens.len();
    let id = |id: i64| u32::try_from(id).ok().filter(|&id| (id as usize) < count);
    let [unk, bos, eos, pad] = ids.map(id);
    let class = class(name, settings)?;
    let begins = class == Adds::Begin && settings.flag("add_bos_token").unwrap_or(true);
    let ends = class == Adds::End || settings.flag("add_eos_token").unwrap_or(false);
    vocabulary = GgufVocabulary {
        unk,
        bos,
        eos,
        pad,
        add_bos: Some(begins),
        add_eos: Some(ends && class != Adds::Nothing),
        ..vocabulary
    };
    if class == Adds::End {
        let extra = settings.number("extra_ids").unwrap_or(100).min(1_000);
        for place in (0..extra).rev() {
            add(&mut vocabulary, format!("<extra_id_{place}>"));
        }
    }
    gguf::of_sentence_piece(name, &vocabulary)
}

/// Adds a token unless it is there.
fn add(vocabulary: &mut GgufVocabulary, token: String) {
    if !vocabulary.tokens.contains(&token) {
        vocabulary.tokens.push(token);
        vocabulary.scores.push(0.0);
        vocabulary.token_types.push(3);
    }
}

fn class(name: &str, settings: &Settings) -> Result<Adds> {
    let of_model = |model: &str| match model {
        "t5" | "mt5" | "umt5" => Some("T5Tokenizer"),
        "llama" | "mistral" | "mixtral" | "gemma" | "gemma2" => Some("LlamaTokenizer"),
        _ => None,
    };
    let class = match (settings.class(), settings.model()) {
        (Some(class), _) => class,
        (None, Some(model)) => of_model(model).unwrap_or(model),
        (None, None) => "SentencePieceProcessor",
    };
    let known = CLASSES.iter().find(|(known, _)| *known == class).map(|(_, adds)| *adds);
    let names = CLASSES.map(|(name, _)| name);
    known.ok_or_else(|| settings.unknown_class(name, class, &names))
}

fn parse(bytes: &[u8]) -> Result<Model, String> {
    let mut vocabulary = GgufVocabulary {
        add_space_prefix: Some(true),
        remove_extra_whitespaces: Some(true),
        ..GgufVocabulary::default()
    };
    let (mut kind, mut ids) = (1, [0, 1, 2, -1]);
    for field in Fields::new(bytes) {
        match field? {
            (1, Field::Bytes(message)) => {
                if vocabulary.tokens.len() > IDS_MAX as usize {
                    return Err("it has too many pieces".to_owned());
                }
                piece(message, &mut vocabulary)?;
            }
            (2, Field::Bytes(message)) => trainer(message, &mut kind, &mut ids)?,
            (3, Field::Bytes(message)) => normalizer(message, &mut vocabulary)?,
            _ => {}
        }
    }
    Ok(Model { vocabulary, kind, ids })
}

fn piece(message: &[u8], vocabulary: &mut GgufVocabulary) -> Result<(), String> {
    let (mut text, mut score, mut kind) = ("", 0.0, NORMAL);
    for field in Fields::new(message) {
        match field? {
            (1, Field::Bytes(bytes)) => {
                let at = vocabulary.tokens.len();
                let read = std::str::from_utf8(bytes);
                text = read.map_err(|_| format!("piece {at} is no UTF-8"))?;
            }
            (2, Field::Word(bytes)) => score = f32::from_le_bytes(bytes),
            (3, Field::Number(number)) => kind = i32::try_from(number).unwrap_or(NORMAL),
            _ => {}
        }
    }
    vocabulary.tokens.push(text.to_owned());
    vocabulary.scores.push(score);
    vocabulary.token_types.push(if (1..=6).contains(&kind) { kind } else { USER_DEFINED });
    Ok(())
}

fn trainer(message: &[u8], kind: &mut u64, ids: &mut [i64; 4]) -> Result<(), String> {
    for field in Fields::new(message) {
        match field? {
            (3, Field::Number(number)) => *kind = number,
            // Negative numbers are the large ones.
            (place @ 40..=43, Field::Number(number)) => {
                ids[(place - 40) as usize] = i64::from(number as i32);
            }
            (24, Field::Number(1)) => {
                return Err("spaces behind words are not supported".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

fn normalizer(message: &[u8], vocabulary: &mut GgufVocabulary) -> Result<(), String> {
    for field in Fields::new(message) {
        match field? {
            (2, Field::Bytes(bytes)) => vocabulary.precompiled_charsmap = bytes.to_vec(),
            (3, Field::Number(number)) => vocabulary.add_space_prefix = Some(number != 0),
            (4, Field::Number(number)) => vocabulary.remove_extra_whitespaces = Some(number != 0),
            (5, Field::Number(0)) => {
                return Err("spaces that are not written as signs are not supported".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}
