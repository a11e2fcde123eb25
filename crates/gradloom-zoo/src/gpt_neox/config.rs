//! [`GptNeoxConfig`]: sizes and switches of GPT-NeoX and Pythia.

use crate::config::Checker;
use crate::{ModelConfig, Result};
use serde::Deserialize;

/// Sizes and switches under the original's keys; what is left out is GPT-NeoX of 20 billion weights.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct GptNeoxConfig {
    /// Must be `gpt_neox`.
    pub model_type: String,
    /// V: number of tokens.
    pub vocab_size: usize,
    /// E: features of a token.
    pub hidden_size: usize,
    /// Features inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H: heads of each layer.
    pub num_attention_heads: usize,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
    /// Length of the longest text.
    pub max_position_embeddings: usize,
    /// Dropout of layers in training.
    pub hidden_dropout: f64,
    /// Dropout of attention weights in training.
    pub attention_dropout: f64,
    /// Deviation of first values.
    pub initializer_range: f64,
    /// What keeps the root of layer norms from zero.
    pub layer_norm_eps: f64,
    /// Whether attention and feed-forward read the same input.
    pub use_parallel_residual: bool,
    /// Whether the projections of attention have biases.
    pub attention_bias: bool,
    /// Whether logits use the table of tokens.
    pub tie_word_embeddings: bool,
    /// The part of each head's features that turns, in older files.
    pub rotary_pct: f64,
    /// The base of the angles of positions, in older files.
    pub rotary_emb_base: f64,
    /// How positions turn.
    pub rope_parameters: Option<GptNeoxRope>,
    /// Must be none.
    pub rope_scaling: Option<serde::de::IgnoredAny>,
}

/// The object `rope_parameters`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GptNeoxRope {
    /// Must be `default`.
    pub rope_type: Option<String>,
    /// The base of the angles.
    pub rope_theta: Option<f64>,
    /// The part of each head's features that turns.
    pub partial_rotary_factor: Option<f64>,
}

impl Default for GptNeoxConfig {
    fn default() -> Self {
        GptNeoxConfig {
            model_type: "gpt_neox".to_owned(),
            vocab_size: 50432,
            hidden_size: 6144,
            intermediate_size: 24576,
            num_hidden_layers: 44,
            num_attention_heads: 64,
            hidden_act: "gelu".to_owned(),
            max_position_embeddings: 2048,
            hidden_dropout: 0.0,
            attention_dropout: 0.0,
            initializer_range: 0.02,
            layer_norm_eps: 1e-5,
            use_parallel_residual: true,
            attention_bias: true,
            tie_word_embeddings: false,
            rotary_pct: 0.25,
            rotary_emb_base: 10000.0,
            rope_parameters: None,
            rope_scaling: None,
        }
    }
}

impl GptNeoxConfig {
    /// The base of the angles of positions.
    pub fn theta(&self) -> f64 {
        let inner = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        inner.unwrap_or(self.rotary_emb_base)
    }

    /// Features of a head that turn.
    pub fn turning(&self) -> usize {
        let inner = self.rope_parameters.as_ref().and_then(|rope| rope.partial_rotary_factor);
        let features = self.hidden_size / self.num_attention_heads.max(1);
        (features as f64 * inner.unwrap_or(self.rotary_pct)) as usize
    }
}

impl ModelConfig for GptNeoxConfig {
    const MODEL: &'static str = "gpt_neox";

    fn check(&self) -> Result<()> {
        let features = self.hidden_size / self.num_attention_heads.max(1);
        let kind = self.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref());
        Checker::new::<Self>()
            .require(self.model_type == "gpt_neox", || {
                format!("model_type is {:?}, not gpt_neox", self.model_type)
            })
            .size("vocab_size", self.vocab_size)
            .divides(
                "num_attention_heads",
                self.num_attention_heads,
                "hidden_size",
                self.hidden_size,
            )
            .size("intermediate_size", self.intermediate_size)
            .layers("num_hidden_layers", self.num_hidden_layers)
            .size("max_position_embeddings", self.max_position_embeddings)
            .activation("hidden_act", &self.hidden_act)
            .probability("hidden_dropout", self.hidden_dropout)
            .probability("attention_dropout", self.attention_dropout)
            .deviation("initializer_range", self.initializer_range)
            .positive("layer_norm_eps", self.layer_norm_eps)
            .require(self.theta().is_finite() && self.theta() > 1.0, || {
                format!("rotary_emb_base is {}; it must be above 1", self.theta())
            })
            .require((2..=features).contains(&self.turning()), || {
                format!("rotary_pct turns {} of {features} features of a head", self.turning())
            })
            .require(self.turning().is_multiple_of(2), || {
                format!("rotary_pct turns {} features, which do not pair", self.turning())
            })
            .require(kind.is_none_or(|kind| kind == "default"), || {
                "rope_type is not default, which is not supported".into()
            })
            .require(self.rope_scaling.is_none(), || {
                "rope_scaling is given, which is not supported".into()
            })
            .finish()
    }
}
