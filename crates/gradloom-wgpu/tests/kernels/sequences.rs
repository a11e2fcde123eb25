//! References of what language models need, straight from their definitions: writes at places, matrices
//! in blocks, attention.

use gradloom_plan::{KernelKind, View};
use gradloom_tensor::blocks::interleave;
use gradloom_tensor::op::Attention;
use gradloom_tensor::{BlockFormat, DType, Shape};

use crate::harness::Case;
use crate::reference::for_each;

/// What the kind itself computes, before its epilogue.
pub(crate) fn reference(case: &Case, kind: &KernelKind) -> Vec<f64> {
    let inputs = &case.inputs;
    let shape = case.kernel.space.shape;
    match kind {
        KernelKind::Dequantize(format) => numbers(*format, shape[0], shape[1], &inputs[0]),
        KernelKind::QuantizedRows { format, rows, index } => {
            let matrix = numbers(*format, *rows, shape[1], &inputs[0]);
            let mut result = Vec::new();
            for_each(&index.shape, |at| {
                let row = inputs[1][index.element(at).unwrap()] as usize;
                result.extend(&matrix[row * shape[1]..(row + 1) * shape[1]]);
            });
            result
        }
        KernelKind::QuantizedMatmul { lhs, parts } => {
            let inner = lhs.shape[1];
            let mut matrix = Vec::new();
            for (position, &(format, rows)) in parts.iter().enumerate() {
                matrix.extend(numbers(format, rows, inner, &inputs[position + 1]));
            }
            let mut result = Vec::new();
            for_each(&shape, |at| {
                let terms = (0..inner).map(|k| {
                    inputs[0][lhs.element(&[at[0], k]).unwrap()] * matrix[at[1] * inner + k]
                });
                result.push(terms.sum());
            });
            result
        }
        KernelKind::Attention { attention, views } => attend(case, attention, views),
        _ => unreachable!("no kind of sequences"),
    }
}

/// The data with the program's values at their places.
pub(crate) fn written(
    case: &Case,
    (data, axis, start): (&Shape, usize, &View),
    update: &[f64],
) -> Vec<f64> {
    let mut result = case.inputs[0].clone();
    let mut position = 0;
    for_each(&case.kernel.space.shape, |at| {
        let mut place = at.to_vec();
        place[axis] += case.inputs[1][start.element(&at[..1]).unwrap()] as usize;
        result[View::contiguous(*data).element(&place).unwrap()] = update[position];
        position += 1;
    });
    result
}

fn numbers(format: BlockFormat, rows: usize, columns: usize, words: &[f64]) -> Vec<f64> {
    let bytes: Vec<u8> = words.iter().flat_map(|&word| (word as u32).to_ne_bytes()).collect();
    let mut values = vec![0.0; rows * columns];
    format.decode(&interleave::plain(format, rows, columns, &bytes), &mut values);
    values.into_iter().map(f64::from).collect()
}

fn attend(case: &Case, attention: &Attention, views: &[View]) -> Vec<f64> {
    let at =
        |operand: usize, at: &[usize]| case.inputs[operand][views[operand].element(at).unwrap()];
    let (queries, depth) = (views[0].shape[2], views[0].shape[3]);
    let (keys, group) = (views[1].shape[2], views[0].shape[1] / views[1].shape[1]);
    let mut result = Vec::new();
    let space = case.kernel.space.shape;
    for_each(&Shape::new(&space[..3]), |row| {
        let (batch, query, head) = (row[0], row[1], row[2]);
        let first = match attention.placed {
            true => at(views.len() - 1, &[batch]) as i64,
            false => keys as i64 - queries as i64,
        };
        let own = first + query as i64;
        let end = if attention.causal { own + 1 } else { first + queries as i64 };
        let begin = attention.window.map_or(i64::MIN, |window| own + 1 - window as i64);
        let seen: Vec<usize> =
            (0..keys).filter(|&key| (begin..end).contains(&(key as i64))).collect();
        let score = |&key: &usize| {
            let dot: f64 = (0..depth)
                .map(|d| at(0, &[batch, head, query, d]) * at(1, &[batch, head / group, key, d]))
                .sum();
            let score = dot * attention.scale;
            if !attention.masked {
                return score;
            }
            let mask = at(3, &[batch, head, query, key]);
            match case.kernel.inputs[3].dtype {
                DType::Bool if mask == 0.0 => -1e30,
                DType::Bool => score,
                _ => score + mask,
            }
        };
        let scores: Vec<f64> = seen.iter().map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        for feature in 0..space[3] {
            let terms = seen.iter().zip(&weights);
            let sum: f64 = terms
                .map(|(&key, weight)| weight * at(2, &[batch, head / group, key, feature]))
                .sum();
            // A query that sees nothing gives zeros here; any finite number would do.
            result.push(if seen.is_empty() { 0.0 } else { sum / total });
        }
    });
    result
}
