//! [`MaskedTokens`]: hides tokens of a text, for a model that learns to say what stood there.

use std::collections::BTreeSet;

use crate::random::RandomStream;
use gradloom_tensor::Key;

/// The target of a token that nothing is asked about: what a loss ignores
/// (`CrossEntropyOptions::ignore_index`).
pub const IGNORED: i32 = -100;

/// Chooses 15% of the tokens; of these 80% become the mask, 10% a random token, and 10% stay.
///
/// Python: `transformers.DataCollatorForLanguageModeling`. Devlin et al., "BERT", 2018.
///
/// ```
/// use gradloom_data::text::{IGNORED, MaskedTokens};
/// use gradloom_tensor::Key;
///
/// let masking = MaskedTokens::new(4, 100, [0, 1, 2, 3, 4]);
/// let text: Vec<u32> = [2].into_iter().chain(50..90).chain([3]).collect();
/// let masked = masking.apply(&text, Key::new(0));
/// assert_eq!(masked.tokens.len(), text.len());
/// assert_eq!(masked.targets[0], IGNORED);
/// assert!(masked.tokens.contains(&4));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedTokens {
    mask: u32,
    ordinary: Vec<u32>,
    special: BTreeSet<u32>,
    chosen: f32,
    masked: f32,
    random: f32,
}

/// A text with hidden tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaskedText {
    /// What the model sees.
    pub tokens: Vec<u32>,
    /// The token that stood there, where one was chosen; [`IGNORED`] elsewhere.
    pub targets: Vec<i32>,
}

impl MaskedText {
    /// Where tokens were chosen in a batch of texts filled up to `length` tokens, counted through the
    /// batch, and what stood there. Both lists are filled up to `count` with place 0 and [`IGNORED`], so
    /// that every batch has the same shape; what is chosen beyond that is left out.
    ///
    /// ```
    /// use gradloom_data::text::{IGNORED, MaskedText};
    ///
    /// let one = MaskedText { tokens: vec![4, 8], targets: vec![7, IGNORED] };
    /// let two = MaskedText { tokens: vec![4, 4], targets: vec![IGNORED, 9] };
    /// let (places, targets) = MaskedText::places(&[one, two], 5, 3);
    /// assert_eq!((places, targets), (vec![0, 6, 0], vec![7, 9, IGNORED]));
    /// ```
    pub fn places(texts: &[MaskedText], length: usize, count: usize) -> (Vec<i32>, Vec<i32>) {
        let rows = texts.iter().enumerate();
        let chosen = rows.flat_map(|(row, text)| {
            let targets = text.targets.iter().take(length).enumerate();
            let chosen = targets.filter(|(_, target)| **target != IGNORED);
            chosen.map(move |(place, &target)| ((row * length + place) as i32, target))
        });
        let (mut places, mut targets): (Vec<i32>, Vec<i32>) = chosen.take(count).unzip();
        places.resize(count, 0);
        targets.resize(count, IGNORED);
        (places, targets)
    }
}

impl MaskedTokens {
    /// With the mask's token, the number of tokens there are, and those that are never chosen and never
    /// put in: the mask itself, padding, and what stands between sentences.
    ///
    /// # Panics
    /// If all tokens are special.
    #[track_caller]
    pub fn new(mask: u32, vocabulary: usize, special: impl IntoIterator<Item = u32>) -> Self {
        let special: BTreeSet<u32> = special.into_iter().chain([mask]).collect();
        let ordinary: Vec<u32> =
            (0..vocabulary as u32).filter(|token| !special.contains(token)).collect();
        assert!(!ordinary.is_empty(), "masked tokens: all {vocabulary} tokens are special");
        MaskedTokens { mask, ordinary, special, chosen: 0.15, masked: 0.8, random: 0.1 }
    }

    /// Sets the share of tokens that are chosen.
    #[must_use]
    pub fn chosen(mut self, share: f32) -> Self {
        self.chosen = share;
        self
    }

    /// Sets which shares of the chosen become the mask, and a random token; the rest stay.
    #[must_use]
    pub fn shares(mut self, masked: f32, random: f32) -> Self {
        (self.masked, self.random) = (masked, random);
        self
    }

    /// Hides tokens of a text. The same key hides the same.
    pub fn apply(&self, text: &[u32], key: Key) -> MaskedText {
        let mut stream = RandomStream::new(key);
        let mut targets = vec![IGNORED; text.len()];
        let mut tokens = text.to_vec();
        for (token, target) in tokens.iter_mut().zip(&mut targets) {
            if self.special.contains(token) || !stream.chance(self.chosen) {
                continue;
            }
            *target = *token as i32;
            let fate = stream.unit();
            if fate < self.masked {
                *token = self.mask;
            } else if fate < self.masked + self.random {
                *token = self.ordinary[stream.below(self.ordinary.len())];
            }
        }
        MaskedText { tokens, targets }
    }
}

#[cfg(test)]
mod tests {
    use super::{IGNORED, MaskedTokens};
    use gradloom_tensor::Key;

    #[test]
    fn shares_are_as_told_and_special_tokens_stay() {
        let masking = MaskedTokens::new(4, 1000, 0..5);
        let text: Vec<u32> = (0..100_000).map(|index| index % 1000).collect();
        let masked = masking.apply(&text, Key::new(7));
        let [mut chosen, mut hidden, mut replaced, mut kept] = [0.0; 4];
        for ((&old, &new), &target) in text.iter().zip(&masked.tokens).zip(&masked.targets) {
            if target == IGNORED {
                assert_eq!(old, new);
                continue;
            }
            assert!(old >= 5 && target == old as i32);
            chosen += 1.0;
            hidden += f64::from(new == 4);
            kept += f64::from(new == old);
            replaced += f64::from(new != 4 && new != old);
            assert!(new >= 4);
        }
        let ordinary = text.iter().filter(|&&token| token >= 5).count() as f64;
        for (share, expected) in [
            (chosen / ordinary, 0.15),
            (hidden / chosen, 0.8),
            (replaced / chosen, 0.1),
            (kept / chosen, 0.1),
        ] {
            assert!((share - expected).abs() < 0.01, "{share} instead of {expected}");
        }
    }

    #[test]
    fn the_key_decides() {
        let masking = MaskedTokens::new(1, 50, [0]);
        let text: Vec<u32> = (2..50).collect();
        assert_eq!(masking.apply(&text, Key::new(1)), masking.apply(&text, Key::new(1)));
        assert_ne!(masking.apply(&text, Key::new(1)), masking.apply(&text, Key::new(2)));
    }
}
