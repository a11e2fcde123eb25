//! `vocab.json` with `merges.txt`: BPE over bytes as GPT-2 has it, and its relatives.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use crate::gguf::QWEN_2;
use crate::{Result, Tokenizer, error, files, json as tokenizer_json};

const CLASSES: [&str; 7] = [
    "GPT2Tokenizer",
    "RobertaTokenizer",
    "BartTokenizer",
    "LongformerTokenizer",
    "LEDTokenizer",
    "Qwen2Tokenizer",
    "PreTrainedTokenizer",
];

/// True for an object of ids.
pub(super) fn is_vocabulary(bytes: &[u8]) -> bool {
    let start = bytes.iter().position(|byte| !byte.is_ascii_whitespace());
    if start.is_none_or(|start| bytes[start] != b'{') {
        return false;
    }
    let ids: Result<std::collections::HashMap<String, u32>, _> = serde_json::from_slice(bytes);
    ids.is_ok_and(|ids| !ids.is_empty())
}

pub(super) fn read(
    name: &str,
    [vocab, merges]: [&[u8]; 2],
    settings: &Settings,
) -> Result<Tokenizer> {
    let vocab = files::object(name, vocab)?;
    let lines = merge_lines(name, merges)?;
    if vocab.keys().any(|token| token.ends_with("</w>")) {
        return Err(settings.unknown_class(name, "CLIP or an older GPT", &CLASSES));
    }
    let has = |token: &str| vocab.contains_key(token);
    let class = match settings.class() {
        Some(class) => class,
        // What has RoBERTa's tokens has its rules.
        None if has("<s>") && has("</s>") && has("<mask>") => "RobertaTokenizer",
        None if settings.model().is_some_and(|model| model.starts_with("qwen")) => "Qwen2Tokenizer",
        None => "GPT2Tokenizer",
    };
    if !CLASSES.contains(&class) {
        return Err(settings.unknown_class(name, class, &CLASSES));
    }
    let prefix = settings.flag("add_prefix_space").unwrap_or(false);
    let byte_level = |use_regex: bool| {
        json!({
            "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": false,
            "use_regex": use_regex,
        })
    };
    let (mut normalizer, mut pre_tokenizer) = (Value::Null, byte_level(true));
    if class == "Qwen2Tokenizer" {
        normalizer = json!({ "type": "NFC" });
        let split = json!({
            "type": "Split", "pattern": { "Regex": QWEN_2 }, "behavior": "Isolated", "invert": false,
        });
        pre_tokenizer = json!({ "type": "Sequence", "pretokenizers": [split, byte_level(false)] });
    }
    let of_role = |role: &str, usual: &'static str| settings.role(role).unwrap_or(usual).to_owned();
    let id = |token: &str| {
        vocab.get(token).cloned().ok_or_else(|| {
            error::malformed(name, format!("there is no token {token}, which {class} needs"))
        })
    };
    let (post_processor, special) = match class {
        "GPT2Tokenizer" | "Qwen2Tokenizer" | "PreTrainedTokenizer" => {
            let end = "<|endoftext|>";
            let mut post_processor = byte_level(true);
            if class == "GPT2Tokenizer" && settings.flag("add_bos_token") == Some(true) {
                let bos = of_role("bos_token", end);
                post_processor = with_bos(&bos, &id(&bos)?);
            }
            let roles = ["bos_token", "eos_token", "unk_token", "pad_token"];
            (post_processor, roles.map(|role| of_role(role, end)).to_vec())
        }
        _ => {
            let cls = of_role("cls_token", "<s>");
            let sep = of_role("sep_token", "</s>");
            let post_processor = json!({
                "type": "RobertaProcessing", "sep": [sep, id(&sep)?], "cls": [cls, id(&cls)?],
                "trim_offsets": true, "add_prefix_space": prefix,
            });
            let rest = [("unk_token", "<unk>"), ("pad_token", "<pad>"), ("mask_token", "<mask>")];
            let rest = rest.map(|(role, usual)| of_role(role, usual));
            (post_processor, [cls, sep].into_iter().chain(rest).collect())
        }
    };
    let own = own_tokens(&vocab, &special);
    tokenizer_json::from_value(
        name,
        json!({
            "added_tokens": settings.added_tokens(name, own)?,
            "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
            "post_processor": post_processor, "decoder": byte_level(true),
            "model": { "type": "BPE", "vocab": vocab, "merges": lines },
        }),
    )
}

/// The lines of a file of merges, without its head.
fn merge_lines<'a>(name: &str, bytes: &'a [u8]) -> Result<Vec<&'a str>> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| error::malformed(name, "its merges.txt is not UTF-8"))?;
    let lines = text.lines().map(|line| line.trim_end_matches('\r'));
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with("#version")).collect())
}

fn with_bos(bos: &str, id: &Value) -> Value {
    let piece = |type_id: u32| json!({ "SpecialToken": { "id": bos, "type_id": type_id } });
    let text = |id: &str, type_id: u32| json!({ "Sequence": { "id": id, "type_id": type_id } });
    json!({
        "type": "TemplateProcessing", "single": [piece(0), text("A", 0)],
        "pair": [piece(0), text("A", 0), piece(1), text("B", 1)],
        "special_tokens": { bos: { "id": bos, "ids": [id], "tokens": [bos] } },
    })
}

/// The tokens of the vocabulary that are special.
fn own_tokens(vocab: &Map<String, Value>, special: &[String]) -> Vec<Value> {
    let mut tokens: Vec<Value> = Vec::new();
    for (at, token) in special.iter().enumerate() {
        let Some(id) = vocab.get(token).filter(|_| !special[..at].contains(token)) else {
            continue;
        };
        tokens.push(json!({
            "id": id, "content": token, "special": true, "lstrip": token == "<mask>",
        }));
    }
    tokens
}
