//! Attention: in tiles and key by key, short and long, with masks, windows and starts.

use gradloom_plan::trial::{Trial, integers, numbers};
use gradloom_plan::{KernelKind, Space, View};
use gradloom_tensor::op::Attention;
use gradloom_tensor::{DType, Shape};

use super::epilogue::finish;
use crate::self_test::case::Case;

const PLAIN: Attention =
    Attention { scale: 0.4, causal: false, window: None, masked: false, placed: false };
const CAUSAL: Attention = Attention { causal: true, placed: true, window: Some(9), ..PLAIN };
const MASKED: Attention = Attention { masked: true, ..PLAIN };

pub(super) fn cases() -> Vec<Case> {
    // Batch, query heads, key heads, queries, keys, features of keys, features of values.
    [
        ("tiles", [2, 2, 2, 20, 33, 16, 16], PLAIN),
        ("tiles of odd features", [1, 6, 2, 9, 20, 5, 7], CAUSAL),
        ("tiles with a mask", [1, 2, 1, 20, 21, 8, 8], MASKED),
        ("tiles of wide features", [1, 1, 1, 18, 20, 132, 136], PLAIN),
        ("tiles of long keys", [1, 1, 1, 17, 4100, 4, 4], PLAIN),
        ("tiles of long keys, odd features", [1, 1, 1, 17, 4100, 3, 3], PLAIN),
        ("few rows", [2, 4, 4, 1, 9, 64, 64], CAUSAL),
        ("few rows of odd features", [2, 12, 1, 1, 40, 5, 7], PLAIN),
        ("few rows with a mask", [2, 2, 1, 5, 30, 16, 40], MASKED),
        ("few rows, keys in parts", [1, 2, 1, 3, 1601, 8, 8], CAUSAL),
        ("few rows of odd features, keys in parts", [1, 1, 1, 1, 1100, 6, 6], PLAIN),
    ]
    .into_iter()
    .map(|(name, sizes, attention)| Case::of(format!("attention, {name}"), trial(sizes, attention)))
    .collect()
}

fn trial(sizes: [usize; 7], attention: Attention) -> Trial {
    let [batch, heads, shared, queries, keys, depth, features] = sizes;
    let mut operands = vec![
        (DType::F32, vec![batch, heads, queries, depth]),
        (DType::F32, vec![batch, shared, keys, depth]),
        (DType::F32, vec![batch, shared, keys, features]),
    ];
    if attention.masked {
        operands.push((DType::F32, vec![batch, heads, queries, keys]));
    }
    if attention.placed {
        operands.push((DType::I32, vec![batch]));
    }
    let views = operands.iter().map(|(_, dims)| View::contiguous(Shape::new(dims))).collect();
    let kind = KernelKind::Attention { attention, views };
    let space = Shape::new(&[batch, queries, heads, features]);
    let mut trial = Trial::new(kind, Space::elements(space)).tolerance(1e-5);
    for ((dtype, dims), seed) in operands.iter().zip(1..) {
        let count = dims.iter().product();
        let mut values = match dtype {
            DType::F32 => numbers(count, seed),
            _ => integers(count, 0, (keys - queries) as i64 + 1, 6),
        };
        if seed == 4 && attention.masked {
            values.iter_mut().skip(2).step_by(3).for_each(|value| *value = f64::NEG_INFINITY);
        }
        trial.input(*dtype, values);
    }
    finish(&mut trial, DType::F32);
    trial
}
