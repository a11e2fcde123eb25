//! How high a ranking puts what was looked for: NDCG, reciprocal rank, hit rate.

use gradloom_error::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::inputs::{Label, finite, not_empty, same_length};
use crate::{Accumulator, Mean};

/// Normalised discounted cumulative gain of the first `k` items (all with `None`), with the gain of tied
/// items averaged over their ranks; 0 where nothing is relevant. Gains are linear. As
/// `sklearn.metrics.ndcg_score` of one query.
///
/// # Errors
/// Without items, if the lengths differ, or if a number is not finite or a relevance negative.
pub fn ndcg<S: Copy + Into<f64>>(relevance: &[S], scores: &[S], k: Option<usize>) -> Result<f64> {
    let (relevance, scores) = query("ndcg", relevance, scores)?;
    Ok(normalised(discounted_with_ties(&relevance, &scores, k), &relevance, k))
}

/// As [`ndcg`], with tied items in their order: `sklearn.metrics.ndcg_score(ignore_ties=True)`, which leaves
/// the order of tied items open.
///
/// # Errors
/// As [`ndcg`].
pub fn ndcg_in_order<S: Copy + Into<f64>>(
    relevance: &[S],
    scores: &[S],
    k: Option<usize>,
) -> Result<f64> {
    let (relevance, scores) = query("ndcg", relevance, scores)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let ranked: Vec<f64> = order.into_iter().map(|item| relevance[item]).collect();
    Ok(normalised(discounted(&ranked, k), &relevance, k))
}

fn query<S: Copy + Into<f64>>(
    metric: &str,
    relevance: &[S],
    scores: &[S],
) -> Result<(Vec<f64>, Vec<f64>)> {
    same_length(metric, ("relevances", relevance.len()), ("scores", scores.len()))?;
    not_empty(metric, scores.len())?;
    let relevance = finite(metric, "relevance", relevance)?;
    if let Some(at) = relevance.iter().position(|&relevance| relevance < 0.0) {
        let relevance = relevance[at];
        return Err(Error::invalid(format!("{metric}: relevance {at} is {relevance}, below 0")));
    }
    // Zero has two signs, which must tie.
    let scores = finite(metric, "score", scores)?.into_iter().map(|score| score + 0.0).collect();
    Ok((relevance, scores))
}

fn discount(rank: usize, k: Option<usize>) -> f64 {
    if k.is_some_and(|k| rank >= k) { 0.0 } else { 1.0 / ((rank + 2) as f64).log2() }
}

fn discounted(ranked: &[f64], k: Option<usize>) -> f64 {
    ranked.iter().enumerate().map(|(rank, gain)| gain * discount(rank, k)).sum()
}

fn discounted_with_ties(relevance: &[f64], scores: &[f64], k: Option<usize>) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
    let (mut sum, mut rank) = (0.0, 0);
    for tied in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let gain = tied.iter().map(|&item| relevance[item]).sum::<f64>() / tied.len() as f64;
        let discounts: f64 = (rank..rank + tied.len()).map(|rank| discount(rank, k)).sum();
        sum += gain * discounts;
        rank += tied.len();
    }
    sum
}

fn normalised(gain: f64, relevance: &[f64], k: Option<usize>) -> f64 {
    let mut ideal = relevance.to_vec();
    ideal.sort_by(|a, b| b.total_cmp(a));
    let ideal = discounted(&ideal, k);
    if ideal == 0.0 { 0.0 } else { gain / ideal }
}

/// Rank of the first relevant item, counted from 1; tied items keep their order.
fn first_rank<S: Copy + Into<f64>>(
    metric: &str,
    relevant: &[impl Label],
    scores: &[S],
) -> Result<Option<usize>> {
    same_length(metric, ("relevances", relevant.len()), ("scores", scores.len()))?;
    not_empty(metric, scores.len())?;
    let scores = finite(metric, "score", scores)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| (scores[b] + 0.0).total_cmp(&(scores[a] + 0.0)));
    let first =
        order.iter().position(|&item| relevant[item].class().is_some_and(|label| label > 0));
    Ok(first.map(|rank| rank + 1))
}

