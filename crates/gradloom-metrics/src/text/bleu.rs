//! [`Bleu`]: n-grams that a translation shares with its references.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ngrams::ngrams;
use super::tokens_13a::tokenize_13a;
use super::whitespace::is_space;
use crate::Accumulator;

/// Longest n-grams that count.
const ORDERS: usize = 4;

/// BLEU of a corpus (Papineni et al., 2002) as `sacrebleu.corpus_bleu`: tokens of `13a`, exponential
/// smoothing. The signature is `nrefs:var|case:mixed|eff:no|tok:13a|smooth:exp`.
///
/// ```
/// use gradloom_metrics::{Accumulator, Bleu};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut bleu = Bleu::default();
/// bleu.update("The cat sat on the mat.", &["The cat sat on the mat."])?;
/// assert!((bleu.value()?.score - 100.0).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bleu {
    lowercase: bool,
    effective_order: bool,
    sentences: u64,
    correct: [u64; ORDERS],
    total: [u64; ORDERS],
    len: u64,
    reference_len: u64,
}

/// BLEU and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BleuReport {
    /// Between 0 and 100.
    pub score: f64,
    /// Precisions of n-grams of 1 to 4 tokens, smoothed, in percent.
    pub precisions: [f64; ORDERS],
    /// What the precisions' mean is multiplied by because the translation is short.
    pub brevity_penalty: f64,
    /// Tokens of the translations.
    pub len: u64,
    /// Tokens of the references, the closest in length for each sentence.
    pub reference_len: u64,
}

impl Bleu {
    /// Without regard to case.
    #[must_use]
    pub fn lowercase(mut self) -> Self {
        self.lowercase = true;
        self
    }

    /// Leaves out orders that a text is too short for: for single sentences, as
    /// `sacrebleu.sentence_bleu` does.
    #[must_use]
    pub fn effective_order(mut self) -> Self {
        self.effective_order = true;
        self
    }

    /// Adds a sentence and its references.
    ///
    /// # Errors
    /// Without references.
    pub fn update(&mut self, hypothesis: &str, references: &[impl AsRef<str>]) -> Result<()> {
        if references.is_empty() {
            return Err(Error::invalid("bleu: a sentence without references"));
        }
        let own = self.tokens(hypothesis);
        let references: Vec<Vec<String>> =
            references.iter().map(|reference| self.tokens(reference.as_ref())).collect();
        let lens = references.iter().map(Vec::len);
        let closest = lens.min_by_key(|&len| (len.abs_diff(own.len()), len)).unwrap_or(0);
        for order in 0..ORDERS {
            let counts = ngrams(&own, order + 1);
            let known: Vec<_> =
                references.iter().map(|reference| ngrams(reference, order + 1)).collect();
            for (run, count) in counts {
                let most = known.iter().filter_map(|counts| counts.get(run)).max();
                self.correct[order] += count.min(most.copied().unwrap_or(0));
                self.total[order] += count;
            }
        }
        self.sentences += 1;
        self.len += own.len() as u64;
        self.reference_len += closest as u64;
        Ok(())
    }

    fn tokens(&self, text: &str) -> Vec<String> {
        let text = text.trim_end_matches(is_space);
        if self.lowercase { tokenize_13a(&text.to_lowercase()) } else { tokenize_13a(text) }
    }

    /// The figures of the counts; all 0 if nothing is shared.
    fn report(&self) -> BleuReport {
        let (len, reference_len) = (self.len as f64, self.reference_len as f64);
        let brevity_penalty = if self.len >= self.reference_len {
            1.0
        } else if self.len == 0 {
            0.0
        } else {
            (1.0 - reference_len / len).exp()
        };
        let mut report = BleuReport {
            score: 0.0,
            precisions: [0.0; ORDERS],
            brevity_penalty,
            len: self.len,
            reference_len: self.reference_len,
        };
        if self.correct == [0; ORDERS] {
            return report;
        }
        let (mut smoothing, mut orders) = (1.0, ORDERS);
        for order in 0..ORDERS {
            let (correct, total) = (self.correct[order] as f64, self.total[order] as f64);
            if total == 0.0 {
                break;
            }
            if self.effective_order {
                orders = order + 1;
            }
            report.precisions[order] = if correct == 0.0 {
                smoothing *= 2.0;
                100.0 / (smoothing * total)
            } else {
                100.0 * correct / total
            };
        }
        let log = |p: &f64| if *p == 0.0 { -9_999_999_999.0 } else { p.ln() };
        let sum: f64 = report.precisions[..orders].iter().map(log).sum();
        report.score = brevity_penalty * (sum / orders as f64).exp();
        report
    }
}

impl Accumulator for Bleu {
    type Value = BleuReport;

    fn value(&self) -> Result<BleuReport> {
        if self.sentences == 0 {
            return Err(Error::invalid("bleu: no sentences"));
        }
        Ok(self.report())
    }

    fn reset(&mut self) {
        let (lowercase, effective_order) = (self.lowercase, self.effective_order);
        *self = Bleu { lowercase, effective_order, ..Bleu::default() };
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if (self.lowercase, self.effective_order) != (other.lowercase, other.effective_order) {
            return Err(Error::invalid("bleu: merge of states with other settings"));
        }
        for order in 0..ORDERS {
            self.correct[order] += other.correct[order];
            self.total[order] += other.total[order];
        }
        self.sentences += other.sentences;
        self.len += other.len;
        self.reference_len += other.reference_len;
        Ok(())
    }
}

/// [`Bleu`] of a corpus: sentences, and the references of each.
///
/// # Errors
/// Without sentences, if the lengths differ, or if a sentence has no references.
pub fn bleu<R: AsRef<str>>(
    hypotheses: &[impl AsRef<str>],
    references: &[impl AsRef<[R]>],
) -> Result<f64> {
    let lens = (("sentences", hypotheses.len()), ("lists of references", references.len()));
    crate::inputs::same_length("bleu", lens.0, lens.1)?;
    let mut state = Bleu::default();
    for (hypothesis, references) in hypotheses.iter().zip(references) {
        state.update(hypothesis.as_ref(), references.as_ref())?;
    }
    Ok(state.value()?.score)
}
