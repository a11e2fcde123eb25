//! [`T5Attention`]: attention whose scores know the distance between tokens, and are not scaled.
//!
//! Letters: B batch, T queries, S keys, E features, H heads, D features per head.

use crate::attention::{LayerCache, attend, attend_with_cache, split_heads};
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
    head_size: usize,
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
            head_size: config.d_kv,
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
        cache: LayerCache<'_>,
        ctx: &mut Context,
    ) -> Tensor {
        let projected = project_all(&[&self.q, &self.k, &self.v], x, ctx);
        let heads: Vec<Tensor> = projected.iter().map(|x| split_heads(x, self.head_size)).collect();
        let inputs = [&heads[0], &heads[1], &heads[2]];
        let mixed = attend_with_cache(inputs, options, cache, self.dropout, ctx);
        self.o.forward(&mixed, ctx)
    }

    /// Keys and values `[B, H, S, D]` of what an encoder made: the same for every token of the decoder.
    #[track_caller]
    pub(super) fn keys_and_values(&self, encoded: &Tensor, ctx: &mut Context) -> [Tensor; 2] {
        let projected = project_all(&[&self.k, &self.v], encoded, ctx);
        [0, 1].map(|index| split_heads(&projected[index], self.head_size))
    }

    /// Attention of `x` to keys and values of what an encoder made.
    #[track_caller]
    pub(super) fn cross_attention(
        &self,
        x: &Tensor,
        [key, value]: &[Tensor; 2],
        options: &AttentionOptions,
        ctx: &mut Context,
    ) -> Tensor {
        let query = split_heads(&self.q.forward(x, ctx), self.head_size);
        let mixed = attend([&query, key, value], options, self.dropout, "cross_attention", ctx);
        self.o.forward(&mixed, ctx)
    }

    /// Number of heads.
    pub(super) fn heads(&self) -> usize {
        self.q.outputs() / self.head_size
    }
}

/// What distances add to the scores of queries at positions `[B, T]` or `[1, T]` and keys at 0 to
/// `keys`: `[B, H, T, S]`.
#[track_caller]
pub(super) fn distance_bias(
    table: &Embedding,
    buckets: &Buckets,
    positions: &Tensor,
    keys: usize,
) -> Tensor {
    let shape = [positions.size(0), positions.size(1), keys];
    let key = Tensor::iota(shape, 2, positions.device());
    let distance = key - positions.unsqueeze(2).broadcast_to(shape);
    let bias = table.weight.embedding(&buckets.of(&distance));
    bias.permute(&[0, 3, 1, 2])
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
