//! Attention by its formula: scores, what a query sees of them, softmax, the mean of the values.

use gradloom_tensor::op::Attention;
use gradloom_tensor::{DType, Shape};

use super::fault::Fault;
use super::operand::{Operand, Operands, for_each, linear};
use crate::view::View;

/// The score of a key that a truth value hides: where all keys are hidden, all count the same.
const HIDDEN: f64 = -1e30;

/// Loaded operands; shape letters as in [`KernelKind::Attention`](crate::KernelKind::Attention).
struct Loaded {
    attention: Attention,
    query: (Shape, Vec<f64>),
    key: (Shape, Vec<f64>),
    value: (Shape, Vec<f64>),
    mask: Option<(DType, Vec<f64>)>,
    start: Option<Vec<f64>>,
}

pub(super) fn attend(
    attention: &Attention,
    views: &[View],
    space: &Shape,
    operands: &Operands,
) -> Result<Vec<f64>, Fault> {
    let loaded = Loaded::new(attention, views, space, operands)?;
    if space.count() == 0 {
        return Ok(Vec::new());
    }
    let mut result = Vec::with_capacity(space.count());
    for_each(&Shape::new(&space[..3]), |row| {
        let [batch, query, head] = [row[0], row[1], row[2]];
        let scores = loaded.scores(batch, head, query);
        let largest = scores.iter().fold(f64::NEG_INFINITY, |largest, score| largest.max(score.1));
        let weight = |score: f64| (score - largest).exp();
        let total: f64 = scores.iter().map(|score| weight(score.1)).sum();
        for feature in 0..space[3] {
            let terms = scores.iter().map(|&(key, score)| {
                let at = [batch, loaded.shared(head), key, feature];
                weight(score) * loaded.value.1[linear(&loaded.value.0, &at)]
            });
            let sum: f64 = terms.sum();
            // A query that sees nothing gives zeros.
            result.push(if scores.is_empty() { 0.0 } else { sum / total });
        }
        Ok(())
    })?;
    Ok(result)
}

impl Loaded {
    fn new(
        attention: &Attention,
        views: &[View],
        space: &Shape,
        operands: &Operands,
    ) -> Result<Loaded, Fault> {
        let expected = 3 + usize::from(attention.masked) + usize::from(attention.placed);
        let whole = views.len() == expected && views[..3].iter().all(|view| view.shape.rank() == 4);
        Fault::unless(whole, || format!("attention: {} operands", views.len()))?;
        let load = |position: usize| -> Result<(&Operand, Vec<f64>), Fault> {
            let operand = operands.get(position)?;
            Ok((operand, operand.load(&views[position])?))
        };
        let [query, key, value] = [views[0].shape, views[1].shape, views[2].shape];
        let fit = key[1] > 0
            && query[1].is_multiple_of(key[1])
            && key[..3] == value[..3]
            && [query[0], query[3]] == [key[0], key[3]]
            && space[..] == [query[0], query[2], query[1], value[3]];
        Fault::unless(fit || space.count() == 0, || {
            format!("attention: query {query}, key {key}, value {value} for {space}")
        })?;
        let mask = if attention.masked {
            let shape = Shape::new(&[query[0], query[1], query[2], key[2]]);
            Fault::unless(views[3].shape == shape, || {
                format!("attention: mask {}", views[3].shape)
            })?;
            let (operand, values) = load(3)?;
            Some((operand.dtype, values))
        } else {
            None
        };
        let start = if attention.placed { Some(load(expected - 1)?.1) } else { None };
        let starts = start.as_ref().is_none_or(|start| start.len() == query[0]);
        Fault::unless(starts, || "attention: a start for each of the batch".to_owned())?;
        Ok(Loaded {
            attention: *attention,
            query: (query, load(0)?.1),
            key: (key, load(1)?.1),
            value: (value, load(2)?.1),
            mask,
            start,
        })
    }

    /// The head of keys and values that a head of queries reads.
    fn shared(&self, head: usize) -> usize {
        head / (self.query.0[1] / self.key.0[1])
    }

    /// Each key that a query sees, with its score.
    fn scores(&self, batch: usize, head: usize, query: usize) -> Vec<(usize, f64)> {
        let (queries, keys, depth) = (self.query.0[2], self.key.0[2], self.query.0[3]);
        let first = match &self.start {
            Some(start) => start[batch] as i64,
            None => keys as i64 - queries as i64,
        };
        let own = first + query as i64;
        let end = if self.attention.causal { own + 1 } else { first + queries as i64 };
        let window = self.attention.window;
        let begin = window.map_or(i64::MIN, |window| {
            own.saturating_add(1).saturating_sub_unsigned(window as u64)
        });
        let seen = (0..keys).filter(|&key| (begin..end).contains(&(key as i64)));
        seen.map(|key| {
            let left = linear(&self.query.0, &[batch, head, query, 0]);
            let right = linear(&self.key.0, &[batch, self.shared(head), key, 0]);
            let pairs = (0..depth).map(|at| self.query.1[left + at] * self.key.1[right + at]);
            let score = pairs.sum::<f64>() * self.attention.scale;
            let row = (batch * self.query.0[1] + head) * queries + query;
            let score = match &self.mask {
                None => score,
                Some((DType::Bool, mask)) if mask[row * keys + key] == 0.0 => HIDDEN,
                Some((DType::Bool, _)) => score,
                Some((_, mask)) => score + mask[row * keys + key],
            };
            (key, score)
        })
        .collect()
    }
}
