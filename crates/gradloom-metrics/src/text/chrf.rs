//! [`ChrF`]: n-grams of characters, and of words, that a translation shares with its references.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ngrams::{ngrams, shared};
use super::whitespace::{is_space, words};
use crate::Accumulator;

/// Longest n-grams of characters.
const CHARACTER_ORDERS: usize = 6;

/// chrF2 (Popović, 2015) and, with words, chrF2++ (2017), as `sacrebleu.corpus_chrf`.
///
/// ```
/// use gradloom_metrics::{Accumulator, ChrF};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut chrf = ChrF::plus_plus();
/// chrf.update("the cat sat", &["the cat sat", "a cat sat"])?;
/// assert_eq!(chrf.value()?, 100.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "State")]
pub struct ChrF {
    word_orders: usize,
    sentences: u64,
    /// N-grams of the translation, of the reference and of both, for each order.
    counts: Vec<[u64; 3]>,
}

/// A saved state, of which nothing is known yet.
#[derive(Deserialize)]
struct State {
    word_orders: usize,
    sentences: u64,
    counts: Vec<[u64; 3]>,
}

impl TryFrom<State> for ChrF {
    type Error = Error;

    fn try_from(state: State) -> Result<Self> {
        let State { word_orders, sentences, counts } = state;
        if Some(counts.len()) != word_orders.checked_add(CHARACTER_ORDERS) {
            let len = counts.len();
            return Err(Error::invalid(format!(
                "chrf: a state of {len} orders, {word_orders} of words"
            )));
        }
        Ok(ChrF { word_orders, sentences, counts })
    }
}

impl Default for ChrF {
    fn default() -> Self {
        ChrF::with_words(0)
    }
}

impl ChrF {
    /// chrF2++: also words and pairs of words.
    pub fn plus_plus() -> Self {
        ChrF::with_words(2)
    }

    /// Also n-grams of up to `orders` words.
    pub fn with_words(orders: usize) -> Self {
        ChrF { word_orders: orders, sentences: 0, counts: vec![[0; 3]; CHARACTER_ORDERS + orders] }
    }

    /// Adds a sentence; of its references the one with the best score counts.
    ///
    /// # Errors
    /// Without references.
    pub fn update(&mut self, hypothesis: &str, references: &[impl AsRef<str>]) -> Result<()> {
        let mut best: Option<(f64, Vec<[u64; 3]>)> = None;
        for reference in references {
            let counts = self.compare(hypothesis, reference.as_ref());
            let score = score(&counts);
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                best = Some((score, counts));
            }
        }
        let Some((_, counts)) = best else {
            return Err(Error::invalid("chrf: a sentence without references"));
        };
        self.add(&counts);
        self.sentences += 1;
        Ok(())
    }

    fn compare(&self, hypothesis: &str, reference: &str) -> Vec<[u64; 3]> {
        let characters = |text: &str| text.chars().filter(|&c| !is_space(c)).collect::<Vec<char>>();
        let (own, other) = (characters(hypothesis), characters(reference));
        let of_characters = (1..=CHARACTER_ORDERS).map(|n| counted(&own, &other, n));
        let (words, others) = (separated(hypothesis), separated(reference));
        let of_words = (1..=self.word_orders).map(|n| counted(&words, &others, n));
        of_characters.chain(of_words).collect()
    }

    fn add(&mut self, counts: &[[u64; 3]]) {
        for (own, counts) in self.counts.iter_mut().zip(counts) {
            for (own, count) in own.iter_mut().zip(counts) {
                *own += count;
            }
        }
    }
}

fn counted<T: Eq + std::hash::Hash>(own: &[T], other: &[T], n: usize) -> [u64; 3] {
    let (own, other) = (ngrams(own, n), ngrams(other, n));
    let both = shared(&own, &other);
    // A reference that is too short for an order takes that order out on both sides.
    let len = if other.is_empty() { 0 } else { own.values().sum() };
    [len, other.values().sum(), both]
}

/// Words, with a mark of punctuation at their end or else at their start apart.
fn separated(text: &str) -> Vec<&str> {
    let mark = |c: Option<char>| c.is_some_and(|c| c.is_ascii_punctuation());
    let mut parts = Vec::new();
    for word in words(text) {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        if word.chars().nth(1).is_some() && mark(last) {
            parts.extend(<[&str; 2]>::from(word.split_at(word.len() - 1)));
        } else if word.chars().nth(1).is_some() && mark(first) {
            parts.extend(<[&str; 2]>::from(word.split_at(1)));
        } else {
            parts.push(word);
        }
    }
    parts
}

/// F2 of the means of precision and recall over the orders that both texts are long enough for.
fn score(counts: &[[u64; 3]]) -> f64 {
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for &[own, other, both] in counts {
        if own > 0 && other > 0 {
            precision += both as f64 / own as f64;
            recall += both as f64 / other as f64;
            orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    (precision, recall) = (precision / orders, recall / orders);
    100.0 * (5.0 * precision * recall / (4.0 * precision + recall))
}

impl Accumulator for ChrF {
    /// Between 0 and 100.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        if self.sentences == 0 {
            return Err(Error::invalid("chrf: no sentences"));
        }
        Ok(score(&self.counts))
    }

    fn reset(&mut self) {
        *self = ChrF::with_words(self.word_orders);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.word_orders != other.word_orders {
            let (own, other) = (self.word_orders, other.word_orders);
            return Err(Error::invalid(format!(
                "chrf: merge of {own} orders of words with {other}"
            )));
        }
        self.add(&other.counts);
        self.sentences += other.sentences;
        Ok(())
    }
}

/// [`ChrF`] of a corpus: sentences, and the references of each.
///
/// # Errors
/// Without sentences, if the lengths differ, or if a sentence has no references.
pub fn chrf<R: AsRef<str>>(
    hypotheses: &[impl AsRef<str>],
    references: &[impl AsRef<[R]>],
) -> Result<f64> {
    let lens = (("sentences", hypotheses.len()), ("lists of references", references.len()));
    crate::inputs::same_length("chrf", lens.0, lens.1)?;
    let mut state = ChrF::default();
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        state.update(hypothesis.as_ref(), references.as_ref())?;
    }
    state.value()
}
