//! [`MultiHeadAttention`]: attention of several heads with its four projections.
//!
//! Letters: B batch, H heads, T queries, S keys, E features, D = E / H features per head.

use crate::init::Gain;
use crate::layers::linear::project;
use crate::layers::{Dropout, Layer, Linear};
use crate::{Context, Init, Module, Parameter};
use gradloom_tensor::ops::attention::AttentionOptions;
use gradloom_tensor::{DType, Tensor};

/// Which keys a query may see.
#[derive(Clone, Default)]
pub struct AttentionMask {
    /// Only keys up to the query's own position.
    pub causal: bool,
    /// What broadcasts to `[B, H, T, S]`: bool keeps where true (PyTorch's drops where true), float is
    /// added to the scores, where it may be negative infinity. Integers are refused.
    pub mask: Option<Tensor>,
}

impl AttentionMask {
    /// All keys.
    pub fn none() -> Self {
        AttentionMask::default()
    }

    /// Only keys up to the query's own position.
    pub fn causal() -> Self {
        AttentionMask { causal: true, mask: None }
    }

    /// Keys that are true in `[B, S]`, such as the real tokens of padded sentences; of integers those that
    /// are not zero, as tokenizers give them.
    ///
    /// # Panics
    /// If it has other axes, or is float: added to scores, ones would hide nothing.
    #[track_caller]
    pub fn keys(keep: &Tensor) -> Self {
        let (shape, dtype) = (keep.shape(), keep.dtype());
        assert!(keep.rank() == 2, "attention mask: needs [B, S], got shape {shape}");
        assert!(
            !dtype.is_float(),
            "attention mask: keys are kept by bool or integers, not by {dtype}; compare it, as with ne(0), \
             or give what is added to the scores as AttentionMask's mask"
        );
        let keep = if dtype == DType::Bool { keep.clone() } else { keep.ne(0) };
        AttentionMask { causal: false, mask: Some(keep.unsqueeze(1).unsqueeze(1)) }
    }
}

/// `concat over heads of softmax(q k^T / sqrt(D)) v`, projected: queries `[B, T, E]`, keys and values
/// `[B, S, E]` -> `[B, T, E]`.
///
/// The weights of the heads are tapped as `attention`. PyTorch:
/// `torch.nn.MultiheadAttention(batch_first=True)`. Vaswani et al., "Attention is all you need", 2017.
#[derive(Module, Clone, Debug)]
pub struct MultiHeadAttention {
    /// Projections of queries, keys and values, one below the other: `[3 E, E]`.
    pub in_proj_weight: Parameter,
    /// `[3 E]`
    pub in_proj_bias: Option<Parameter>,
    /// `[E, E]` and `[E]`
    pub out_proj: Linear,
    heads: usize,
    dropout: Dropout,
}

impl MultiHeadAttention {
    /// First values as PyTorch's: Xavier uniform, biases zero.
    ///
    /// # Panics
    /// If the heads do not divide the features.
    #[track_caller]
    pub fn new(features: usize, heads: usize, init: &mut Init) -> Self {
        assert!(
            heads > 0 && features.is_multiple_of(heads),
            "attention: {heads} heads do not divide {features} features"
        );
        let mut out_proj = Linear::new(features, features, init);
        out_proj.bias = Some(init.zeros(features));
        MultiHeadAttention {
            in_proj_weight: init.xavier_uniform([3 * features, features], Gain::Linear),
            in_proj_bias: Some(init.zeros(3 * features)),
            out_proj,
            heads,
            dropout: Dropout::new(0.0),
        }
    }

    /// Leaves out weights of the heads with this probability in training.
    #[must_use]
    #[track_caller]
    pub fn dropout(mut self, p: f64) -> Self {
        self.dropout = Dropout::new(p);
        self
    }

    /// The same layer without biases.
    #[must_use]
    pub fn without_bias(mut self) -> Self {
        self.in_proj_bias = None;
        self.out_proj.bias = None;
        self
    }

    /// Attention of `x` to itself.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn self_attention(&self, x: &Tensor, mask: &AttentionMask, ctx: &mut Context) -> Tensor {
        let projected = project(x, &self.in_proj_weight, self.in_proj_bias.as_deref());
        let parts = projected.chunk(3, -1);
        self.attend(&parts[0], &parts[1], &parts[2], mask, ctx)
    }

    /// Attention of queries to keys and values from elsewhere.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn cross_attention(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: &AttentionMask,
        ctx: &mut Context,
    ) -> Tensor {
        let weights = self.in_proj_weight.chunk(3, 0);
        let biases = self.in_proj_bias.as_ref().map(|bias| bias.chunk(3, 0));
        let part = |x: &Tensor, index: usize| {
            project(x, &weights[index], biases.as_ref().map(|biases| &biases[index]))
        };
        self.attend(&part(query, 0), &part(key, 1), &part(value, 2), mask, ctx)
    }

    #[track_caller]
    fn attend(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: &AttentionMask,
        ctx: &mut Context,
    ) -> Tensor {
        assert!(query.rank() == 3, "attention: needs [B, T, E], got shape {}", query.shape());
        let [query, key, value] = [query, key, value].map(|x| self.split(x));
        let options =
            AttentionOptions { causal: mask.causal, mask: mask.mask.clone(), ..Default::default() };
        let drops = ctx.is_training() && self.dropout.probability() > 0.0;
        let heads = if drops || ctx.is_tapping() {
            let weights = Tensor::attention_with_weights(&query, &key, &value, &options).1;
            let weights = ctx.tap("attention", &weights);
            self.dropout.forward(&weights, ctx).matmul(&value)
        } else {
            Tensor::attention(&query, &key, &value, &options)
        };
        self.out_proj.forward(&heads.transpose(1, 2).flatten(2, 3), ctx)
    }

    /// `[B, T, E] -> [B, H, T, D]`
    #[track_caller]
    fn split(&self, x: &Tensor) -> Tensor {
        let size = x.size(2) / self.heads;
        x.reshape([x.size(0), x.size(1), self.heads, size]).transpose(1, 2)
    }
}

impl Layer for MultiHeadAttention {
    /// Attention of `x` to itself, without a mask.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.self_attention(x, &AttentionMask::none(), ctx)
    }
}
