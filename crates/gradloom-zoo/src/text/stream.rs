//! [`TextStream`]: what a model writes, as text while it writes it.

use crate::generation::{Decoding, Generator, Sampler, Stop};
use crate::{CausalLanguageModel, Result};
use gradloom_text::{DecodeStream, StopStrings, Tokenizer};

/// Pieces of text as a model writes them: whole characters, nothing of a stop string.
///
/// Pieces may be empty while a character or a stop string is still open.
pub struct TextStream<'a, M> {
    tokens: Decoding<'a, M>,
    /// None once it has ended.
    text: Option<(DecodeStream, StopStrings)>,
}

impl<M: CausalLanguageModel> Generator<M> {
    /// Goes on with one text, as [`decode`](Generator::decode), and turns tokens into text. The text also
    /// ends where one of `stop_strings` would begin.
    ///
    /// # Errors
    /// If a stop string is empty, or the tokenizer has tokens that the model does not know.
    ///
    /// # Panics
    /// If there are several texts.
    #[track_caller]
    pub fn decode_text<'a>(
        &'a mut self,
        tokenizer: &Tokenizer,
        sampler: &'a mut Sampler,
        stop: &Stop,
        stop_strings: &[&str],
    ) -> Result<TextStream<'a, M>> {
        tokenizer.check_fits(self.vocabulary())?;
        let strings = StopStrings::new(stop_strings.iter().copied())?;
        let text = Some((tokenizer.decode_stream(true), strings));
        Ok(TextStream { tokens: self.decode(sampler, stop), text })
    }
}

impl<M: CausalLanguageModel> Iterator for TextStream<'_, M> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Result<String>> {
        let (stream, strings) = self.text.as_mut()?;
        let outcome = match self.tokens.next() {
            Some(Ok(token)) => match stream.push(token) {
                Ok(piece) => {
                    let piece = strings.push(&piece);
                    if strings.stopped().is_none() {
                        return Some(Ok(piece));
                    }
                    Ok(piece)
                }
                Err(error) => Err(error),
            },
            Some(Err(error)) => Err(error),
            None => {
                let (stream, mut strings) = self.text.take()?;
                let rest = stream.finish();
                return Some(rest.map(|rest| strings.push(&rest) + &strings.finish()));
            }
        };
        self.text = None;
        Some(outcome)
    }
}