/// One by the rank of the first relevant item of a query; 0 if none is. Items with a label above 0 are
/// relevant, and tied items keep their order. Its mean over queries is the mean reciprocal rank.
///
/// # Errors
/// Without items, if the lengths differ, or if a score is not finite.
pub fn reciprocal_rank<S: Copy + Into<f64>>(relevant: &[impl Label], scores: &[S]) -> Result<f64> {
    let rank = first_rank("reciprocal rank", relevant, scores)?;
    Ok(rank.map_or(0.0, |rank| 1.0 / rank as f64))
}

/// 1 if a relevant item is among the first `k` of a query, else 0; its mean over queries is the hit rate.
///
/// # Errors
/// As [`reciprocal_rank`].
pub fn hit_rate<S: Copy + Into<f64>>(
    relevant: &[impl Label],
    scores: &[S],
    k: usize,
) -> Result<f64> {
    let rank = first_rank("hit rate", relevant, scores)?;
    Ok(f64::from(u8::from(rank.is_some_and(|rank| rank <= k))))
}

/// Means of the figures of rankings over queries.
///
/// ```
/// use gradloom_metrics::{Accumulator, RankingMeans};
///
/// # fn main() -> gradloom_metrics::Result<()> {
/// let mut means = RankingMeans::new(Some(1));
/// means.update(&[0, 1, 0], &[0.1, 0.9, 0.3])?;
/// means.update(&[1, 0, 0], &[0.3, 0.9, 0.1])?;
/// let report = means.value()?;
/// assert_eq!((report.reciprocal_rank, report.hit_rate, report.ndcg), (0.75, 0.5, 0.5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankingMeans {
    k: Option<usize>,
    ndcg: Mean,
    reciprocal: Mean,
    hits: Mean,
}

/// Figures of [`RankingMeans`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RankingReport {
    /// Mean of [`ndcg`].
    pub ndcg: f64,
    /// Mean of [`reciprocal_rank`], over all items.
    pub reciprocal_rank: f64,
    /// Mean of [`hit_rate`].
    pub hit_rate: f64,
}

impl RankingMeans {
    /// Of the first `k` items, or of all.
    pub fn new(k: Option<usize>) -> Self {
        let none = Mean::default();
        RankingMeans { k, ndcg: none, reciprocal: none, hits: none }
    }

    /// Adds a query: how relevant each item is (0 is not) and the scores that rank them.
    ///
    /// # Errors
    /// As [`ndcg`].
    pub fn update(&mut self, relevance: &[u32], scores: &[f64]) -> Result<()> {
        let gains: Vec<f64> = relevance.iter().map(|&gain| f64::from(gain)).collect();
        let gain = ndcg(&gains, scores, self.k)?;
        let reciprocal = reciprocal_rank(relevance, scores)?;
        let hit = hit_rate(relevance, scores, self.k.unwrap_or(scores.len()))?;
        self.ndcg.update(gain, 1.0)?;
        self.reciprocal.update(reciprocal, 1.0)?;
        self.hits.update(hit, 1.0)
    }
}

impl Accumulator for RankingMeans {
    type Value = RankingReport;

    fn value(&self) -> Result<RankingReport> {
        not_empty("ranking", self.ndcg.weight() as usize)?;
        Ok(RankingReport {
            ndcg: self.ndcg.value()?,
            reciprocal_rank: self.reciprocal.value()?,
            hit_rate: self.hits.value()?,
        })
    }

    fn reset(&mut self) {
        *self = RankingMeans::new(self.k);
    }

    fn merge(&mut self, other: &Self) -> Result<()> {
        if self.k != other.k {
            let (own, other) = (self.k, other.k);
            return Err(Error::invalid(format!("ranking: merge of k {own:?} with k {other:?}")));
        }
        self.ndcg.merge(&other.ndcg)?;
        self.reciprocal.merge(&other.reciprocal)?;
        self.hits.merge(&other.hits)
    }
}
