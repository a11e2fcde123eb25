//! [`Rouge`]: what a summary shares with its references.

use std::collections::{BTreeSet, HashMap};

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use super::ngrams::{ngrams, shared};
use crate::Accumulator;

/// Precision, recall and their harmonic mean, between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeScore {
    /// Of the summary, the share that the reference has.
    pub precision: f64,
    /// Of the reference, the share that the summary has.
    pub recall: f64,
    /// F1 of the two.
    pub f: f64,
}

/// The four figures of ROUGE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RougeReport {
    /// Of words.
    pub rouge_1: RougeScore,
    /// Of pairs of neighbours.
    pub rouge_2: RougeScore,
    /// Of the longest common subsequence.
    pub rouge_l: RougeScore,
    /// Of the union of the longest common subsequences of lines.
    pub rouge_l_sum: RougeScore,
}

/// Means over summaries (Lin, 2004), as `rouge_score.rouge_scorer` without stemming: lower case, words of
/// ASCII letters and digits, sentences by lines.
///
/// ```
/// use gradloom_metrics::{Accumulator, Rouge};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut rouge = Rouge::default();
/// rouge.update("the cat was found under the bed", &["the cat was under the bed"])?;
/// assert_eq!(rouge.value()?.rouge_1.recall, 1.0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rouge {
    sum: RougeReport,
    samples: u64,
}

impl Rouge {
    /// Adds a summary; of its references the one with the best F counts, for each figure.
    ///
    /// # Errors
    /// Without references.
    pub fn update(&mut self, prediction: &str, references: &[impl AsRef<str>]) -> Result<()> {
        let mut reports =
            references.iter().map(|reference| compare(reference.as_ref(), prediction));
        let Some(mut best) = reports.next() else {
            return Err(Error::invalid("rouge: a summary without references"));
        };
        for report in reports {
            best =
                combined(best, report, |best, other| if other.f > best.f { other } else { best });
        }
        self.sum = combined(self.sum, best, added);
        self.samples += 1;
        Ok(())
    }
}

fn added(left: RougeScore, right: RougeScore) -> RougeScore {
    RougeScore {
        precision: left.precision + right.precision,
        recall: left.recall + right.recall,
        f: left.f + right.f,
    }
}

fn combined(
    left: RougeReport,
    right: RougeReport,
    with: fn(RougeScore, RougeScore) -> RougeScore,
) -> RougeReport {
    RougeReport {
        rouge_1: with(left.rouge_1, right.rouge_1),
        rouge_2: with(left.rouge_2, right.rouge_2),
        rouge_l: with(left.rouge_l, right.rouge_l),
        rouge_l_sum: with(left.rouge_l_sum, right.rouge_l_sum),
    }
}

impl Accumulator for Rouge {
    type Value = RougeReport;

    fn value(&self) -> Result<RougeReport> {
        if self.samples == 0 {
            return Err(Error::invalid("rouge: no summaries"));
        }
        let count = self.samples as f64;
        let mean = |sum: RougeScore| RougeScore {
            precision: sum.precision / count,
            recall: sum.recall / count,
            f: sum.f / count,
        };
        Ok(RougeReport {
            rouge_1: mean(self.sum.rouge_1),
            rouge_2: mean(self.sum.rouge_2),
            rouge_l: mean(self.sum.rouge_l),
            rouge_l_sum: mean(self.sum.rouge_l_sum),
        })
    }

    fn reset(&mut self) {
        *self = Rouge::default();
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        self.sum = combined(self.sum, other.sum, added);
        self.samples += other.samples;
        Ok(())
    }
}

/// [`Rouge`] of one summary and its references.
///
/// # Errors
/// Without references.
pub fn rouge(prediction: &str, references: &[impl AsRef<str>]) -> Result<RougeReport> {
    let mut state = Rouge::default();
    state.update(prediction, references)?;
    state.value()
}

fn compare(reference: &str, prediction: &str) -> RougeReport {
    let (target, own) = (tokens(reference), tokens(prediction));
    let of_runs = |n: usize| {
        let (target, own) = (ngrams(&target, n), ngrams(&own, n));
        figures(shared(&target, &own), own.values().sum(), target.values().sum())
    };
    let common = lengths(&target, &own).last().and_then(|row| row.last()).copied().unwrap_or(0);
    let lines = |text: &str| -> Vec<Vec<String>> {
        text.split('\n').filter(|line| !line.is_empty()).map(tokens).collect()
    };
    RougeReport {
        rouge_1: of_runs(1),
        rouge_2: of_runs(2),
        rouge_l: figures(u64::from(common), own.len() as u64, target.len() as u64),
        rouge_l_sum: of_lines(&lines(reference), &lines(prediction)),
    }
}

fn tokens(text: &str) -> Vec<String> {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()));
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn figures(both: u64, own: u64, target: u64) -> RougeScore {
    let precision = both as f64 / own.max(1) as f64;
    let recall = both as f64 / target.max(1) as f64;
    let sum = precision + recall;
    let f = if sum > 0.0 { 2.0 * precision * recall / sum } else { 0.0 };
    RougeScore { precision, recall, f }
}

/// Lengths of the longest common subsequences of all beginnings.
fn lengths(target: &[String], own: &[String]) -> Vec<Vec<u32>> {
    let mut table = vec![vec![0; own.len() + 1]; target.len() + 1];
    for row in 1..=target.len() {
        for column in 1..=own.len() {
            table[row][column] = if target[row - 1] == own[column - 1] {
                table[row - 1][column - 1] + 1
            } else {
                table[row - 1][column].max(table[row][column - 1])
            };
        }
    }
    table
}

/// Places in `target` of one longest common subsequence.
fn places(target: &[String], own: &[String]) -> Vec<usize> {
    let table = lengths(target, own);
    let (mut row, mut column, mut found) = (target.len(), own.len(), Vec::new());
    while row > 0 && column > 0 {
        if target[row - 1] == own[column - 1] {
            found.push(row - 1);
            row -= 1;
            column -= 1;
        } else if table[row][column - 1] > table[row - 1][column] {
            column -= 1;
        } else {
            row -= 1;
        }
    }
    found
}

fn of_lines(target: &[Vec<String>], own: &[Vec<String>]) -> RougeScore {
    let count = |lines: &[Vec<String>]| lines.iter().map(Vec::len).sum::<usize>() as u64;
    let left = |lines: &[Vec<String>]| {
        let mut left: HashMap<String, u64> = HashMap::new();
        for word in lines.iter().flatten() {
            *left.entry(word.clone()).or_insert(0) += 1;
        }
        left
    };
    let (mut targets, mut owns, mut hits) = (left(target), left(own), 0);
    for line in target {
        let union: BTreeSet<usize> = own.iter().flat_map(|other| places(line, other)).collect();
        for place in union {
            let word = &line[place];
            // A word counts no more often than both texts have it.
            if let (Some(target @ 1..), Some(own @ 1..)) =
                (targets.get_mut(word), owns.get_mut(word))
            {
                hits += 1;
                *target -= 1;
                *own -= 1;
            }
        }
    }
    figures(hits, count(own), count(target))
}
