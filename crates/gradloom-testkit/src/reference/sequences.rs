//! Reference of what language models need: writing at places, matrices in blocks, attention.

use gradloom_tensor::blocks::interleave;
use gradloom_tensor::op::Attention;
use gradloom_tensor::{DType, Op, Shape, Tensor};

use super::structured::Sum;
use super::{Values, coordinate, linear};

pub(super) fn compute(tensor: &Tensor, values: &[Values], shapes: &[Shape]) -> Vec<f64> {
    match tensor.op() {
        Op::Write { axis } => {
            let mut out = values[0].to_vec();
            for (position, &value) in values[1].iter().enumerate() {
                let mut at = coordinate(&shapes[1], position);
                at[*axis] += values[2][at[0]] as usize;
                out[linear(&shapes[0], &at)] = value;
            }
            out
        }
        Op::Dequantize(format) => {
            let words: Vec<u32> = values[0].iter().map(|&word| word as u32).collect();
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            let (rows, columns) = (tensor.size(0), tensor.size(1));
            let blocks = interleave::plain(*format, rows, columns, &bytes);
            let mut numbers = vec![0.0; rows * columns];
            format.decode(&blocks, &mut numbers);
            numbers.into_iter().map(f64::from).collect()
        }
        Op::Attention(options) => {
            let keeps = options.masked && tensor.inputs()[3].dtype() == DType::Bool;
            attention(options, keeps, tensor.shape(), values, shapes)
        }
        op => unreachable!("reference: {} is not for sequences", op.name()),
    }
}

/// The score of a key that a truth value hides. It is finite, so that the keys of a query whose mask hides
/// them all count the same.
pub(super) const HIDDEN: f64 = -1e30;

/// One query's keys: which it sees with what score, and how to find elements.
pub(super) struct Row {
    /// `[batch, head, position]` of the query.
    pub(super) at: [usize; 3],
    /// Head of the keys.
    pub(super) shared: usize,
    /// Key and score.
    pub(super) scores: Vec<(usize, f64)>,
}

/// Calls `visit` with every query's scores.
pub(super) fn rows(
    options: &Attention,
    keeps: bool,
    values: &[Values],
    shapes: &[Shape],
    mut visit: impl FnMut(Row),
) {
    let [query, key] = [shapes[0], shapes[1]];
    let (queries, keys) = (query[2], key[2]);
    let group = query[1] / key[1].max(1);
    let mask = options.masked.then(|| &values[3]);
    let start = options.placed.then(|| &values[values.len() - 1]);
    for row in 0..query[..3].iter().product() {
        let at = coordinate(&Shape::new(&query[..3]), row);
        let (batch, head, position) = (at[0], at[1], at[2]);
        let first = start.map_or(keys as i64 - queries as i64, |start| start[batch] as i64);
        let own = first + position as i64;
        let mut scores: Vec<(usize, f64)> = Vec::new();
        for other in 0..keys {
            let (end, begin) = (
                if options.causal { own + 1 } else { first + queries as i64 },
                options.window.map_or(0, |window| own - window as i64 + 1),
            );
            if (other as i64) >= end || (other as i64) < begin {
                continue;
            }
            let dot: f64 = (0..query[3])
                .map(|feature| {
                    values[0][linear(&query, &[batch, head, position, feature])]
                        * values[1][linear(&key, &[batch, head / group, other, feature])]
                })
                .sum();
            let mut score = dot * options.scale;
            match mask.map(|mask| mask[row * keys + other]) {
                Some(0.0) if keeps => score = HIDDEN,
                Some(_) if keeps => {}
                Some(added) => score += added,
                None => {}
            }
            scores.push((other, score));
        }
        visit(Row { at: [batch, head, position], shared: head / group, scores });
    }
}

fn attention(
    options: &Attention,
    keeps: bool,
    shape: &Shape,
    values: &[Values],
    shapes: &[Shape],
) -> Vec<f64> {
    let value = shapes[2];
    let mut out = vec![0.0; shape.count()];
    rows(options, keeps, values, shapes, |Row { at: [batch, head, position], shared, scores }| {
        let largest = scores.iter().fold(f64::NEG_INFINITY, |largest, score| largest.max(score.1));
        let mut total = Sum::default();
        scores.iter().for_each(|score| total.add((score.1 - largest).exp()));
        for feature in 0..value[3] {
            let mut sum = Sum::default();
            for &(other, score) in &scores {
                let weight = (score - largest).exp() / total.total();
                sum.add(weight * values[2][linear(&value, &[batch, shared, other, feature])]);
            }
            out[linear(shape, &[batch, position, head, feature])] = sum.total();
        }
    });
    out
}
