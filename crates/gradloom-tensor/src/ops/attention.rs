//! Scaled dot-product attention: one op, and the formula over products and softmax that it stands for.
//!
//! Letters: B batch, H query heads, HK key heads, T queries, S keys, D features of queries and keys,
//! E features of values.

use crate::called::{Called, demand};
use crate::error::OrFail;
use crate::op::{Attention, Op};
use crate::{DType, Scalar, Shape, Tensor, shape_rules};

/// Features per head up to which attention is one op.
const FEATURES_MAX: usize = 256;

/// Options of [`Tensor::attention`]; the default is no mask and scale `1 / sqrt(D)`.
#[derive(Clone, Default)]
pub struct AttentionOptions {
    /// Whether a query sees only keys up to its own position. The last query stands at the last key,
    /// so fewer queries than keys continue an earlier sequence.
    pub causal: bool,
    /// Number of keys, up to its own position, that a query sees; all if `None`.
    pub window: Option<usize>,
    /// What broadcasts to the scores `[.., T, S]`: bool keeps where true, float is added. Floats may be
    /// narrower than the query's, and f32 for queries of f16 and bf16, whose scores are f32.
    pub mask: Option<Tensor>,
    /// Position of the first query of each sequence, integers `[B]`, if it is not `S - T`: the keys are a
    /// cache of which `start + T` are filled, and the others are not seen.
    pub start: Option<Tensor>,
    /// Factor of the scores.
    pub scale: Option<f64>,
}

impl AttentionOptions {
    /// Sets whether queries see only keys up to their own position.
    #[must_use]
    pub fn causal(self, causal: bool) -> Self {
        AttentionOptions { causal, ..self }
    }

    /// Sets how many keys, up to its own position, a query sees.
    #[must_use]
    pub fn window(self, keys: usize) -> Self {
        AttentionOptions { window: Some(keys), ..self }
    }

    /// Sets the mask: bool keeps where true, float is added.
    #[must_use]
    pub fn mask(self, mask: &Tensor) -> Self {
        AttentionOptions { mask: Some(mask.clone()), ..self }
    }

    /// Sets the position of each sequence's first query, integers `[B]`.
    #[must_use]
    pub fn start(self, start: &Tensor) -> Self {
        AttentionOptions { start: Some(start.clone()), ..self }
    }

    /// Sets the factor of the scores.
    #[must_use]
    pub fn scale(self, scale: f64) -> Self {
        AttentionOptions { scale: Some(scale), ..self }
    }

    fn scale_for(&self, features: usize) -> f64 {
        self.scale.unwrap_or_else(|| 1.0 / (features.max(1) as f64).sqrt())
    }
}

impl Tensor {
    /// `softmax(query key^T * scale + mask) value`: query `[.., T, D]`, key `[.., S, D]`, value
    /// `[.., S, E]` -> `[.., T, E]`. With query `[B, H, T, D]` and fewer key heads `[B, HK, S, D]`,
    /// `H / HK` neighbouring query heads share a key head.
    ///
    /// Float dtypes, equal. A query that sees no key gets finite numbers without meaning, not NaN, and so
    /// do the gradients (where a mask alone hides all keys, by false or by negative infinity, the mean of
    /// the values it would see; see [`op::Attention`](crate::op::Attention)). Panics if shapes do not fit
    /// or the mask is neither bool nor float. PyTorch: `F.scaled_dot_product_attention`, whose causal mask
    /// aligns first positions instead of last, and whose queries that see no key get zeros. Vaswani et al.,
    /// "Attention is all you need", 2017; Ainslie et al., "GQA", 2023.
    #[track_caller]
    #[must_use]
    pub fn attention(
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        options: &AttentionOptions,
    ) -> Tensor {
        let _called = Called::op("attention");
        check(query, key, value, options);
        if query.rank() != 4 || !fuses(query, key, value) {
            return Tensor::attention_with_weights(query, key, value, options).0;
        }
        let scores = Shape::new(&[query.size(0), query.size(1), query.size(2), key.size(2)]);
        let mut inputs = vec![query.clone(), key.clone(), value.clone()];
        let mask = options.mask.as_ref().map(|mask| bounded(mask, query.dtype()));
        inputs.extend(mask.map(|mask| mask.broadcast_to(scores)));
        inputs.extend(options.start.as_ref().map(first_positions));
        let attention = Attention {
            scale: options.scale_for(query.size(-1)),
            causal: options.causal,
            window: options.window,
            masked: options.mask.is_some(),
            placed: options.start.is_some(),
        };
        let shape = Shape::new(&[query.size(0), query.size(2), query.size(1), value.size(3)]);
        let op = Op::Attention(attention);
        Tensor::from_op(op, inputs, shape, query.dtype(), query.device()).transpose(1, 2)
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
        let _called = Called::op("attention");
        check(query, key, value, options);
        let dtype = query.dtype();
        // Scores of halves pass their limit long before their softmax does anything special.
        let (query, key, value) = (&query.wide(), &key.wide(), &value.wide());
        let scores = grouped(query, &key.transpose(-1, -2), key);
        let mut scores = &scores * &scores.constant_like(options.scale_for(query.size(-1)));
        if let Some(mask) = &options.mask {
            scores = match mask.dtype() {
                DType::Bool => keep(&scores, mask),
                _ => &scores + &bounded(mask, scores.dtype()).broadcast_to(*scores.shape()),
            };
        }
        if let Some(seen) = seen_keys(query, key, options) {
            scores = keep(&scores, &seen);
        }
        let weights = scores.softmax(-1);
        (grouped(&weights, value, value).cast(dtype), weights.cast(dtype))
    }
}

