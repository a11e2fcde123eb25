//! The normalizer, pre-tokenizer, post-processor and decoder of a `tokenizer.json`, checked as trees of JSON
//! before the `tokenizers` crate builds them.
//!
//! What is checked is what that crate would panic on or what would let a short text grow without bound.

use serde_json::Value;

use crate::{Error, Result, error};

/// Components of one slot, nested ones included; published files have up to ten.
const COMPONENTS_MAX: usize = 64;

/// The longest published pattern has about 1,000 bytes.
const PATTERN_BYTES_MAX: usize = 1 << 14;

/// How many times as long as the text its normalized form may be; published files stay below 100.
const GROWTH_MAX: usize = 1 << 10;

const NORMALIZERS: [&str; 14] = [
    "BertNormalizer",
    "ByteLevel",
    "Lowercase",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Nmt",
    "Precompiled",
    "Prepend",
    "Replace",
    "Sequence",
    "Strip",
    "StripAccents",
];

const PRE_TOKENIZERS: [&str; 12] = [
    "BertPreTokenizer",
    "ByteLevel",
    "CharDelimiterSplit",
    "Digits",
    "FixedLength",
    "Metaspace",
    "Punctuation",
    "Sequence",
    "Split",
    "UnicodeScripts",
    "Whitespace",
    "WhitespaceSplit",
];

const POST_PROCESSORS: [&str; 5] =
    ["BertProcessing", "ByteLevel", "RobertaProcessing", "Sequence", "TemplateProcessing"];

const DECODERS: [&str; 10] = [
    "BPEDecoder",
    "ByteFallback",
    "ByteLevel",
    "CTC",
    "Fuse",
    "Metaspace",
    "Replace",
    "Sequence",
    "Strip",
    "WordPiece",
];

/// One of the four slots of a file.
struct Slot<'a> {
    file: &'a str,
    name: &'static str,
    /// The field of a `Sequence` that holds its parts.
    parts: &'static str,
    known: &'static [&'static str],
}

impl Slot<'_> {
    /// The components of the slot in order, without the sequences around them.
    fn flatten<'v>(&self, value: Option<&'v Value>) -> Result<Vec<(&'v str, &'v Value)>> {
        let mut flat = Vec::new();
        let mut waiting: Vec<&Value> = value.into_iter().filter(|value| !value.is_null()).collect();
        while let Some(component) = waiting.pop() {
            let Some(kind) = component.get("type").and_then(Value::as_str) else {
                return Err(self.malformed("a component has no type"));
            };
            if !self.known.contains(&kind) {
                let message =
                    format!("{} of type {kind:?}; known are {}", self.name, self.known.join(", "));
                return Err(error::unsupported(self.file, message));
            }
            if kind == "Sequence" {
                let Some(parts) = component.get(self.parts).and_then(Value::as_array) else {
                    return Err(self.malformed(&format!("a sequence has no {}", self.parts)));
                };
                waiting.extend(parts.iter().rev());
            } else {
                flat.push((kind, component));
            }
            if flat.len() + waiting.len() > COMPONENTS_MAX {
                let message = format!("{} of more than {COMPONENTS_MAX} components", self.name);
                return Err(error::too_large(self.file, message));
            }
        }
        Ok(flat)
    }

    /// The pattern of a `Split` or `Replace`: its text, and whether it is a regular expression.
    fn pattern<'v>(&self, component: &'v Value) -> Result<(&'v str, bool)> {
        let pattern = component.get("pattern");
        let field = |name| pattern.and_then(|pattern| pattern.get(name)).and_then(Value::as_str);
        let (text, regex) = match (field("String"), field("Regex")) {
            (Some(text), None) => (text, false),
            (None, Some(text)) => (text, true),
            _ => return Err(self.malformed("a pattern is neither a string nor a regex")),
        };
        if text.len() > PATTERN_BYTES_MAX {
            let message = format!("{}: a pattern has {} bytes", self.name, text.len());
            return Err(error::too_large(self.file, message));
        }
        Ok((text, regex))
    }

    /// How many times as long a text can become by this replacement.
    fn replacement_growth(&self, component: &Value) -> Result<usize> {
        let (pattern, regex) = self.pattern(component)?;
        let content = component.get("content").and_then(Value::as_str).map_or(0, str::len);
        // An expression may match nothing at all, between any two characters.
        let shortest = if regex { 0 } else { pattern.len() };
        Ok(if shortest == 0 { content + 1 } else { content.div_ceil(shortest).max(1) })
    }

    fn check_growth(&self, growth: usize) -> Result<()> {
        if growth > GROWTH_MAX {
            let message =
                format!("{}: texts may become {growth} times as long; refused", self.name);
            return Err(error::too_large(self.file, message));
        }
        Ok(())
    }

    fn malformed(&self, message: &str) -> Error {
        error::malformed(self.file, format!("{}: {message}", self.name))
    }
}

