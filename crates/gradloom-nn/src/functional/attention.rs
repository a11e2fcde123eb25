//! Attention as PyTorch has it: masks aligned at the first positions, dropout of weights, zeros for queries
//! that see nothing; and of several heads with given projections.
//!
//! Letters: B batch, H heads, T queries, S keys, E features, D features per head.

use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{Called, DType, Key, Tensor, demand};

use super::dropout::dropout;

/// Options of [`scaled_dot_product_attention`]; the default is no mask and scale `1 / sqrt(D)`.
#[derive(Clone, Default)]
pub struct DotProductOptions {
    /// What broadcasts to the scores `[.., T, S]`: bool keeps where true, float is added.
    pub mask: Option<Tensor>,
    /// Whether query `t` sees only keys up to `t`.
    pub causal: bool,
    /// Factor of the scores.
    pub scale: Option<f64>,
    /// Probability with which a weight is left out.
    pub dropout: f64,
    /// The key of what is left out, in training.
    pub key: Option<Key>,
    /// Whether there may be fewer heads of keys and values, which neighbouring heads of queries share.
    pub grouped: bool,
}

/// `softmax(query key^T * scale + mask) value`: `[.., T, D]`, `[.., S, D]`, `[.., S, E] -> [.., T, E]`. A query
/// that sees no key gets zeros.
///
/// Float dtypes, equal. [`Tensor::attention`] does the work, and has what caches need. PyTorch:
/// `F.scaled_dot_product_attention`.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn scaled_dot_product_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    options: &DotProductOptions,
) -> Tensor {
    let _called = Called::op("scaled_dot_product_attention");
    let (key, value) = match options.grouped {
        true => (repeated(query, key), repeated(query, value)),
        false => (key.clone(), value.clone()),
    };
    let own = prepared(query, &key, options);
    let result = match options.key {
        Some(random) if options.dropout > 0.0 => {
            let (_, weights) = Tensor::attention_with_weights(query, &key, &value, &own);
            dropout(&weights, options.dropout, Some(random)).matmul(&value)
        }
        _ => Tensor::attention(query, &key, &value, &own),
    };
    match &options.mask {
        None => result,
        Some(mask) => {
            let seen = match mask.dtype() {
                DType::Bool => mask.clone(),
                _ => mask.gt(f64::NEG_INFINITY),
            };
            let seen = match (options.causal, visible(query, &key)) {
                (true, visible) => seen.logical_and(visible),
                (false, _) => seen,
            };
            seen.atleast_1d().any_keepdim(-1).select(&result, result.zeros_like())
        }
    }
}

/// `ln(sum(exp(query key^T * scale + mask)))` of each query, in the compute type: `[.., T]`. With it results
/// over parts of the keys can be joined. PyTorch: the second result of its flash attention.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn attention_logsumexp(query: &Tensor, key: &Tensor, options: &DotProductOptions) -> Tensor {
    let _called = Called::op("attention_logsumexp");
    let (query, key) = (query.wide(), key.wide());
    let scale = options.scale.unwrap_or_else(|| 1.0 / (query.size(-1).max(1) as f64).sqrt());
    let mut scores = query.matmul(&key.transpose(-1, -2)) * scale;
    if let Some(mask) = &options.mask {
        scores = match mask.dtype() {
            DType::Bool => mask.select(&scores, scores.constant_like(f64::NEG_INFINITY)),
            _ => scores + mask.cast(query.dtype()),
        };
    }
    if options.causal {
        let hidden = scores.constant_like(f64::NEG_INFINITY);
        scores = visible(&query, &key).select(&scores, hidden);
    }
    scores.logsumexp(-1)
}

/// Options of [`multi_head_attention`].
#[derive(Clone)]
pub struct MultiHeadOptions {
    /// Number of heads, which divides the features.
    pub heads: usize,
    /// Projections of queries, keys and values, one below the other: `[3 E, E]`.
    pub in_proj_weight: Tensor,
    /// `[3 E]`
    pub in_proj_bias: Option<Tensor>,
    /// `[E, E]`
    pub out_proj_weight: Tensor,
    /// `[E]`
    pub out_proj_bias: Option<Tensor>,
    /// A key and a value `[.., E]` that every query sees besides.
    pub bias_key_value: Option<(Tensor, Tensor)>,
    /// Whether every query sees a key and a value of zeros besides.
    pub add_zero: bool,
    /// What broadcasts to the scores `[B, H, T, S]`: bool keeps where true (PyTorch's drops), float is added.
    pub mask: Option<Tensor>,
    /// Probability with which a weight is left out.
    pub dropout: f64,
    /// The key of what is left out, in training.
    pub key: Option<Key>,
}

