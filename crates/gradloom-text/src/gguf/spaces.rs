//! SentencePiece's rules for spaces, which are the sign `▁` in its tokens.

use serde_json::{Value, json};

use super::vocabulary::GgufVocabulary;

/// What happens to a text before it is cut: the model's own table of characters and the removal of spaces
/// where `cleans`, a space before the text, and the signs.
pub(super) fn normalizer(vocabulary: &GgufVocabulary, prefix: bool, cleans: bool) -> Value {
    let mut steps = Vec::new();
    if cleans && !vocabulary.precompiled_charsmap.is_empty() {
        let table = base64(&vocabulary.precompiled_charsmap);
        steps.push(json!({ "type": "Precompiled", "precompiled_charsmap": table }));
    }
    let replace = |pattern: Value, content: &str| json!({ "type": "Replace", "pattern": pattern, "content": content });
    if cleans && vocabulary.remove_extra_whitespaces.unwrap_or(false) {
        steps.push(replace(json!({ "Regex": "^ +| +$" }), ""));
        steps.push(replace(json!({ "Regex": " {2,}" }), " "));
    }
    if prefix {
        steps.push(json!({ "type": "Prepend", "prepend": "▁" }));
    }
    steps.push(replace(json!({ "String": " " }), "▁"));
    json!({ "type": "Sequence", "normalizers": steps })
}

/// From tokens to text: signs are spaces again, tokens for bytes are bytes.
pub(super) fn decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({ "type": "Replace", "pattern": { "String": "▁" }, "content": " " }),
        json!({ "type": "ByteFallback" }),
        json!({ "type": "Fuse" }),
    ];
    if prefix {
        steps.push(json!({ "type": "Strip", "content": " ", "start": 1, "stop": 0 }));
    }
    json!({ "type": "Sequence", "decoders": steps })
}

fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = word(0) << 16 | word(1) << 8 | word(2);
        for place in 0..4 {
            let sign = SIGNS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place > chunk.len() { '=' } else { char::from(sign) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn bytes_become_base64() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
