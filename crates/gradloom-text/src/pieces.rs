//! [`Pieces`]: the bytes of one token after the other, for streams.
//!
//! A decoder as a whole looks at all tokens at once. The decoders of language models work token by token,
//! though, apart from spaces at the start; those are written down here as such. For the others a stream
//! decodes a short window again.

use serde_json::Value;

use crate::json::decoder_steps;

/// How a token becomes bytes.
#[derive(Clone, Debug)]
pub(crate) enum Pieces {
    /// Tokens with spaces between: a tokenizer without a decoder.
    Words,
    /// Each character stands for a byte, by GPT-2's table.
    ByteLevel,
    /// `##` joins to the word before.
    WordPiece { prefix: String, cleanup: bool },
    /// `▁` stands for a space, `<0x0A>` for a byte.
    SentencePiece(SentencePiece),
    /// Needs its neighbours.
    Window,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct SentencePiece {
    replacements: Vec<(String, String)>,
    byte_fallback: bool,
    /// This many of this character are left out at the start of the text.
    strip: Option<(char, usize)>,
    /// The replacements of the first token have no space.
    first_token_without_space: bool,
}

impl Pieces {
    /// Reads the decoder of a `tokenizer.json` that has passed its checks.
    pub(crate) fn of_decoder(decoder: Option<&Value>) -> Self {
        let steps = decoder_steps(decoder);
        let kind = |step: &Value| step.get("type").and_then(Value::as_str).map(str::to_owned);
        let kinds: Vec<String> = steps.iter().filter_map(|step| kind(step)).collect();
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        match kinds[..] {
            [] => Pieces::Words,
            ["ByteLevel"] => Pieces::ByteLevel,
            ["WordPiece"] => Pieces::WordPiece {
                prefix: text(steps[0], "prefix").unwrap_or("##").to_owned(),
                cleanup: steps[0].get("cleanup").and_then(Value::as_bool).unwrap_or(true),
            },
            _ => SentencePiece::of_steps(&steps, &kinds)
                .map_or(Pieces::Window, Pieces::SentencePiece),
        }
    }

    /// Appends the bytes of the token that is number `index` of its text.
    pub(crate) fn write(&self, index: usize, token: &str, bytes: &mut Vec<u8>) {
        match self {
            Pieces::Words | Pieces::Window => {
                if index > 0 {
                    bytes.push(b' ');
                }
                bytes.extend_from_slice(token.as_bytes());
            }
            Pieces::ByteLevel => {
                let start = bytes.len();
                for character in token.chars() {
                    match byte_of(character) {
                        Some(byte) => bytes.push(byte),
                        // A token that was added as it is, such as `<|im_end|>` in Chinese brackets.
                        None => {
                            bytes.truncate(start);
                            bytes.extend_from_slice(token.as_bytes());
                            return;
                        }
                    }
                }
            }
            Pieces::WordPiece { prefix, cleanup } => {
                let joined = match token.strip_prefix(prefix.as_str()) {
                    _ if index == 0 => token.to_owned(),
                    Some(rest) => rest.to_owned(),
                    None => format!(" {token}"),
                };
                let piece = if *cleanup {
                    tokenizers::decoders::wordpiece::cleanup(&joined)
                } else {
                    joined
                };
                bytes.extend_from_slice(piece.as_bytes());
            }
            Pieces::SentencePiece(rules) => rules.write(index, token, bytes),
        }
    }

    /// What is left out at the start of a text.
    pub(crate) fn strip(&self) -> Option<(char, usize)> {
        match self {
            Pieces::SentencePiece(rules) => rules.strip,
            _ => None,
        }
    }
}

impl SentencePiece {
    fn of_steps(steps: &[&Value], kinds: &[&str]) -> Option<Self> {
        let mut rules = SentencePiece::default();
        let mut fused = false;
        for (&step, &kind) in steps.iter().zip(kinds) {
            match kind {
                "Replace" if !fused && !rules.byte_fallback => {
                    let pattern = text(step.get("pattern")?, "String")?;
                    let content = text(step, "content")?;
                    rules.replacements.push((pattern.to_owned(), content.to_owned()));
                }
                "ByteFallback" if !fused => rules.byte_fallback = true,
                "Fuse" => fused = true,
                "Strip" if fused && rules.strip.is_none() => {
                    let content = text(step, "content")?.chars().next()?;
                    let start = usize::try_from(step.get("start")?.as_u64()?).ok()?;
                    if !content.is_ascii() || step.get("stop")?.as_u64()? != 0 {
                        return None;
                    }
                    rules.strip = Some((content, start));
                }
                "Metaspace" if kinds.len() == 1 => {
                    let replacement = text(step, "replacement").unwrap_or("▁");
                    rules.replacements.push((replacement.to_owned(), " ".to_owned()));
                    let scheme = text(step, "prepend_scheme").unwrap_or("always");
                    let old = step.get("add_prefix_space").and_then(Value::as_bool);
                    rules.first_token_without_space = scheme != "never" && old != Some(false);
                }
                _ => return None,
            }
        }
        Some(rules)
    }

    fn write(&self, index: usize, token: &str, bytes: &mut Vec<u8>) {
        let mut piece = std::borrow::Cow::Borrowed(token);
        for (pattern, content) in &self.replacements {
            if pattern.is_empty() || !piece.contains(pattern.as_str()) {
                continue;
            }
            let content =
                if index == 0 && self.first_token_without_space { "" } else { content.as_str() };
            piece = piece.replace(pattern.as_str(), content).into();
        }
        match byte_token(&piece).filter(|_| self.byte_fallback) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(piece.as_bytes()),
        }
    }
}

/// The byte of `<0x0A>`.
fn byte_token(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

fn text<'v>(value: &'v Value, field: &str) -> Option<&'v str> {
    value.get(field)?.as_str()
}

/// The byte that a character stands for in GPT-2's vocabulary: printable Latin-1 characters stand for
/// themselves, the other bytes follow from U+0100 on.
pub(crate) fn byte_of(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code) {
        return is_printable(byte).then_some(byte);
    }
    let rank = usize::try_from(code - 0x100).ok()?;
    (0..=u8::MAX).filter(|&byte| !is_printable(byte)).nth(rank)
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}
