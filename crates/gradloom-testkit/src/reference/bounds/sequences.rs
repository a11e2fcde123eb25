//! Errors of what language models need: writing at places, matrices in blocks, attention.

use std::sync::Arc;

use gradloom_tensor::op::Attention;
use gradloom_tensor::{DType, Op};

use super::{Arithmetic, Known, Node, Values, flushed, unit};
use crate::reference::linear;
use crate::reference::sequences::{self, HIDDEN, Row};

pub(super) fn errors(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    inputs: &[Known],
    values: &[f64],
) -> Vec<f64> {
    match node.tensor.op() {
        Op::Write { .. } => {
            if inputs[2].errors.iter().any(|&error| error > 0.0) {
                return vec![f64::INFINITY; values.len()];
            }
            let operands =
                [inputs[0].errors.clone(), inputs[1].errors.clone(), inputs[2].values.clone()];
            sequences::compute(node.tensor, &operands, node.shapes)
        }
        Op::Dequantize(_) => {
            // A scaled integer less a minimum, both of the size of the largest numbers.
            let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
            vec![4.0 * unit(DType::F32) * largest; values.len()]
        }
        Op::Attention(options) => attention(arithmetic, node, options, inputs, values),
        op => unreachable!("reference: {} is not for sequences", op.name()),
    }
}

fn magnitudes(values: &[f64]) -> Values {
    Arc::new(values.iter().map(|value| value.abs()).collect())
}

/// An error `s` of scores changes weights by a factor `exp(2 s)` at most, and so the mean by that share
/// of the values' distances from it.
fn attention(
    arithmetic: Arithmetic,
    node: &Node<'_>,
    options: &Attention,
    inputs: &[Known],
    values: &[f64],
) -> Vec<f64> {
    let shapes = node.shapes;
    let (query, key, value) = (shapes[0], shapes[1], shapes[2]);
    let keeps = options.masked && node.tensor.inputs()[3].dtype() == DType::Bool;
    let operands: Vec<Values> = inputs.iter().map(|input| input.values.clone()).collect();
    let sizes = [magnitudes(&inputs[0].values), magnitudes(&inputs[1].values)];
    let unit = unit(node.tensor.dtype());
    let mut out = vec![f64::INFINITY; values.len()];
    // Whether keys that are not seen are skipped or weigh nothing (which times infinity is NaN) is open.
    if inputs[..3].iter().any(|input| input.values.iter().any(|value| !value.is_finite())) {
        return out;
    }
    if inputs[3..].iter().any(|input| input.errors.iter().any(|&error| error > 0.0)) {
        return out;
    }
    sequences::rows(options, keeps, &operands, shapes, |row| {
        let Row { at: [batch, head, position], shared, scores } = row;
        let largest = scores.iter().fold(f64::NEG_INFINITY, |largest, score| largest.max(score.1));
        let total: f64 = scores.iter().map(|score| (score.1 - largest).exp()).sum();
        let error = scores
            .iter()
            .map(|&(other, score)| {
                // Nothing is added to it, and its weight is zero or that of every key.
                if score == HIDDEN {
                    return 0.0;
                }
                let mut error = arithmetic.elementary() * unit * (1.0 + score.abs())
                    + arithmetic.argument() * unit * (score - largest).abs();
                for feature in 0..query[3] {
                    let q = linear(&query, &[batch, head, position, feature]);
                    let k = linear(&key, &[batch, shared, other, feature]);
                    let (a, b) = (sizes[0][q], sizes[1][k]);
                    let (da, db) = (inputs[0].errors[q], inputs[1].errors[k]);
                    let dot =
                        arithmetic.products(query[3]) * unit * a * b + a * db + b * da + da * db;
                    error += options.scale.abs() * dot;
                }
                error
            })
            .fold(
                0.0,
                |largest: f64, error| {
                    if error.is_nan() { f64::INFINITY } else { largest.max(error) }
                },
            );
        let meaningless = scores.is_empty() || !largest.is_finite() || !total.is_finite();
        for feature in 0..value[3] {
            let index = linear(node.tensor.shape(), &[batch, position, head, feature]);
            let mean = values[index];
            let mut sum = 0.0;
            for &(other, score) in &scores {
                let weight = (score - largest).exp() / total;
                let v = linear(&value, &[batch, shared, other, feature]);
                let (number, own) = (inputs[2].values[v], inputs[2].errors[v]);
                let spread = (2.0 * error).exp_m1() * ((number - mean).abs() + own);
                let rounded = (arithmetic.products(scores.len()) + 8.0) * unit * number.abs();
                let small = flushed(weight) * number.abs() + flushed(weight * number);
                sum += weight * (own + spread + rounded) + small;
            }
            out[index] =
                if meaningless || error > 1.0 || sum.is_nan() { f64::INFINITY } else { sum };
        }
    });
    out
}
