//! [`ErrorRate`]: edits between what was said and what was understood.

use gradloom_error::Result;
use serde::{Deserialize, Serialize};

use super::whitespace::is_space;
use crate::Accumulator;
use crate::inputs::{not_empty, same_length};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Words between spaces.
    Word,
    /// Characters, spaces included, after those at both ends are cut off.
    Character,
}

/// Edits (substitutions, insertions, deletions) by units of the reference, over all sentences. As
/// `jiwer.wer` and `jiwer.cer`: case and punctuation count, so put texts into one form first.
///
/// ```
/// use gradloom_metrics::{Accumulator, ErrorRate, Unit};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut words = ErrorRate::new(Unit::Word);
/// words.update("hello world", "hello word")?;
/// words.update("one two", "one two")?;
/// assert_eq!(words.value()?, 0.25);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorRate {
    unit: Unit,
    sentences: u64,
    counts: EditCounts,
}

/// What an [`ErrorRate`] is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditCounts {
    /// Fewest edits that turn the references into the hypotheses.
    pub edits: u64,
    /// Units of the references.
    pub units: u64,
}

impl ErrorRate {
    /// Of words or characters.
    pub fn new(unit: Unit) -> Self {
        ErrorRate { unit, sentences: 0, counts: EditCounts::default() }
    }

    /// Adds a sentence: what is right, and what was understood.
    ///
    /// # Errors
    /// None: texts are always comparable. A `Result` as all metrics have it.
    pub fn update(&mut self, reference: &str, hypothesis: &str) -> Result<()> {
        let (edits, units) = match self.unit {
            Unit::Word => {
                let (reference, hypothesis) = (collapsed(reference), collapsed(hypothesis));
                edits(&words(&reference), &words(&hypothesis))
            }
            Unit::Character => {
                let characters = |text: &str| text.trim_matches(is_space).chars().collect();
                let (left, right): (Vec<char>, Vec<char>) =
                    (characters(reference), characters(hypothesis));
                edits(&left, &right)
            }
        };
        self.counts.edits += edits;
        self.counts.units += units;
        self.sentences += 1;
        Ok(())
    }

    /// The counts so far.
    pub fn counts(&self) -> EditCounts {
        self.counts
    }
}

/// Two or more characters of space are one space; a single one stays what it is.
fn collapsed(text: &str) -> String {
    let (mut result, mut spaces) = (String::with_capacity(text.len()), String::new());
    for character in text.trim_matches(is_space).chars() {
        if is_space(character) {
            spaces.push(character);
            continue;
        }
        result.push_str(if spaces.chars().nth(1).is_some() { " " } else { &spaces });
        spaces.clear();
        result.push(character);
    }
    result
}

fn words(text: &str) -> Vec<&str> {
    text.split(' ').filter(|word| !word.is_empty()).collect()
}

/// Levenshtein's distance, and the length of the reference.
fn edits<T: PartialEq>(reference: &[T], hypothesis: &[T]) -> (u64, u64) {
    let mut row: Vec<u64> = (0..=hypothesis.len() as u64).collect();
    for (index, unit) in reference.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = index as u64 + 1;
        for (column, other) in hypothesis.iter().enumerate() {
            let replaced = diagonal + u64::from(unit != other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    (row[hypothesis.len()], reference.len() as u64)
}

impl Accumulator for ErrorRate {
    /// May exceed 1. Where all references are empty, the number of insertions, as in `jiwer`.
    type Value = f64;

    fn value(&self) -> Result<f64> {
        not_empty("error rate", usize::from(self.sentences > 0))?;
        Ok(self.counts.edits as f64 / self.counts.units.max(1) as f64)
    }

    fn reset(&mut self) {
        *self = ErrorRate::new(self.unit);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.unit != other.unit {
            let (own, other) = (self.unit, other.unit);
            return Err(gradloom_error::Error::invalid(format!(
                "error rate: merge of {own:?} with {other:?}"
            )));
        }
        self.counts.edits += other.counts.edits;
        self.counts.units += other.counts.units;
        self.sentences += other.sentences;
        Ok(())
    }
}

fn rate(unit: Unit, references: &[impl AsRef<str>], hypotheses: &[impl AsRef<str>]) -> Result<f64> {
    let lens = (("references", references.len()), ("hypotheses", hypotheses.len()));
    same_length("error rate", lens.0, lens.1)?;
    let mut state = ErrorRate::new(unit);
    for (reference, hypothesis) in references.iter().zip(hypotheses) {
        state.update(reference.as_ref(), hypothesis.as_ref())?;
    }
    state.value()
}

/// Word error rate over sentences, see [`ErrorRate`].
///
/// # Errors
/// Without sentences, or if the lengths differ.
pub fn wer(references: &[impl AsRef<str>], hypotheses: &[impl AsRef<str>]) -> Result<f64> {
    rate(Unit::Word, references, hypotheses)
}

/// Character error rate over sentences, see [`ErrorRate`].
///
/// # Errors
/// Without sentences, or if the lengths differ.
pub fn cer(references: &[impl AsRef<str>], hypotheses: &[impl AsRef<str>]) -> Result<f64> {
    rate(Unit::Character, references, hypotheses)
}
