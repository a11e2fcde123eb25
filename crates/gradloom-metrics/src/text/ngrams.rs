//! Counts of runs of `n` neighbours.

use std::collections::HashMap;
use std::hash::Hash;

pub(super) type Counts<'a, T> = HashMap<&'a [T], u64>;

pub(super) fn ngrams<T: Eq + Hash>(tokens: &[T], n: usize) -> Counts<'_, T> {
    let mut counts = HashMap::new();
    for run in tokens.windows(n) {
        *counts.entry(run).or_insert(0) += 1;
    }
    counts
}

/// How many runs two texts share, each as often as both have it.
pub(super) fn shared<T: Eq + Hash>(left: &Counts<'_, T>, right: &Counts<'_, T>) -> u64 {
    let each = left.iter().map(|(run, &count)| count.min(right.get(run).copied().unwrap_or(0)));
    each.sum()
}
