//! [`T5Attention`]: attention whose scores know the distance between tokens, and are not scaled.
//!
//! Letters: B batch, T queries, S keys, E features, H heads, D features per head.

use crate::attention::{attend, split_heads};
use crate::linear::{normal_embedding, normal_linear, project_all};
use crate::t5::{Buckets, T5Config};
use gradloom_nn::layers::{Dropout, Embedding, Linear};
use gradloom_nn::{Context, Init, Layer, Module};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Tensor};

/// Attention of several heads without biases.
#[derive(Module, Clone, Debug)]
pub struct T5Attention {
    /// `E -> H D`
    pub q: Linear,
    /// `E -> H D`
    pub k: Linear,
    /// `E -> H D`
    pub v: Linear,
    /// `H D -> E`
    pub o: Linear,
    /// What each bucket of distances adds to the scores of each head: `[buckets, H]`. Only the first
    /// layer of a stack has it, for all.
    pub relative_attention_bias: Option<Embedding>,
    heads: usize,
    dropout: Dropout,
}

impl T5Attention {
    pub(super) fn new(config: &T5Config, has_bias: bool, init: &mut Init) -> Self {
        let (size, heads, factor) = (config.d_model, config.num_heads, config.initializer_factor);
        let inner = heads * config.d_kv;
        let deviation = |count: usize| factor / (count as f64).sqrt();
        T5Attention {
            q: normal_linear(size, inner, false, deviation(size * config.d_kv), init),
            k: normal_linear(size, inner, false, deviation(size), init),
            v: normal_linear(size, inner, false, deviation(size), init),
            o: normal_linear(inner, size, false, deviation(inner), init),
            relative_attention_bias: has_bias.then(|| {
                let buckets = config.relative_attention_num_buckets;
                normal_embedding(buckets, heads, deviation(size), init)
            }),
            heads,
            dropout: Dropout::new(config.dropout_rate),
        }
    }

    pub(super) fn dropout(&self) -> Dropout {
        self.dropout
    }

    /// Attention of `x` to itself.
    #[track_caller]
    pub(super) fn self_attention(
        &self,
        x: &Tensor,
        options: &AttentionOptions,
        ctx: &mut Context,
    ) -> Tensor {
        let projected = project_all(&[&self.q, &self.k, &self.v], x, ctx);
        let heads: Vec<Tensor> = projected.iter().map(|x| split_heads(x, self.heads)).collect();
        // Keys and values of earlier tokens join here.
        let inputs = [&heads[0], &heads[1], &heads[2]];
        let mixed = attend(inputs, options, self.dropout, "attention", ctx);
        self.o.forward(&mixed, ctx)
    }

    /// Attention of `x` to what an encoder made.
    #[track_caller]
    pub(super) fn cross_attention(
        &self,
        x: &Tensor,
        encoded: &Tensor,
        options: &AttentionOptions,
        ctx: &mut Context,
    ) -> Tensor {
        let query = split_heads(&self.q.forward(x, ctx), self.heads);
        // The same for every token that is decoded: a cache keeps them.
        let projected = project_all(&[&self.k, &self.v], encoded, ctx);
        let heads: Vec<Tensor> = projected.iter().map(|x| split_heads(x, self.heads)).collect();
        let inputs = [&query, &heads[0], &heads[1]];
        let mixed = attend(inputs, options, self.dropout, "cross_attention", ctx);
        self.o.forward(&mixed, ctx)
    }
}

/// What distances add to the scores, `[1, H, T, S]`. The last query stands at the last key.
#[track_caller]
pub(super) fn distance_bias(
    table: &Embedding,
    buckets: &Buckets,
    [queries, keys]: [usize; 2],
) -> Tensor {
    let device = table.weight.device();
    let query = Tensor::iota([queries, keys], 0, device);
    let key = Tensor::iota([queries, keys], 1, device);
    let before = query.constant_like((keys - queries) as i64);
    let bias = table.weight.embedding(&buckets.of(&(key - (query + before))));
    bias.permute(&[2, 0, 1]).unsqueeze(0)
}

/// The bias where the mask `[B, 1, 1, S]` keeps a key, and elsewhere a number so low that the key has
/// no weight.
#[track_caller]
pub(super) fn masked_bias(bias: &Tensor, mask: Option<&Tensor>) -> Tensor {
    let Some(mask) = mask else { return bias.clone() };
    let lowest = if bias.dtype() == DType::F16 { -65504.0 } else { -1e30 };
    let shape = [mask.size(0), bias.size(1), bias.size(2), bias.size(3)];
    let bias = bias.broadcast_to(shape);
    mask.broadcast_to(shape).select(&bias, bias.constant_like(lowest))
}