/// True if one op can do it: no broadcast between batches, and a head's features fit a kernel.
fn fuses(query: &Tensor, key: &Tensor, value: &Tensor) -> bool {
    let (q, k, v) = (query.shape(), key.shape(), value.shape());
    query.dtype() == DType::F32
        && k.rank() == 4
        && v.rank() == 4
        && q[0] == k[0]
        && k[..3] == v[..3]
        && k[1] > 0
        && q[1].is_multiple_of(k[1])
        && q.count() > 0
        && v.count() > 0
        && k[3] > 0
        && k[3].max(v[3]) <= FEATURES_MAX
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

/// Positions as i32; wider ones must fit.
#[track_caller]
fn first_positions(start: &Tensor) -> Tensor {
    match start.dtype() {
        DType::I64 | DType::U32 => start.checked_index(i32::MAX as usize, "attention"),
        _ => start.cast(DType::I32),
    }
}

fn is_grouped(query: &Tensor, key: &Tensor) -> bool {
    let (query, key) = (query.shape(), key.shape());
    let axis = query.rank().wrapping_sub(3);
    query.rank() >= 3 && query.rank() == key.rank() && key[axis] > 1 && query[axis] > key[axis]
}

#[track_caller]
fn check(query: &Tensor, key: &Tensor, value: &Tensor, options: &AttentionOptions) {
    const OP: &str = "attention";
    let dtype = shape_rules::float(OP, query.dtype()).or_fail();
    shape_rules::same_dtype(OP, dtype, key.dtype())
        .and_then(|dtype| shape_rules::same_dtype(OP, dtype, value.dtype()))
        .or_fail();
    if let Some(mask) = &options.mask {
        check_mask(mask.dtype(), dtype);
    }
    let (q, k, v) = (query.shape(), key.shape(), value.shape());
    let ranks = q.rank().min(k.rank()).min(v.rank());
    demand!(
        !options.causal || options.start.is_some() || query.size(-2) <= key.size(-2),
        "{OP}: a causal mask needs at least as many keys as queries, got query {q} and key {k}"
    );
    if let Some(start) = &options.start {
        demand!(
            q.rank() == 4 && start.shape()[..] == q[..1] && start.dtype().is_int(),
            "{OP}: start needs integers [B] and query [B, H, T, D], got {} {} and {q}",
            start.dtype(),
            start.shape()
        );
    }
    demand!(ranks >= 2, "{OP}: needs [.., T, D], got query {q}, key {k}, value {v}");
    demand!(query.size(-1) == key.size(-1), "{OP}: features differ: query {q}, key {k}");
    demand!(key.size(-2) == value.size(-2), "{OP}: positions differ: key {k}, value {v}");
    if is_grouped(query, key) {
        let (heads, shared) = (query.size(-3), key.size(-3));
        demand!(
            v.rank() == k.rank() && value.size(-3) == shared && heads.is_multiple_of(shared),
            "{OP}: {heads} query heads do not divide among the heads of key {k} and value {v}"
        );
    }
}

/// What is not bool must be a float that is exact in the dtype of the scores.
#[track_caller]
fn check_mask(mask: DType, query: DType) {
    let scores = query.compute();
    let convert = match mask {
        DType::Bool => return,
        DType::F64 if scores != DType::F64 => format!("cast(DType::{scores:?})"),
        mask if mask.is_float() => return,
        _ => format!("ne(0), or cast(DType::{scores:?}) if it is to be added"),
    };
    Called::fail(format_args!(
        "attention: the mask is {mask}, the query {query}; a mask is bool, true where a key is seen, or \
         {scores} and added to the scores: convert it with {convert}"
    ))
}

/// A score so low that its weight is zero. It is finite, so that a row without any key has a defined
/// softmax.
const HIDDEN: f64 = -1e30;

/// Wide scores where `mask` is true, and elsewhere [`HIDDEN`].
#[track_caller]
fn keep(scores: &Tensor, mask: &Tensor) -> Tensor {
    mask.broadcast_to(*scores.shape()).select(scores, scores.constant_like(HIDDEN))
}

/// A mask as it is added to scores of `dtype`: what would hide a key by negative infinity hides it by a
/// finite number.
#[track_caller]
fn bounded(mask: &Tensor, dtype: DType) -> Tensor {
    match mask.dtype() {
        DType::Bool => mask.clone(),
        _ => mask.cast(dtype).maximum(HIDDEN),
    }
}

/// True where query `t` may see key `s`, in a shape that broadcasts to the scores; `None` for all.
#[track_caller]
fn seen_keys(query: &Tensor, key: &Tensor, options: &AttentionOptions) -> Option<Tensor> {
    let (queries, keys) = (query.size(-2), key.size(-2));
    if !options.causal && options.window.is_none() && options.start.is_none() {
        return None;
    }
    let mut shape = Shape::new(&[queries, keys]);
    if options.start.is_some() {
        shape = Shape::new(&[query.size(0), 1, queries, keys]);
    }
    let along = |axis: isize| Tensor::iota(shape, axis, query.device());
    let (row, column) = (along(-2), along(-1));
    let add = |tensor: &Tensor, value: i64| tensor + &tensor.constant_like(Scalar::Int(value));
    let first = match &options.start {
        Some(start) => first_positions(start).reshape([query.size(0), 1, 1, 1]).broadcast_to(shape),
        None => row.constant_like(Scalar::Int(keys as i64 - queries as i64)),
    };
    let position = &row + &first;
    let mut seen = match options.causal {
        true => column.le(&position),
        false => column.lt(add(&first, queries as i64)),
    };
    if let Some(window) = options.window {
        seen = seen.logical_and(column.gt(add(&position, -(window as i64))));
    }
    Some(seen)
}
