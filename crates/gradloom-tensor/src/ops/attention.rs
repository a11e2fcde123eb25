//! Scaled dot-product attention, as a formula over products and softmax.
//!
//! Letters: B batch, H query heads, HK key heads, T queries, S keys, D features of queries and keys,
//! E features of values.

use crate::error::OrFail;
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

/// Options of [`Tensor::attention`]; the default is no mask and scale `1 / sqrt(D)`.
#[derive(Clone, Default)]
pub struct AttentionOptions {
    /// Whether a query sees only keys up to its own position. The last query stands at the last key,
    /// so fewer queries than keys continue an earlier sequence.
    pub causal: bool,
    /// What broadcasts to the scores `[.., T, S]`: bool keeps where true, float is added.
    pub mask: Option<Tensor>,
    /// Factor of the scores.
    pub scale: Option<f64>,
}

impl AttentionOptions {
    /// Sets whether queries see only keys up to their own position.
    #[must_use]
    pub fn causal(self, causal: bool) -> Self {
        AttentionOptions { causal, ..self }
    }

    /// Sets the mask: bool keeps where true, float is added.
    #[must_use]
    pub fn mask(self, mask: &Tensor) -> Self {
        AttentionOptions { mask: Some(mask.clone()), ..self }
    }

    /// Sets the factor of the scores.
    #[must_use]
    pub fn scale(self, scale: f64) -> Self {
        AttentionOptions { scale: Some(scale), ..self }
    }
}

impl Tensor {
    /// `softmax(query key^T * scale + mask) value`: query `[.., T, D]`, key `[.., S, D]`, value
    /// `[.., S, E]` -> `[.., T, E]`. With query `[B, H, T, D]` and fewer key heads `[B, HK, S, D]`,
    /// `H / HK` neighbouring query heads share a key head.
    ///
    /// Float dtypes, equal. A query that sees no key gets the mean of all values. Panics if shapes do
    /// not fit. PyTorch: `F.scaled_dot_product_attention`, whose causal mask aligns first positions
    /// instead of last. Vaswani et al., "Attention is all you need", 2017; Ainslie et al., "GQA", 2023.
    #[track_caller]
    #[must_use]
    pub fn attention(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: &AttentionOptions,
    ) -> Tensor {
        Tensor::attention_with_weights(query, key, value, options).0
    }

    /// [`Tensor::attention`] and the weights `[.., T, S]` that it gave to the values.
    ///
    /// Panics if shapes do not fit. PyTorch: `nn.MultiheadAttention` with `need_weights=True`.
    #[track_caller]
    #[must_use]
    pub fn attention_with_weights(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: &AttentionOptions,
    ) -> (Tensor, Tensor) {
        check(query, key, value);
        let (queries, keys, features) = (query.size(-2), key.size(-2), query.size(-1));
        let scale = options.scale.unwrap_or_else(|| 1.0 / (features.max(1) as f64).sqrt());
        let scores = grouped(query, &key.transpose(-1, -2), key);
        let mut scores = &scores * &scores.constant_like(scale);
        if let Some(mask) = &options.mask {
            scores = if mask.dtype() == DType::Bool {
                keep(&scores, mask)
            } else {
                let mask = mask.broadcast_to(*scores.shape());
                &scores + &mask
            };
        }
        if options.causal {
            scores = keep(&scores, &causal_mask(queries, keys, query));
        }
        let weights = scores.softmax(-1);
        (grouped(&weights, value, value), weights)
    }
}

/// `lhs x rhs`, where neighbouring heads of `lhs` may share a head of `heads`. Their rows then belong
/// to one product with more rows, so that nothing is repeated.
#[track_caller]
fn grouped(lhs: &Tensor, rhs: &Tensor, heads: &Tensor) -> Tensor {
    if !is_grouped(lhs, heads) {
        return lhs.matmul(rhs);
    }
    let shape = lhs.shape();
    let axis = shape.rank() - 3;
    let shared = heads.size(-3);
    let rows = shape[axis] / shared * shape[axis + 1];
    let folded = lhs.reshape(shape.with(axis, shared).with(axis + 1, rows));
    folded.matmul(rhs).reshape(shape.with(axis + 2, rhs.size(-1)))
}

fn is_grouped(query: &Tensor, key: &Tensor) -> bool {
    let (query, key) = (query.shape(), key.shape());
    let axis = query.rank().wrapping_sub(3);
    query.rank() >= 3 && query.rank() == key.rank() && key[axis] > 1 && query[axis] > key[axis]
}

#[track_caller]
fn check(query: &Tensor, key: &Tensor, value: &Tensor) {
    const OP: &str = "attention";
    shape_rules::float(OP, query.dtype()).or_fail();
    let (q, k, v) = (query.shape(), key.shape(), value.shape());
    let ranks = q.rank().min(k.rank()).min(v.rank());
    assert!(ranks >= 2, "{OP}: needs [.., T, D], got query {q}, key {k}, value {v}");
    assert!(query.size(-1) == key.size(-1), "{OP}: features differ: query {q}, key {k}");
    assert!(key.size(-2) == value.size(-2), "{OP}: positions differ: key {k}, value {v}");
    if is_grouped(query, key) {
        let (heads, shared) = (query.size(-3), key.size(-3));
        assert!(
            v.rank() == k.rank() && value.size(-3) == shared && heads.is_multiple_of(shared),
            "{OP}: {heads} query heads do not divide among the heads of key {k} and value {v}"
        );
    }
}

/// Scores where `mask` is true, and elsewhere a number so low that its weight is zero. It is finite,
/// so that a row without any key has a defined softmax.
#[track_caller]
fn keep(scores: &Tensor, mask: &Tensor) -> Tensor {
    let lowest = match scores.dtype() {
        DType::F16 => -65504.0,
        _ => -1e30,
    };
    mask.broadcast_to(*scores.shape()).select(scores, scores.constant_like(lowest))
}

/// True where query `t` of `queries` may see key `s` of `keys`.
#[track_caller]
fn causal_mask(queries: usize, keys: usize, like: &Tensor) -> Tensor {
    assert!(
        queries <= keys,
        "attention: a causal mask needs at least as many keys as queries, got {queries} queries \
         and {keys} keys"
    );
    let shape = Shape::new(&[queries, keys]);
    let row = Tensor::iota(shape, 0, like.device());
    let column = Tensor::iota(shape, 1, like.device());
    let offset = Scalar::Int((keys - queries) as i64);
    column.le(&(&row + &row.constant_like(offset)))
}
