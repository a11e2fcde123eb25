//! The tokenizer inside a GGUF file.

use crate::{Result, error};
use gradloom_text::GgufVocabulary;
use gradloom_weights::{Checkpoint, Value};

/// The vocabulary of a GGUF file, for `Tokenizer::from_gguf`.
///
/// # Errors
/// If the file has none.
pub fn vocabulary(checkpoint: &Checkpoint) -> Result<GgufVocabulary> {
    let get = |name: &str| checkpoint.metadata().get(&format!("tokenizer.ggml.{name}"));
    let strings = |name: &str| get(name).and_then(Value::as_strings).map(<[String]>::to_vec);
    let id = |name: &str| {
        get(&format!("{name}_token_id"))
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
    };
    let flag = |name: &str| get(name).and_then(Value::as_bool);
    let array = |name: &str| get(name).and_then(Value::as_array);
    let (Some(model), Some(tokens)) = (get("model").and_then(Value::as_str), strings("tokens"))
    else {
        return Err(error::generation(
            "the file has no tokenizer (tokenizer.ggml.model and tokens)",
        ));
    };
    let types = array("token_type").and_then(|types| types.to_i64s()).unwrap_or_default();
    let scores = array("scores").and_then(|scores| scores.to_f64s()).unwrap_or_default();
    Ok(GgufVocabulary {
        model: model.to_owned(),
        pre: get("pre").and_then(Value::as_str).map(str::to_owned),
        tokens,
        token_types: types.into_iter().map(|kind| i32::try_from(kind).unwrap_or(0)).collect(),
        scores: scores.into_iter().map(|score| score as f32).collect(),
        merges: strings("merges").unwrap_or_default(),
        bos: id("bos"),
        eos: id("eos"),
        eot: id("eot"),
        eom: id("eom"),
        unk: id("unknown"),
        pad: id("padding"),
        cls: id("cls"),
        sep: id("seperator"),
        mask: id("mask"),
        add_bos: flag("add_bos_token"),
        add_eos: flag("add_eos_token"),
        add_space_prefix: flag("add_space_prefix"),
        remove_extra_whitespaces: flag("remove_extra_whitespaces"),
        precompiled_charsmap: array("precompiled_charsmap")
            .and_then(|bytes| bytes.to_i64s())
            .unwrap_or_default()
            .into_iter()
            // Converters write the bytes signed or not.
            .map(|byte| byte as u8)
            .collect(),
    })
}
