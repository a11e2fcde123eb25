//! The inner loops of attention: masks, softmax, and products of few rows.

use std::ops::Range;

use gradloom_tensor::DType;

use super::matrix::Matrix;
use crate::math;
use crate::simd::vectorized;

/// The score of a key that a bool mask hides, finite so that a row of them has a softmax.
const HIDDEN: f32 = -1e30;

/// Keys whose weights and values are added one after another; sums over more are made of blocks.
const KEYS: usize = 1024;

/// Adds a row of a mask to scores, or hides where it is false.
pub(super) fn apply_mask(mask: &[u8], dtype: DType, at: isize, step: isize, scores: &mut [f32]) {
    let at = |key: usize| (at + key as isize * step) as usize;
    if dtype == DType::Bool {
        for (key, score) in scores.iter_mut().enumerate() {
            if mask[at(key)] == 0 {
                *score = HIDDEN;
            }
        }
    } else {
        let mask: &[f32] = bytemuck::cast_slice(mask);
        for (key, score) in scores.iter_mut().enumerate() {
            *score += mask[at(key)];
        }
    }
}

vectorized! {
    /// Softmax over a range of scores; the others become zero.
    pub(super) fn softmax['a][](scores: &'a mut [f32], seen: Range<usize>) {
        scores[..seen.start].fill(0.0);
        scores[seen.end..].fill(0.0);
        let scores = &mut scores[seen];
        let mut largest = [f32::NEG_INFINITY; 16];
        let chunks = scores.chunks_exact(16);
        for &score in chunks.remainder() {
            largest[0] = largest[0].max(score);
        }
        for chunk in chunks {
            for lane in 0..16 {
                largest[lane] = if chunk[lane] > largest[lane] { chunk[lane] } else { largest[lane] };
            }
        }
        let largest = largest.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let mut total = 0.0;
        for part in scores.chunks_mut(KEYS) {
            let mut sums = [0.0f32; 16];
            let mut chunks = part.chunks_exact_mut(16);
            for chunk in &mut chunks {
                for lane in 0..16 {
                    chunk[lane] = math::exp::<FMA>(chunk[lane] - largest);
                    sums[lane] += chunk[lane];
                }
            }
            for (lane, score) in chunks.into_remainder().iter_mut().enumerate() {
                *score = math::exp::<FMA>(*score - largest);
                sums[lane] += *score;
            }
            total += sums.iter().sum::<f32>();
        }
        let factor = 1.0 / total;
        for score in scores.iter_mut() {
            *score *= factor;
        }
    }

    /// `scores[row][key] = query[row] . key[key]` for few rows; the features of a key are neighbours.
    pub(super) fn dots['a][](
        query: &'a [f32], key: Matrix<'a, f32>, depth: usize, scores: &'a mut [f32], keys: usize
    ) {
        for index in 0..keys {
            let at = (key.offset + index as isize * key.strides[0]) as usize;
            let key = &key.values[at..at + depth];
            for (row, query) in query.chunks_exact(depth).enumerate() {
                let mut sums = [0.0f32; 16];
                let (mut left, mut right) = (query.chunks_exact(16), key.chunks_exact(16));
                for (a, b) in (&mut left).zip(&mut right) {
                    for lane in 0..16 {
                        sums[lane] = math::fma::<FMA>(a[lane], b[lane], sums[lane]);
                    }
                }
                for (lane, (a, b)) in left.remainder().iter().zip(right.remainder()).enumerate() {
                    sums[lane] = math::fma::<FMA>(*a, *b, sums[lane]);
                }
                scores[row * keys + index] = sums.iter().sum();
            }
        }
    }

    /// `out[row] = sum over keys of weights[row][key] * value[key]` for few rows.
    pub(super) fn weighted['a][](
        weights: &'a [f32], value: Matrix<'a, f32>, keys: usize, out: &'a mut [f32], features: usize
    ) {
        const LANES: usize = 64;
        for (row, out) in out.chunks_exact_mut(features).enumerate() {
            let weights = &weights[row * keys..(row + 1) * keys];
            for (part, out) in out.chunks_mut(LANES).enumerate() {
                let mut totals = [0.0f32; LANES];
                for (block, weights) in weights.chunks(KEYS).enumerate() {
                    let mut sums = [0.0f32; LANES];
                    for (index, &weight) in weights.iter().enumerate() {
                        let at = value.offset + (block * KEYS + index) as isize * value.strides[0];
                        let value = &value.values[at as usize + part * LANES..][..out.len()];
                        if value.len() == LANES {
                            for lane in 0..LANES {
                                sums[lane] = math::fma::<FMA>(weight, value[lane], sums[lane]);
                            }
                        } else {
                            for (sum, &value) in sums.iter_mut().zip(value) {
                                *sum = math::fma::<FMA>(weight, value, *sum);
                            }
                        }
                    }
                    for (total, sum) in totals.iter_mut().zip(sums) {
                        *total += sum;
                    }
                }
                out.copy_from_slice(&totals[..out.len()]);
            }
        }
    }
}
