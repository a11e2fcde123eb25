//! The gradient of attention: the weights are computed again from queries and keys, so nothing of the
//! size of the scores is kept. Dao et al., "FlashAttention", 2022, appendix B.
//!
//! Letters as in `gradloom_tensor::ops::attention`; G = H / HK query heads share a key head.

use gradloom_tensor::op::Attention;
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Tensor};

/// Gradients of query, key, value, mask and start; `output` and `gradient` are `[B, T, H, E]`.
pub(super) fn attention(
    attention: &Attention,
    operands: &[Tensor],
    output: &Tensor,
    gradient: &Tensor,
) -> Vec<Option<Tensor>> {
    let [query, key, value] = [&operands[0], &operands[1], &operands[2]];
    let mask = attention.masked.then(|| &operands[3]);
    let start = attention.placed.then(|| &operands[operands.len() - 1]);
    let options = AttentionOptions {
        causal: attention.causal,
        window: attention.window,
        mask: mask.cloned(),
        start: start.cloned(),
        scale: Some(attention.scale),
    };
    let weights = Tensor::attention_with_weights(query, key, value, &options).1;
    let along = (gradient * output).sum_keepdim(-1).transpose(1, 2);
    let gradient = gradient.transpose(1, 2);
    let heads = key.size(1);
    let of_weights = fold(&gradient, heads).matmul(&value.transpose(-1, -2));
    let of_weights = of_weights.reshape(*weights.shape());
    let of_scores = &weights * &(&of_weights - &along);
    let scaled = &of_scores * &of_scores.constant_like(attention.scale);
    let of_query = fold(&scaled, heads).matmul(key).reshape(*query.shape());
    let of_key = fold(&scaled, heads).transpose(-1, -2).matmul(&fold(query, heads));
    let of_value = fold(&weights, heads).transpose(-1, -2).matmul(&fold(&gradient, heads));
    let mut gradients = vec![Some(of_query), Some(of_key), Some(of_value)];
    gradients.extend(mask.map(|mask| (mask.dtype() != DType::Bool).then_some(of_scores)));
    gradients.extend(start.map(|_| None));
    gradients
}

/// `[B, H, T, X] -> [B, HK, G T, X]`: the rows of the heads that share a key head, one product.
fn fold(x: &Tensor, heads: usize) -> Tensor {
    let rows = x.size(1) / heads * x.size(2);
    x.reshape([x.size(0), heads, rows, x.size(3)])
}
