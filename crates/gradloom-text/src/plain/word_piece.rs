//! `vocab.txt`: WordPiece with BERT's rules, a token on each line.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::{Result, Tokenizer, error, json as tokenizer_json};

/// Classes with BERT's rules.
const CLASSES: [&str; 6] = [
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MPNetTokenizer",
    "LayoutLMTokenizer",
    "SqueezeBertTokenizer",
];

/// The roles of tokens, and what BERT calls them.
const ROLES: [(&str, &str); 5] = [
    ("pad_token", "[PAD]"),
    ("unk_token", "[UNK]"),
    ("cls_token", "[CLS]"),
    ("sep_token", "[SEP]"),
    ("mask_token", "[MASK]"),
];

/// True for lines of which one is BERT's unknown token.
pub(super) fn recognise(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == b'\n').take(1 << 12).any(|line| line.trim_ascii() == b"[UNK]")
}

pub(super) fn read(name: &str, bytes: &[u8], settings: &Settings) -> Result<Tokenizer> {
    if let Some(class) = settings.class().filter(|class| !CLASSES.contains(class)) {
        return Err(settings.unknown_class(name, class, &CLASSES));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| error::malformed(name, "not UTF-8"))?;
    let mut vocab = Map::new();
    for (id, token) in text.lines().enumerate() {
        // Of equal lines the last one counts, as in Python.
        vocab.insert(token.trim_end_matches('\r').to_owned(), id.into());
    }
    vocab.remove("");
    let role = |role: &str, usual: &str| settings.role(role).unwrap_or(usual).to_owned();
    let [_, unk, cls, sep, _] = ROLES.map(|(name, usual)| role(name, usual));
    let id = |token: &str| {
        vocab.get(token).cloned().ok_or_else(|| {
            error::malformed(name, format!("there is no token {token}; is it of BERT's kind?"))
        })
    };
    let post_processor = json!({
        "type": "BertProcessing", "sep": [sep, id(&sep)?], "cls": [cls, id(&cls)?],
    });
    id(&unk)?;
    let own: Vec<Value> = ROLES
        .iter()
        .map(|(name, usual)| role(name, usual))
        .filter_map(|token| {
            let id = vocab.get(&token)?;
            Some(json!({ "id": id, "content": token, "special": true }))
        })
        .collect();
    let lowercase = settings.flag("do_lower_case").unwrap_or(true);
    tokenizer_json::from_value(
        name,
        json!({
            "added_tokens": settings.added_tokens(name, own)?,
            "normalizer": {
                "type": "BertNormalizer", "clean_text": true,
                "handle_chinese_chars": settings.flag("tokenize_chinese_chars").unwrap_or(true),
                "strip_accents": settings.flag("strip_accents"), "lowercase": lowercase,
            },
            "pre_tokenizer": { "type": "BertPreTokenizer" },
            "post_processor": post_processor,
            "decoder": { "type": "WordPiece", "prefix": "##", "cleanup": true },
            "model": {
                "type": "WordPiece", "unk_token": unk, "continuing_subword_prefix": "##",
                "max_input_chars_per_word": 100, "vocab": vocab,
            },
        }),
    )
}
