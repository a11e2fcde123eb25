//! [`StopStrings`]: finds strings that end a generated text, across the borders of its pieces.

use crate::{Error, Result};

/// Watches a text that arrives in pieces for strings that end it.
///
/// The string that is complete first counts, and of those that end at the same place the longest. So the
/// result does not depend on where the pieces are cut. Only what may still become a stop string is held back.
///
/// ```
/// use gradloom_text::StopStrings;
///
/// # fn main() -> gradloom_text::Result<()> {
/// let mut stop = StopStrings::new(["\nUser:"])?;
/// assert_eq!(stop.push("Yes.\nUs"), "Yes.");
/// assert_eq!(stop.push("er: and"), "");
/// assert_eq!(stop.stopped(), Some(0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StopStrings {
    strings: Vec<String>,
    held: String,
    stopped: Option<usize>,
}

impl StopStrings {
    /// Watches for these strings; none is allowed and never stops.
    ///
    /// # Errors
    /// A string is empty.
    pub fn new<T: Into<String>>(strings: impl IntoIterator<Item = T>) -> Result<Self> {
        let strings: Vec<String> = strings.into_iter().map(Into::into).collect();
        if let Some(index) = strings.iter().position(String::is_empty) {
            return Err(Error::invalid(format!("stop strings: string {index} is empty")));
        }
        Ok(StopStrings { strings, held: String::new(), stopped: None })
    }

    /// Takes the next piece and returns the text that is certainly before any stop string. Once stopped,
    /// the rest of the text is dropped.
    pub fn push(&mut self, piece: &str) -> String {
        if self.stopped.is_some() {
            return String::new();
        }
        self.held.push_str(piece);
        if let Some((start, index)) = self.first_complete() {
            self.stopped = Some(index);
            let mut text = std::mem::take(&mut self.held);
            text.truncate(start);
            return text;
        }
        let keep = self.possible_start();
        let rest = self.held.split_off(keep);
        std::mem::replace(&mut self.held, rest)
    }

    /// Which string was found, by its place in the list.
    pub fn stopped(&self) -> Option<usize> {
        self.stopped
    }

    /// Ends the text: returns what was held back in vain.
    pub fn finish(self) -> String {
        if self.stopped.is_some() { String::new() } else { self.held }
    }

    /// Start and number of the string that is complete first.
    fn first_complete(&self) -> Option<(usize, usize)> {
        let found = self.strings.iter().enumerate().filter_map(|(index, string)| {
            let start = self.held.find(string.as_str())?;
            Some((start + string.len(), start, index))
        });
        found.min().map(|(_, start, index)| (start, index))
    }

    /// Where the longest end of the held text begins that begins a stop string.
    fn possible_start(&self) -> usize {
        let longest = self.strings.iter().map(String::len).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest.saturating_sub(1));
        (from..self.held.len())
            .filter(|&start| self.held.is_char_boundary(start))
            .find(|&start| {
                self.strings.iter().any(|string| string.starts_with(&self.held[start..]))
            })
            .unwrap_or(self.held.len())
    }
}
