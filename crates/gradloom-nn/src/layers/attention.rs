//! [`MultiHeadAttention`]: attention of several heads with its four projections.
//!
//! Letters: B batch, H heads, T queries, S keys, E features, D = E / H features per head.

use crate::init::Gain;
use crate::layers::linear::project;
use crate::layers::{Dropout, Layer, Linear};
use crate::{Compute, Context, Init, Module, Parameter};
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

    /// The mask of scores of which the last `added` of all keys are seen by each query of `[B, T, E]`.
    #[track_caller]
    fn with_seen(&self, added: usize, query: &Tensor, keys: usize) -> AttentionMask {
        if added == 0 {
            return self.clone();
        }
        let (queries, given) = (query.size(1), keys - added);
        if let Some(mask) = &self.mask {
            let dtype = mask.dtype();
            assert!(
                dtype == DType::Bool || dtype.is_float(),
                "attention: the mask is {dtype}; give bool, true where a key is seen, or {} to be added",
                query.dtype()
            );
        }
        let widened = |mask: &Tensor| {
            let mask = mask.atleast_1d();
            let mask = mask.broadcast_to(mask.shape().with(mask.rank() - 1, given));
            let mut padding = vec![(0, 0); mask.rank()];
            padding[mask.rank() - 1].1 = added;
            match mask.dtype() {
                DType::Bool => mask.pad_value(&padding, true),
                _ => mask.pad_value(&padding, 0.0),
            }
        };
        let mut mask = self.mask.as_ref().map(widened);
        if self.causal {
            let place = |axis| Tensor::iota([queries, given], axis, query.device());
            let seen = place(1).le(place(0) + (given as i32 - queries as i32));
            let seen = widened(&seen);
            mask = Some(match mask {
                None => seen,
                Some(mask) if mask.dtype() == DType::Bool => mask.logical_and(seen),
                Some(mask) => seen.select(&mask, f64::NEG_INFINITY),
            });
        }
        AttentionMask { causal: false, mask }
    }
}

/// `concat over heads of softmax(q k^T / sqrt(D)) v`, projected: queries `[B, T, E]`, keys and values
/// `[B, S, E]` -> `[B, T, E]`.
///
/// The weights of the heads are tapped as `attention`. PyTorch:
/// `torch.nn.MultiheadAttention(batch_first=True)`. Vaswani et al., "Attention is all you need", 2017.
///
/// ```
/// use gradloom_nn::layers::MultiHeadAttention;
/// use gradloom_nn::{Context, Init, Layer};
/// use gradloom_tensor::{DType, Key, Tensor};
///
/// # let device = gradloom_testkit::reference::device();
/// let init = &mut Init::new(Key::new(0), &device);
/// let layer = MultiHeadAttention::new(16, 4, init); // 16 features, 4 heads
/// let x = Tensor::zeros([2, 5, 16], DType::F32, &device);
/// assert_eq!(layer.forward(&x, &mut Context::eval()).shape(), &[2, 5, 16]);
/// ```
#[derive(Module, Clone, Debug)]
pub struct MultiHeadAttention {
    /// Projections of queries, keys and values, one below the other: `[3 E, E]`.
    pub in_proj_weight: Option<Parameter>,
    /// `[E, E]`, instead of the former where keys or values have other features.
    pub q_proj_weight: Option<Parameter>,
    /// `[E, K]`, likewise.
    pub k_proj_weight: Option<Parameter>,
    /// `[E, V]`, likewise.
    pub v_proj_weight: Option<Parameter>,
    /// `[3 E]`
    pub in_proj_bias: Option<Parameter>,
    /// `[1, 1, E]`: one more key, which all queries see.
    pub bias_k: Option<Parameter>,
    /// `[1, 1, E]`: its value.
    pub bias_v: Option<Parameter>,
    /// `[E, E]` and `[E]`
    pub out_proj: Linear,
    /// D, which stays where heads are pruned.
    head_size: usize,
    zero_key: bool,
    dropout: Dropout,
}

