//! [`T5Config`]: sizes and switches of T5.

use crate::config::Checker;
use crate::{ModelConfig, Result};
use serde::Deserialize;

/// Sizes and switches under the original's keys; what is left out is the small T5.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct T5Config {
    /// Must be `t5`.
    pub model_type: String,
    /// V: number of tokens.
    pub vocab_size: usize,
    /// E: features of a token.
    pub d_model: usize,
    /// D: features per head.
    pub d_kv: usize,
    /// Features inside the feed-forward layers.
    pub d_ff: usize,
    /// Layers of the encoder.
    pub num_layers: usize,
    /// Layers of the decoder; as many as of the encoder if none.
    pub num_decoder_layers: Option<usize>,
    /// H: heads of each layer.
    pub num_heads: usize,
    /// Number of buckets that distances fall into.
    pub relative_attention_num_buckets: usize,
    /// The distance from which on all fall into the last bucket.
    pub relative_attention_max_distance: usize,
    /// Dropout in training.
    pub dropout_rate: f64,
    /// What keeps the root of RMS norms from zero.
    pub layer_norm_epsilon: f64,
    /// Factor of the deviations of first values.
    pub initializer_factor: f64,
    /// An activation's name, with `gated-` before it for gated layers; their gelu is the one of tanh.
    pub feed_forward_proj: String,
    /// Whether logits use the table of tokens; they do unless it is false.
    pub tie_word_embeddings: Option<bool>,
    /// Whether the decoder's output is divided by the root of `d_model`; it is where logits use the
    /// table, if nothing is said.
    pub scale_decoder_outputs: Option<bool>,
    /// The token that fills up short texts.
    pub pad_token_id: Option<usize>,
    /// The token that the decoder begins with; the padding token if none.
    pub decoder_start_token_id: Option<usize>,
}

impl Default for T5Config {
    fn default() -> Self {
        T5Config {
            model_type: "t5".to_owned(),
            vocab_size: 32128,
            d_model: 512,
            d_kv: 64,
            d_ff: 2048,
            num_layers: 6,
            num_decoder_layers: None,
            num_heads: 8,
            relative_attention_num_buckets: 32,
            relative_attention_max_distance: 128,
            dropout_rate: 0.1,
            layer_norm_epsilon: 1e-6,
            initializer_factor: 1.0,
            feed_forward_proj: "relu".to_owned(),
            tie_word_embeddings: None,
            scale_decoder_outputs: None,
            pad_token_id: Some(0),
            decoder_start_token_id: None,
        }
    }
}

impl T5Config {
    /// Layers of the decoder.
    pub fn decoder_layers(&self) -> usize {
        self.num_decoder_layers.unwrap_or(self.num_layers)
    }

    /// The token that the decoder begins with.
    pub fn decoder_start(&self) -> usize {
        self.decoder_start_token_id.or(self.pad_token_id).unwrap_or(0)
    }

    /// Whether the feed-forward layers have a gate, and the name of their activation.
    pub(super) fn feed_forward(&self) -> (bool, &str) {
        match self.feed_forward_proj.strip_prefix("gated-") {
            Some("gelu") => (true, "gelu_new"),
            Some(activation) => (true, activation),
            None => (false, &self.feed_forward_proj),
        }
    }

    pub(super) fn scales_output(&self) -> bool {
        self.scale_decoder_outputs.unwrap_or(self.tie_word_embeddings != Some(false))
    }

    /// Whether logits may have a matrix of their own. Newer files call all models tied, and leave a
    /// decoder's output as it is where they are not.
    pub(super) fn may_be_untied(&self) -> bool {
        self.tie_word_embeddings == Some(false) || self.scale_decoder_outputs == Some(false)
    }
}

impl ModelConfig for T5Config {
    const MODEL: &'static str = "t5";

    fn check(&self) -> Result<()> {
        const BUCKETS_MAX: usize = 256;
        const DISTANCE_MAX: usize = 1 << 16;
        let (buckets, distance) =
            (self.relative_attention_num_buckets, self.relative_attention_max_distance);
        Checker::new::<Self>()
            .require(self.model_type == "t5", || {
                format!("model_type is {:?}, not t5", self.model_type)
            })
            .size("vocab_size", self.vocab_size)
            .size("d_model", self.d_model)
            .size("d_kv", self.d_kv)
            .size("d_ff", self.d_ff)
            .size("num_heads", self.num_heads)
            .layers("num_layers", self.num_layers)
            .layers("num_decoder_layers", self.decoder_layers())
            .require(buckets.is_multiple_of(4) && (4..=BUCKETS_MAX).contains(&buckets), || {
                format!(
                    "relative_attention_num_buckets is {buckets}; it must be a multiple of 4 up to \
                     {BUCKETS_MAX}"
                )
            })
            .require(distance > buckets / 2 && distance <= DISTANCE_MAX, || {
                format!(
                    "relative_attention_max_distance is {distance}; it must be above half the number \
                     of buckets and at most {DISTANCE_MAX}"
                )
            })
            .probability("dropout_rate", self.dropout_rate)
            .positive("layer_norm_epsilon", self.layer_norm_epsilon)
            .deviation("initializer_factor", self.initializer_factor)
            .activation("feed_forward_proj", self.feed_forward().1)
            .require(self.decoder_start() < self.vocab_size, || {
                format!("decoder_start_token_id is no token of {}", self.vocab_size)
            })
            .finish()
    }
}
