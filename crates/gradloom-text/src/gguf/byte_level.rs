//! `gpt2` vocabularies: BPE over bytes, after the text was cut by regular expressions.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::models::bpe::BPE;

use super::pre_tokenizer;
use super::vocabulary::{GgufVocabulary, NAME};
use crate::assemble::{Assembly, assemble};
use crate::{Result, Tokenizer, error};

pub(super) fn tokenizer(
    vocabulary: &GgufVocabulary,
    ids: &HashMap<&str, u32>,
) -> Result<Tokenizer> {
    let rules = pre_tokenizer::rules(vocabulary.pre.as_deref().unwrap_or("default"))?;
    let merges = vocabulary.merges(ids)?;
    let vocab = vocabulary.named_tokens().map(|(id, token)| (token, id)).collect::<Vec<_>>();
    let model = BPE::builder()
        .vocab_and_merges(vocab.into_iter().collect::<tokenizers::models::bpe::Vocab>(), merges)
        .ignore_merges(rules.whole_words)
        .build()
        .map_err(|error| error::malformed(NAME, error.to_string()))?;

    let mut steps: Vec<Value> = rules
        .patterns
        .iter()
        .map(|pattern| {
            json!({
                "type": "Split", "pattern": { "Regex": pattern }, "behavior": "Isolated",
                "invert": false,
            })
        })
        .collect();
    let byte_level = json!({
        "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
    });
    steps.push(byte_level.clone());
    let bos = vocabulary.bos.filter(|_| vocabulary.add_bos.unwrap_or(rules.add_bos));
    let eos = vocabulary.eos.filter(|_| vocabulary.add_eos.unwrap_or(false));
    assemble(
        NAME,
        Assembly {
            model: model.into(),
            normalizer: None,
            pre_tokenizer: Some(json!({ "type": "Sequence", "pretokenizers": steps })),
            post_processor: vocabulary.template(bos, eos),
            decoder: Some(byte_level),
            added_tokens: vocabulary.added_tokens(),
        },
    )
}