pub(crate) fn check_normalizer(file: &str, value: Option<&Value>) -> Result<()> {
    let slot = Slot { file, name: "normalizer", parts: "normalizers", known: &NORMALIZERS };
    let mut growth: usize = 1;
    for (kind, component) in slot.flatten(value)? {
        if kind == "Precompiled" && !is_whole_table(component) {
            return Err(slot.malformed("the precompiled table is cut short"));
        }
        growth = growth.saturating_mul(match kind {
            "Replace" => slot.replacement_growth(component)?,
            "NFKC" | "NFKD" => 11,
            "BertNormalizer" => 6,
            "NFC" | "NFD" | "Precompiled" => 3,
            "ByteLevel" | "Lowercase" => 2,
            _ => 1,
        });
        slot.check_growth(growth)?;
    }
    Ok(())
}

/// Whether a SentencePiece table, in base64, is as long as its first four bytes say; the library allocates what
/// they say.
fn is_whole_table(component: &Value) -> bool {
    let Some(base64) = component.get("precompiled_charsmap").and_then(Value::as_str) else {
        return false;
    };
    let mut bits: u64 = 0;
    for sign in base64.bytes().take(6) {
        let sixth = match sign {
            b'A'..=b'Z' => sign - b'A',
            b'a'..=b'z' => sign - b'a' + 26,
            b'0'..=b'9' => sign - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = bits << 6 | u64::from(sixth);
    }
    let size = ((bits >> 4) as u32).swap_bytes();
    base64.len() / 4 * 3 >= size as usize + 4
}

pub(super) fn check_pre_tokenizer(file: &str, value: Option<&Value>) -> Result<()> {
    let slot = Slot { file, name: "pre-tokenizer", parts: "pretokenizers", known: &PRE_TOKENIZERS };
    let mut growth: usize = 1;
    for (kind, component) in slot.flatten(value)? {
        match kind {
            "Split" => {
                slot.pattern(component)?;
            }
            "FixedLength" if component.get("length").and_then(Value::as_u64) == Some(0) => {
                return Err(slot.malformed("pieces of length 0"));
            }
            "ByteLevel" => growth = growth.saturating_mul(2),
            "Metaspace" => growth = growth.saturating_mul(4),
            _ => {}
        }
        slot.check_growth(growth)?;
    }
    Ok(())
}

/// Checks the post-processor and returns the ids that it adds.
pub(super) fn check_post_processor(file: &str, value: Option<&Value>) -> Result<Vec<u32>> {
    let slot = Slot { file, name: "post-processor", parts: "processors", known: &POST_PROCESSORS };
    let mut ids = Vec::new();
    for (kind, component) in slot.flatten(value)? {
        match kind {
            "TemplateProcessing" => template_ids(&slot, component, &mut ids)?,
            "BertProcessing" | "RobertaProcessing" => {
                for role in ["cls", "sep"] {
                    let id = component.get(role).and_then(|pair| pair.get(1)).and_then(id_of);
                    ids.push(id.ok_or_else(|| slot.malformed(&format!("{role} has no id")))?);
                }
            }
            _ => {}
        }
    }
    Ok(ids)
}

fn template_ids(slot: &Slot<'_>, component: &Value, ids: &mut Vec<u32>) -> Result<()> {
    for side in ["single", "pair"] {
        let pieces = component.get(side).and_then(Value::as_array).map_or(0, Vec::len);
        if pieces > COMPONENTS_MAX {
            let message = format!("{}: a template of {pieces} pieces", slot.name);
            return Err(error::too_large(slot.file, message));
        }
    }
    let tokens = component.get("special_tokens").and_then(Value::as_object);
    for token in tokens.into_iter().flat_map(serde_json::Map::values) {
        let list = |field| token.get(field).and_then(Value::as_array);
        let (Some(these), Some(texts)) = (list("ids"), list("tokens")) else {
            return Err(slot.malformed("a special token has no ids"));
        };
        if these.len() != texts.len() || these.len() > COMPONENTS_MAX {
            return Err(slot.malformed("a special token's ids and texts do not fit"));
        }
        for id in these {
            ids.push(id_of(id).ok_or_else(|| slot.malformed("an id is not an integer"))?);
        }
    }
    Ok(())
}

fn id_of(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

pub(super) fn check_decoder(file: &str, value: Option<&Value>) -> Result<()> {
    let slot = Slot { file, name: "decoder", parts: "decoders", known: &DECODERS };
    let mut growth: usize = 1;
    for (kind, component) in slot.flatten(value)? {
        if kind == "Replace" {
            growth = growth.saturating_mul(slot.replacement_growth(component)?);
        }
        slot.check_growth(growth)?;
    }
    Ok(())
}

/// The decoder's components in order, for a decoder that [`check_decoder`] has passed.
pub(crate) fn decoder_steps(value: Option<&Value>) -> Vec<&Value> {
    let slot = Slot { file: "decoder", name: "decoder", parts: "decoders", known: &DECODERS };
    let steps = slot.flatten(value).unwrap_or_default();
    steps.into_iter().map(|(_, component)| component).collect()
}
