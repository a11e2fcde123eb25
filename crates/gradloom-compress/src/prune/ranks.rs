//! Which elements of scores are the least, in exact numbers also where scores are equal.

use super::errors::mismatch;
use gradloom_tensor::{Result, Tensor};

/// Which weights of scores go, and how many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sparsity {
    /// This part of each weight, rounded to a whole number of elements. PyTorch:
    /// `torch.nn.utils.prune.l1_unstructured`.
    PerLayer(f64),
    /// This part of all weights together. PyTorch: `torch.nn.utils.prune.global_unstructured`.
    Global(f64),
    /// Of every `m` weights side by side along the inputs `n` stay, as 2 of 4 do for sparse tensor cores. Mishra et
    /// al., "Accelerating sparse deep neural networks", 2021.
    Pattern {
        /// How many stay.
        n: usize,
        /// Of so many.
        m: usize,
    },
}

impl Sparsity {
    /// The part of the weights that goes.
    pub fn part(&self) -> f64 {
        match *self {
            Sparsity::PerLayer(part) | Sparsity::Global(part) => part,
            Sparsity::Pattern { n, m } => 1.0 - n as f64 / m as f64,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match *self {
            Sparsity::PerLayer(part) | Sparsity::Global(part) if !(0.0..1.0).contains(&part) => {
                Err(mismatch(format!(
                    "prune: a sparsity of {part}; give a part of the weights within 0..1"
                )))
            }
            Sparsity::Pattern { n, m } if n == 0 || n >= m => Err(mismatch(format!(
                "prune: {n} of {m} weights stay; give at least 1 and fewer than all"
            ))),
            _ => Ok(()),
        }
    }

    /// The same kind with another part. A pattern has no parts.
    #[must_use]
    pub(super) fn with_part(self, part: f64) -> Sparsity {
        match self {
            Sparsity::PerLayer(_) => Sparsity::PerLayer(part),
            Sparsity::Global(_) => Sparsity::Global(part),
            pattern @ Sparsity::Pattern { .. } => pattern,
        }
    }
}

/// What stays (true) by scores `[O, I, ..]` of weights: the least scores go; of equal ones the first in the order of
/// the weights. It is graph: nothing is computed.
pub(super) fn kept(
    scores: &[(String, Tensor)],
    sparsity: Sparsity,
) -> Result<Vec<(String, Tensor)>> {
    sparsity.check()?;
    match sparsity {
        Sparsity::PerLayer(part) => {
            let of = |(name, score): &(String, Tensor)| {
                let flat = score.reshape([score.count()]);
                (name.clone(), largest(&flat, pruned(part, score.count())).reshape(*score.shape()))
            };
            Ok(scores.iter().map(of).collect())
        }
        Sparsity::Global(part) => {
            let flat: Vec<Tensor> =
                scores.iter().map(|(_, score)| score.reshape([score.count()])).collect();
            if flat.is_empty() {
                return Ok(Vec::new());
            }
            let all = Tensor::concat(&flat, 0);
            let kept = largest(&all, pruned(part, all.count()));
            let mut first = 0;
            let of = |(name, score): &(String, Tensor)| {
                let own = kept.narrow(0, first, score.count()).reshape(*score.shape());
                first += score.count();
                (name.clone(), own)
            };
            Ok(scores.iter().map(of).collect())
        }
        Sparsity::Pattern { n, m } => scores
            .iter()
            .map(|(name, score)| Ok((name.clone(), pattern(name, score, [n, m])?)))
            .collect(),
    }
}

/// The whole number that is meant by a part, as PyTorch rounds it.
pub(super) fn pruned(part: f64, count: usize) -> usize {
    (part * count as f64).round_ties_even() as usize
}

/// True but for this part of each row of `[O, I]`, rounded down.
pub(super) fn kept_in_rows(scores: &Tensor, part: f64) -> Tensor {
    let removed = (scores.size(1) as f64 * part) as usize;
    rank(scores, 1).ge(removed as i32)
}

/// True but for the `removed` least of a vector.
fn largest(scores: &Tensor, removed: usize) -> Tensor {
    rank(scores, 0).ge(removed as i32)
}

/// The place of each element if they were sorted along an axis.
fn rank(scores: &Tensor, axis: isize) -> Tensor {
    scores.argsort(axis, false).argsort(axis, false)
}

fn pattern(name: &str, score: &Tensor, [n, m]: [usize; 2]) -> Result<Tensor> {
    if score.rank() < 2 || !score.size(1).is_multiple_of(m) {
        return Err(mismatch(format!(
            "prune: {name} {} has no inputs in parts of {m}; leave it out",
            score.shape()
        )));
    }
    let last = score.rank() as isize - 1;
    let moved = score.transpose(1, last);
    let mut parts: Vec<usize> = moved.shape().to_vec();
    let inputs = parts[score.rank() - 1];
    parts.splice(score.rank() - 1.., [inputs / m, m]);
    let kept = rank(&moved.reshape(&parts[..]), -1).ge((m - n) as i32);
    Ok(kept.reshape(*moved.shape()).transpose(1, last))
}
