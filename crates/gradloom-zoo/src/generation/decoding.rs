//! [`Decoding`]: what a generator writes, token by token.
//!
//! A token that is chosen is part of its text at once, and fed when the text goes on. So a text may go on
//! in a later call as if it were the same one, and the last token of all needs no pass.

use crate::generation::{Generator, Sampler, Stop};
use crate::{CausalLanguageModel, Result, error};

impl<M: CausalLanguageModel> Generator<M> {
    /// Goes on with one text: tokens as they are chosen. [`prefill`](Generator::prefill) comes before. Calls
    /// that follow one another write what one longer call writes.
    ///
    /// # Panics
    /// If there are several texts; see [`decode_all`](Generator::decode_all).
    #[track_caller]
    pub fn decode<'a>(&'a mut self, sampler: &'a mut Sampler, stop: &Stop) -> Decoding<'a, M> {
        assert!(self.texts.len() == 1, "decode: {} texts; use decode_all", self.texts.len());
        Decoding { generator: self, sampler, stop: stop.clone(), decoded: 0, ended: false }
    }

    /// Goes on with all texts, each with its own sampler, until all have ended: by a token that stops, by
    /// their number, or where the cache has no place for one more, which lets the others go on. A text has
    /// then one token more than the [`capacity`](Generator::capacity).
    ///
    /// # Errors
    /// As [`Generator::prefill`] but for the capacity, and what a sampler reports.
    pub fn decode_all(&mut self, samplers: &mut [Sampler], stop: &Stop) -> Result<Vec<Vec<u32>>> {
        let count = self.texts.len();
        if samplers.len() != count || self.logits.is_empty() {
            let given = samplers.len();
            return Err(error::generation(format!(
                "{given} samplers for {count} texts that were prefilled"
            )));
        }
        let mut decoded = vec![Vec::new(); count];
        let mut going = vec![stop.tokens_max > 0; count];
        for _ in 0..stop.tokens_max {
            for (text, going) in going.iter_mut().enumerate() {
                *going &= self.has_room(text);
            }
            self.catch_up(&going)?;
            for text in 0..count {
                if !going[text] {
                    continue;
                }
                let token = self.choose(text, &mut samplers[text], stop)?;
                decoded[text].extend(token);
                going[text] = token.is_some();
            }
            if !going.contains(&true) {
                break;
            }
        }
        Ok(decoded)
    }

    /// Whether what a text still has to feed, if anything, fits the cache.
    fn has_room(&self, text: usize) -> bool {
        self.fed[text] == self.texts[text].len() || !self.is_full(text)
    }

    /// Chooses the next token of a text whose tokens are all fed, and adds it to the text unless it stops.
    fn choose(&mut self, text: usize, sampler: &mut Sampler, stop: &Stop) -> Result<Option<u32>> {
        // The logits stay what the model said, for whoever asks again.
        let mut logits = std::mem::take(&mut self.scratch);
        logits.clear();
        logits.extend_from_slice(self.logits(text));
        let token = sampler.sample(&mut logits, &self.texts[text]);
        self.scratch = logits;
        let token = Some(token?).filter(|token| !stop.tokens.contains(token));
        self.texts[text].extend(token);
        Ok(token)
    }
}

/// New tokens of one text, as they are chosen.
pub struct Decoding<'a, M> {
    generator: &'a mut Generator<M>,
    sampler: &'a mut Sampler,
    stop: Stop,
    decoded: usize,
    ended: bool,
}

impl<M: CausalLanguageModel> Decoding<'_, M> {
    fn advance(&mut self) -> Result<Option<u32>> {
        if self.generator.logits.is_empty() {
            return Err(error::generation("nothing was prefilled; prefill a prompt first"));
        }
        if self.decoded == self.stop.tokens_max {
            return Ok(None);
        }
        self.generator.catch_up(&[true])?;
        self.decoded += 1;
        self.generator.choose(0, self.sampler, &self.stop)
    }
}

impl<M: CausalLanguageModel> Iterator for Decoding<'_, M> {
    type Item = Result<u32>;

    fn next(&mut self) -> Option<Result<u32>> {
        if self.ended {
            return None;
        }
        let next = self.advance().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}