/// Attention of several heads with given projections: queries `[T, B, E]`, keys and values `[S, B, E]` ->
/// results `[T, B, E]` and weights `[B, T, S]`, the mean over the heads.
///
/// Float dtypes, equal. PyTorch: `F.multi_head_attention_forward`; the layer is
/// [`MultiHeadAttention`](crate::layers::MultiHeadAttention). Vaswani et al., "Attention is all you need", 2017.
///
/// # Panics
/// If shapes do not fit.
#[track_caller]
#[must_use]
pub fn multi_head_attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    options: &MultiHeadOptions,
) -> (Tensor, Tensor) {
    const OP: &str = "multi_head_attention";
    let _called = Called::op(OP);
    let features = query.size(-1);
    demand!(
        query.rank() == 3 && options.heads > 0 && features.is_multiple_of(options.heads),
        "{OP}: needs [T, B, E] whose features divide among {} heads, got shape {}",
        options.heads,
        query.shape()
    );
    let batch = query.size(1);
    demand!(
        key.rank() == 3 && value.rank() == 3 && key.shape()[..2] == value.shape()[..2],
        "{OP}: needs keys and values [S, B, E], got shapes {} and {}",
        key.shape(),
        value.shape()
    );
    let given = key.size(0);
    let projected = |x: &Tensor, part: usize| {
        let weight = options.in_proj_weight.narrow(0, part * features, features);
        let y = x.matmul(&weight.t());
        match &options.in_proj_bias {
            Some(bias) => y + bias.narrow(0, part * features, features),
            None => y,
        }
    };
    let query = projected(query, 0);
    let (mut keys, mut values) = (vec![projected(key, 1)], vec![projected(value, 2)]);
    let mut added = 0;
    if let Some((key, value)) = &options.bias_key_value {
        let spread = |x: &Tensor| x.reshape([1, 1, features]).broadcast_to([1, batch, features]);
        keys.push(spread(key));
        values.push(spread(value));
        added += 1;
    }
    if options.add_zero {
        let zero = Tensor::zeros([1, batch, features], query.dtype(), query.device());
        keys.push(zero.clone());
        values.push(zero);
        added += 1;
    }
    // [T, B, E] -> [B, H, T, D]
    let by_head = |x: &Tensor| {
        let split = [x.size(0), batch, options.heads, features / options.heads];
        x.reshape(split).permute(&[1, 2, 0, 3])
    };
    let (key, value) = (Tensor::concat(&keys, 0), Tensor::concat(&values, 0));
    let (query, key, value) = (by_head(&query), by_head(&key), by_head(&value));
    let mask = options.mask.as_ref().map(|mask| {
        let mask = mask.atleast_1d();
        let mask = mask.broadcast_to(mask.shape().with(mask.rank() - 1, given));
        let mut padding = vec![(0, 0); mask.rank()];
        padding[mask.rank() - 1] = (0, added);
        match mask.dtype() {
            DType::Bool => mask.pad_value(&padding, true),
            _ => mask.pad(&padding),
        }
    });
    let own = AttentionOptions { mask, ..Default::default() };
    let (_, weights) = Tensor::attention_with_weights(&query, &key, &value, &own);
    let weights = dropout(&weights, options.dropout, options.key);
    let joined = weights.matmul(&value).permute(&[2, 0, 1, 3]);
    let joined = joined.reshape([joined.size(0), batch, features]);
    let result = joined.matmul(&options.out_proj_weight.t());
    let result = match &options.out_proj_bias {
        Some(bias) => result + bias,
        None => result,
    };
    (result, weights.mean(1))
}

/// Options of [`Tensor::attention`] that mean the same.
#[track_caller]
fn prepared(query: &Tensor, key: &Tensor, options: &DotProductOptions) -> AttentionOptions {
    let aligned = query.size(-2) == key.size(-2);
    let mut own = AttentionOptions {
        causal: options.causal && aligned,
        mask: options.mask.clone(),
        scale: options.scale,
        ..Default::default()
    };
    if options.causal && !aligned {
        let visible = visible(query, key);
        own.mask = Some(match &options.mask {
            None => visible,
            Some(mask) if mask.dtype() == DType::Bool => mask.logical_and(visible),
            Some(mask) => visible.select(mask, mask.constant_like(f64::NEG_INFINITY)),
        });
    }
    own
}

/// True where query `t` may see key `s`: up to `t`.
#[track_caller]
fn visible(query: &Tensor, key: &Tensor) -> Tensor {
    Tensor::ones([query.size(-2), key.size(-2)], DType::Bool, query.device()).tril(0)
}

/// Heads of keys or values, each as often as queries share it.
#[track_caller]
fn repeated(query: &Tensor, x: &Tensor) -> Tensor {
    let (heads, shared) = (query.size(-3), x.size(-3));
    demand!(
        shared > 0 && heads.is_multiple_of(shared),
        "scaled_dot_product_attention: {heads} heads of queries do not divide among {shared}"
    );
    if heads == shared { x.clone() } else { x.repeat_interleave(heads / shared, -3) }
}
