//! [`Encoding`]: the tokens of a text, and where they come from.

use std::ops::Range;

/// The tokens of one text or pair of texts. All lists have the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoding {
    /// Ids of the tokens (`input_ids` in Python).
    pub ids: Vec<u32>,
    /// Which text of a pair a token belongs to, as the model was trained (`token_type_ids` in Python).
    pub type_ids: Vec<u32>,
    /// 1 for tokens, 0 for padding.
    pub attention_mask: Vec<u32>,
    /// 1 for tokens that are not from the text.
    pub special_mask: Vec<u32>,
    /// Bytes of the text that a token stands for; empty for tokens that are not from the text. Tokens of
    /// one multi-byte character share its range.
    pub offsets: Vec<Range<usize>>,
}

impl Encoding {
    /// Number of tokens, padding included.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token: an empty text without special tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Takes over the library's encoding.
    pub(crate) fn from_library(encoding: &tokenizers::Encoding) -> Self {
        Encoding {
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            attention_mask: encoding.get_attention_mask().to_vec(),
            special_mask: encoding.get_special_tokens_mask().to_vec(),
            offsets: encoding.get_offsets().iter().map(|&(start, end)| start..end).collect(),
        }
    }

    /// Fills up to `length` tokens.
    pub(crate) fn pad(&mut self, length: usize, id: u32, at_start: bool) {
        let missing = length.saturating_sub(self.len());
        let at = if at_start { 0 } else { self.len() };
        self.ids.splice(at..at, std::iter::repeat_n(id, missing));
        self.type_ids.splice(at..at, std::iter::repeat_n(0, missing));
        self.attention_mask.splice(at..at, std::iter::repeat_n(0, missing));
        self.special_mask.splice(at..at, std::iter::repeat_n(1, missing));
        self.offsets.splice(at..at, std::iter::repeat_n(0..0, missing));
    }
}
