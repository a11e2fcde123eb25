//! [`EncodeOptions`]: special tokens, truncation and padding of one call.
//!
//! A file's own defaults for truncation and padding are not applied: what a call does is written at the
//! call.

/// How to encode: by default with the model's special tokens, without truncation and without padding.
///
/// ```
/// use gradloom_text::{EncodeOptions, Padding};
///
/// let options = EncodeOptions::new().truncate(128).pad(Padding::Longest);
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default)]
pub struct EncodeOptions {
    pub(crate) without_special_tokens: bool,
    pub(crate) length_max: Option<usize>,
    pub(crate) truncate_start: bool,
    pub(crate) padding: Padding,
    pub(crate) pad_start: bool,
}

/// To which length encodings are filled up with the padding token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Not at all.
    #[default]
    None,
    /// To the longest of the batch.
    Longest,
    /// To this many tokens; longer encodings stay as they are.
    To(usize),
    /// To the longest of the batch, rounded up to a multiple of this many tokens.
    MultipleOf(usize),
}

impl EncodeOptions {
    /// With special tokens, whole, not padded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to add what the model wants around a text, such as `[CLS]` and `[SEP]` or a beginning of
    /// text (`add_special_tokens` in Python). Chat templates write these tokens themselves: leave them out
    /// there.
    #[must_use]
    pub fn special_tokens(mut self, add: bool) -> Self {
        self.without_special_tokens = !add;
        self
    }

    /// Cuts texts so that an encoding, special tokens included, has at most this many tokens. Of a pair the
    /// longer text is cut first (`truncation="longest_first"` in Python).
    #[must_use]
    pub fn truncate(mut self, tokens_max: usize) -> Self {
        self.length_max = Some(tokens_max);
        self
    }

    /// Cuts the start of texts instead of their end.
    #[must_use]
    pub fn truncate_start(mut self) -> Self {
        self.truncate_start = true;
        self
    }

    /// Fills encodings up with the padding token, whose attention is 0.
    #[must_use]
    pub fn pad(mut self, padding: Padding) -> Self {
        self.padding = padding;
        self
    }

    /// Pads before the text instead of behind it, as generation in batches needs.
    #[must_use]
    pub fn pad_start(mut self) -> Self {
        self.pad_start = true;
        self
    }
}
