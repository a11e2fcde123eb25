//! The attention that all models here share, between their projections.
//!
//! Letters: B batch, H heads, HK key heads, T queries, S keys, D features per head.

use gradloom_nn::layers::{Dropout, KeyValueCache};
use gradloom_nn::{Context, Layer};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Tensor};

/// `[B, T, H * D] -> [B, H, T, D]`: as many heads of this size as there are, for heads may have been pruned.
#[track_caller]
pub(crate) fn split_heads(x: &Tensor, size: usize) -> Tensor {
    let heads = x.size(2) / size;
    x.reshape([x.size(0), x.size(1), heads, size]).transpose(1, 2)
}

/// Attention of queries `[B, H, T, D]` to keys and values `[B, HK, S, D]`, heads beside each other:
/// `[B, T, H * D]`. The weights `[B, H, T, S]` are tapped as `name`.
#[track_caller]
pub(crate) fn attend(
    [query, key, value]: [&Tensor; 3],
    options: &AttentionOptions,
    dropout: Dropout,
    name: &str,
    ctx: &mut Context,
) -> Tensor {
    let drops = ctx.is_training() && dropout.probability() > 0.0;
    let heads = if drops || ctx.is_tapping() {
        let weights = Tensor::attention_with_weights(query, key, value, options).1;
        let weights = dropout.forward(&ctx.tap(name, &weights), ctx);
        weighted(&weights, value)
    } else {
        Tensor::attention(query, key, value, options)
    };
    heads.transpose(1, 2).flatten(2, 3)
}

/// A cache and the layer whose part of it is meant.
pub(crate) type LayerCache<'a> = Option<(&'a mut KeyValueCache, usize)>;

/// As [`attend`]; with a cache, to all keys and values so far, and no weights are tapped.
#[track_caller]
pub(crate) fn attend_with_cache(
    [query, key, value]: [&Tensor; 3],
    options: &AttentionOptions,
    cache: LayerCache<'_>,
    dropout: Dropout,
    ctx: &mut Context,
) -> Tensor {
    match cache {
        Some((cache, layer)) => {
            let heads = cache.attend(layer, query, key, value, options);
            heads.transpose(1, 2).flatten(2, 3)
        }
        None => attend([query, key, value], options, dropout, "attention", ctx),
    }
}

/// Weights `[B, H, T, S]` times values `[B, HK, S, D]`: the rows of heads that share a head of values
/// belong to one product.
#[track_caller]
fn weighted(weights: &Tensor, value: &Tensor) -> Tensor {
    let (batch, heads, queries) = (weights.size(0), weights.size(1), weights.size(2));
    let shared = value.size(1);
    let folded = weights.reshape([batch, shared, heads / shared * queries, weights.size(3)]);
    folded.matmul(value).reshape([batch, heads, queries, value.size(3)])
}

/// A mask of keys `[B, S]` (true or nonzero is kept) as what broadcasts to the scores: `[B, 1, 1, S]`.
///
/// # Panics
/// If its shape is not that of the tokens `[B, S]`.
#[track_caller]
pub(crate) fn key_mask(model: &str, mask: &Tensor, tokens: &Tensor) -> Tensor {
    let (found, expected) = (mask.shape(), tokens.shape());
    assert!(found == expected, "{model}: a mask of shape {found} for tokens of shape {expected}");
    mask.cast(DType::Bool).unsqueeze(1).unsqueeze(1)
}

/// Checks tokens `[B, T]` against the number of positions that a model has.
///
/// # Panics
/// If there are none, or more.
#[track_caller]
pub(crate) fn check_tokens(model: &str, tokens: &Tensor, positions_max: usize) {
    let (shape, dtype) = (tokens.shape(), tokens.dtype());
    assert!(
        shape.rank() == 2 && dtype.is_int(),
        "{model}: tokens are integers [batch, length], got {dtype} {shape}"
    );
    assert!(tokens.count() > 0, "{model}: no tokens in shape {shape}; give at least one");
    assert!(
        shape[1] <= positions_max,
        "{model}: {} tokens, but the model has {positions_max} positions; shorten the text",
        shape[1]
    );
}
