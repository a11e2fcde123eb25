//! [`DecodeStream`]: text of ids that arrive one after the other.

use crate::pieces::Pieces;
use crate::{Result, Tokenizer};

/// Tokens that are decoded again where a decoder needs neighbours.
const WINDOW_TOKENS: usize = 16;

/// Decodes ids as they are generated, in whole characters: bytes of a character wait until the rest is there.
///
/// All pieces and the [`finish`](Self::finish) together are what
/// [`Tokenizer::decode`] gives for all ids. Each id costs the same however long the text is.
/// Two exceptions, both in text that no training text has: bytes that are no UTF-8 become one `�` for each
/// broken character (decoding at once may write several), and decoders that join equal neighbours (CTC) see
/// only the last sixteen.
pub struct DecodeStream {
    tokenizer: Tokenizer,
    skip_special: bool,
    /// Bytes of a character that is not complete.
    waiting: Vec<u8>,
    /// Tokens so far, without those that were skipped.
    count: usize,
    /// Characters still to be left out at the start.
    to_strip: usize,
    /// For decoders that need neighbours: ids, and how many of them have been given out.
    window: Vec<u32>,
    given: usize,
}

impl DecodeStream {
    pub(crate) fn new(tokenizer: Tokenizer, skip_special: bool) -> Self {
        let to_strip = tokenizer.pieces().strip().map_or(0, |(_, count)| count);
        DecodeStream {
            tokenizer,
            skip_special,
            waiting: Vec::new(),
            count: 0,
            to_strip,
            window: Vec::new(),
            given: 0,
        }
    }

    /// Takes the next id and returns the text that has become certain, which may be empty.
    ///
    /// # Errors
    /// The id is not in the vocabulary.
    pub fn push(&mut self, id: u32) -> Result<String> {
        let token = self.tokenizer.token_for_decoding(id)?;
        if self.skip_special && self.tokenizer.is_special(id) {
            return Ok(String::new());
        }
        if matches!(self.tokenizer.pieces(), Pieces::Window) {
            return self.push_window(id);
        }
        self.tokenizer.pieces().write(self.count, &token, &mut self.waiting);
        self.count += 1;
        Ok(self.take_characters())
    }

    /// Ends the text: what is still incomplete comes out as `�`.
    ///
    /// # Errors
    /// Decoding the rest failed, which it did not before.
    pub fn finish(mut self) -> Result<String> {
        if self.given < self.window.len() {
            return self.window_text(true);
        }
        Ok(String::from_utf8_lossy(&self.waiting).into_owned())
    }

    /// Takes the complete characters off the waiting bytes.
    fn take_characters(&mut self) -> String {
        let mut text = String::new();
        let mut rest = &self.waiting[..];
        loop {
            let error = match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => error,
            };
            text.push_str(&String::from_utf8_lossy(&rest[..error.valid_up_to()]));
            rest = &rest[error.valid_up_to()..];
            let Some(broken) = error.error_len() else { break };
            text.push(char::REPLACEMENT_CHARACTER);
            rest = &rest[broken..];
        }
        let taken = self.waiting.len() - rest.len();
        self.waiting.drain(..taken);
        self.strip_start(text)
    }

    fn strip_start(&mut self, text: String) -> String {
        let Some((character, _)) = self.tokenizer.pieces().strip() else { return text };
        let mut rest = text.as_str();
        while self.to_strip > 0 && !rest.is_empty() {
            match rest.strip_prefix(character) {
                Some(after) => {
                    self.to_strip -= 1;
                    rest = after;
                }
                None => self.to_strip = 0,
            }
        }
        rest.to_owned()
    }

    fn push_window(&mut self, id: u32) -> Result<String> {
        self.window.push(id);
        self.window_text(false)
    }

    /// The text behind what was given, unless it may still change.
    fn window_text(&mut self, certain: bool) -> Result<String> {
        let before = self.tokenizer.decode(&self.window[..self.given], false)?;
        let now = self.tokenizer.decode(&self.window, false)?;
        let waiting = self.window.len() - self.given;
        if !certain && now.ends_with(char::REPLACEMENT_CHARACTER) && waiting < WINDOW_TOKENS {
            return Ok(String::new());
        }
        // A decoder may change what it wrote for the last token; what was given stays.
        let text = now.get(before.len()..).unwrap_or_default().to_owned();
        self.given = self.window.len();
        let surplus = self.window.len().saturating_sub(WINDOW_TOKENS);
        self.window.drain(..surplus);
        self.given -= surplus;
        Ok(text)
    }
}

impl Tokenizer {
    /// Decodes ids one after the other, as they are generated.
    pub fn decode_stream(&self, skip_special: bool) -> DecodeStream {
        DecodeStream::new(self.clone(), skip_special)
    }
}