impl MultiHeadAttention {
    /// First values as PyTorch's: Xavier uniform, biases zero.
    ///
    /// # Panics
    /// If the heads do not divide the features.
    #[track_caller]
    pub fn new(features: usize, heads: usize, init: &mut Init) -> Self {
        let mut layer = MultiHeadAttention::unprojected(features, heads, init);
        layer.in_proj_weight = Some(init.xavier_uniform([3 * features, features], Gain::Linear));
        layer
    }

    /// For keys and values that have other features than queries. PyTorch: `kdim` and `vdim`.
    ///
    /// # Panics
    /// If the heads do not divide the features.
    #[track_caller]
    pub fn with_features(
        features: usize,
        [key, value]: [usize; 2],
        heads: usize,
        init: &mut Init,
    ) -> Self {
        let mut layer = MultiHeadAttention::unprojected(features, heads, init);
        let mut projection = |from| Some(init.xavier_uniform([features, from], Gain::Linear));
        layer.q_proj_weight = projection(features);
        layer.k_proj_weight = projection(key);
        layer.v_proj_weight = projection(value);
        layer
    }

    #[track_caller]
    fn unprojected(features: usize, heads: usize, init: &mut Init) -> Self {
        assert!(
            heads > 0 && features.is_multiple_of(heads),
            "attention: {heads} heads do not divide {features} features"
        );
        let mut out_proj = Linear::new(features, features, init);
        out_proj.bias = Some(init.zeros(features));
        MultiHeadAttention {
            in_proj_weight: None,
            q_proj_weight: None,
            k_proj_weight: None,
            v_proj_weight: None,
            in_proj_bias: Some(init.zeros(3 * features)),
            bias_k: None,
            bias_v: None,
            out_proj,
            head_size: features / heads,
            zero_key: false,
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

    /// With one more key and value that are learnt, whatever the mask. PyTorch: `add_bias_kv`.
    #[must_use]
    #[track_caller]
    pub fn with_bias_key(mut self, init: &mut Init) -> Self {
        let features = self.out_proj.inputs();
        let deviation = (2.0 / (features + 1) as f64).sqrt();
        self.bias_k = Some(init.normal([1, 1, features], deviation));
        self.bias_v = Some(init.normal([1, 1, features], deviation));
        self
    }

    /// With one more key and value of zeros, whatever the mask: a query may look away. PyTorch:
    /// `add_zero_attn`.
    #[must_use]
    pub fn with_zero_key(mut self) -> Self {
        self.zero_key = true;
        self
    }

    /// Attention of `x` to itself.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn self_attention(&self, x: &Tensor, mask: &AttentionMask, ctx: &mut Context) -> Tensor {
        let _layer = ctx.enter("MultiheadAttention", self);
        let Some(weight) = &self.in_proj_weight else {
            return self.cross_attention(x, x, x, mask, ctx);
        };
        let projected = project(x, weight, self.in_proj_bias.as_deref(), &ctx.compute());
        let parts = projected.chunk(3, -1);
        self.attend([&parts[0], &parts[1], &parts[2]], mask, false, ctx).0
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
        let _layer = ctx.enter("MultiheadAttention", self);
        let parts = self.project([query, key, value], &ctx.compute());
        self.attend(parts.each_ref(), mask, false, ctx).0
    }

    /// As [`cross_attention`](Self::cross_attention), and the weights `[B, H, T, S]` of the heads, `S` with the
    /// keys that were added. PyTorch: `need_weights=True, average_attn_weights=False`.
    ///
    /// # Panics
    /// If shapes do not fit.
    #[track_caller]
    pub fn attention_with_weights(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: &AttentionMask,
        ctx: &mut Context,
    ) -> (Tensor, Tensor) {
        let parts = self.project([query, key, value], &ctx.compute());
        let (y, weights) = self.attend(parts.each_ref(), mask, true, ctx);
        (y.clone(), weights.unwrap_or(y))
    }

    #[track_caller]
    fn project(&self, inputs: [&Tensor; 3], compute: &Compute) -> [Tensor; 3] {
        let apart = [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight];
        // Each part with the weight that it is of, which says whether it is left out of mixed precision.
        let weights: Vec<(&Parameter, Tensor)> = match &self.in_proj_weight {
            Some(all) => all.chunk(3, 0).into_iter().map(|part| (all, part)).collect(),
            None => apart.into_iter().flatten().map(|own| (own, own.tensor().clone())).collect(),
        };
        let biases = self.in_proj_bias.as_ref().map(|bias| bias.chunk(3, 0));
        std::array::from_fn(|index| {
            let (of, weight) = &weights[index];
            let product = |[x, weight]: [&Tensor; 2]| x.matmul(&weight.t());
            let y = compute.multiply(of, [inputs[index], weight], product);
            biases.as_ref().map_or(y.clone(), |biases| y + &biases[index])
        })
    }

    /// The result, and the weights if they are wanted.
    #[track_caller]
    fn attend(
        &self,
        [query, key, value]: [&Tensor; 3],
        mask: &AttentionMask,
        weighted: bool,
        ctx: &mut Context,
    ) -> (Tensor, Option<Tensor>) {
        let _layer = ctx.enter("MultiheadAttention", self);
        assert!(query.rank() == 3, "attention: needs [B, T, E], got shape {}", query.shape());
        let key = &self.with_added(key, self.bias_k.as_ref());
        let value = &self.with_added(value, self.bias_v.as_ref());
        let mask = &mask.with_seen(self.added(), query, key.size(1));
        let [query, key, value] = [query, key, value].map(|x| self.split(x));
        let options =
            AttentionOptions { causal: mask.causal, mask: mask.mask.clone(), ..Default::default() };
        let (compute, of) = (ctx.compute(), &self.out_proj.weight);
        let drops = ctx.is_training() && self.dropout.probability() > 0.0;
        let (heads, weights) = if drops || weighted || ctx.is_tapping() {
            let weights = Tensor::attention_with_weights(&query, &key, &value, &options).1;
            let weights = self.dropout.forward(&ctx.tap("attention", &weights), ctx);
            let product = |[weights, value]: [&Tensor; 2]| weights.matmul(value);
            (compute.combine(of, [&weights, &value], product), Some(weights))
        } else {
            let attention = |[q, k, v]: [&Tensor; 3]| Tensor::attention(q, k, v, &options);
            (compute.combine(of, [&query, &key, &value], attention), None)
        };
        let y = self.out_proj.forward(&heads.transpose(1, 2).flatten(2, 3), ctx);
        ctx.ran("MultiheadAttention", self, &y);
        (y, weights)
    }

    /// Keys that all queries see besides those that are given.
    fn added(&self) -> usize {
        usize::from(self.bias_k.is_some()) + usize::from(self.zero_key)
    }

    /// Keys or values `[B, S, E]` with those that are added.
    #[track_caller]
    fn with_added(&self, x: &Tensor, bias: Option<&Parameter>) -> Tensor {
        let one = [x.size(0), 1, x.size(2)];
        let mut parts = vec![x.clone()];
        parts.extend(bias.map(|bias| bias.broadcast_to(one)));
        if self.zero_key {
            parts.push(Tensor::zeros(one, x.dtype(), x.device()));
        }
        if parts.len() == 1 { x.clone() } else { Tensor::concat(&parts, 1) }
    }

    /// `[B, T, E] -> [B, H, T, D]`
    #[track_caller]
    fn split(&self, x: &Tensor) -> Tensor {
        let heads = x.size(2) / self.head_size;
        x.reshape([x.size(0), x.size(1), heads, self.head_size]).transpose(1, 2)
    }
}

impl Layer for MultiHeadAttention {
    /// Attention of `x` to itself, without a mask.
    #[track_caller]
    fn forward(&self, x: &Tensor, ctx: &mut Context) -> Tensor {
        self.self_attention(x, &AttentionMask::none(), ctx)
    }
}
