//! [`LlamaConfig`]: sizes and switches of Llama, Mistral and Qwen2.

use crate::config::Checker;
use crate::llama::RopeParameters;
use crate::{ModelConfig, Result};
use gradloom_nn::layers::RotaryScaling;
use serde::Deserialize;

/// Sizes and switches under the original's keys; what is left out is Llama 2 of 7 billion weights.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct LlamaConfig {
    /// `llama`, `mistral` or `qwen2`.
    pub model_type: String,
    /// V: number of tokens.
    pub vocab_size: usize,
    /// E: features of a token.
    pub hidden_size: usize,
    /// Features inside the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// H: heads of queries in each layer.
    pub num_attention_heads: usize,
    /// HK: heads of keys and values; as many as of queries if none.
    pub num_key_value_heads: Option<usize>,
    /// D: features per head; `E / H` if none.
    pub head_dim: Option<usize>,
    /// Activation of the feed-forward layers' gate.
    pub hidden_act: String,
    /// Length of the longest text.
    pub max_position_embeddings: usize,
    /// Deviation of first values.
    pub initializer_range: f64,
    /// What keeps the root of RMS norms from zero.
    pub rms_norm_eps: f64,
    /// Whether logits use the table of tokens.
    pub tie_word_embeddings: bool,
    /// Whether all projections of attention have biases. Those of Qwen2 to queries, keys and values do.
    pub attention_bias: bool,
    /// Dropout of attention weights in training.
    pub attention_dropout: f64,
    /// Whether the feed-forward layers have biases.
    pub mlp_bias: bool,
    /// The base of the angles of positions; 10000 if nothing gives one.
    pub rope_theta: Option<f64>,
    /// How angles are stretched, in older files.
    pub rope_scaling: Option<RopeParameters>,
    /// How angles are stretched.
    pub rope_parameters: Option<RopeParameters>,
    /// Number of keys that a query sees in layers with a window.
    pub sliding_window: Option<usize>,
    /// Qwen2: whether there are layers with a window.
    pub use_sliding_window: bool,
    /// Qwen2: the first layer with a window.
    pub max_window_layers: usize,
    /// `full_attention` or `sliding_attention` for each layer.
    pub layer_types: Option<Vec<String>>,
}

impl Default for LlamaConfig {
    fn default() -> Self {
        LlamaConfig {
            model_type: "llama".to_owned(),
            vocab_size: 32000,
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            hidden_act: "silu".to_owned(),
            max_position_embeddings: 2048,
            initializer_range: 0.02,
            rms_norm_eps: 1e-6,
            tie_word_embeddings: false,
            attention_bias: false,
            attention_dropout: 0.0,
            mlp_bias: false,
            rope_theta: None,
            rope_scaling: None,
            rope_parameters: None,
            sliding_window: None,
            use_sliding_window: false,
            max_window_layers: 28,
            layer_types: None,
        }
    }
}

impl LlamaConfig {
    /// HK: heads of keys and values.
    pub fn key_value_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// D: features per head.
    pub fn head_size(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// How many keys a query sees in a layer; all if none.
    pub fn window(&self, layer: usize) -> Option<usize> {
        let types = self.layer_types.as_ref().and_then(|types| types.get(layer));
        let slides = match (self.model_type.as_str(), types) {
            ("qwen2", _) if !self.use_sliding_window => false,
            (_, Some(kind)) => kind == "sliding_attention",
            ("qwen2", None) => layer >= self.max_window_layers,
            ("mistral", None) => true,
            _ => false,
        };
        self.sliding_window.filter(|_| slides)
    }

    /// The base of the angles of positions.
    pub fn theta(&self) -> f64 {
        let inner = self.rope().and_then(|rope| rope.rope_theta);
        inner.or(self.rope_theta).unwrap_or(10000.0)
    }

    /// How the angles of positions are stretched.
    pub fn scaling(&self) -> RotaryScaling {
        self.rope().map_or(RotaryScaling::None, |rope| rope.scaling(self.max_position_embeddings))
    }

    /// Length of the longest text; none if angles grow with the text.
    pub(super) fn positions_max(&self) -> usize {
        match self.scaling() {
            RotaryScaling::Dynamic { .. } => usize::MAX,
            _ => self.max_position_embeddings,
        }
    }

    pub(super) fn query_key_value_bias(&self) -> bool {
        self.attention_bias || self.model_type == "qwen2"
    }

    fn rope(&self) -> Option<&RopeParameters> {
        self.rope_scaling.as_ref().or(self.rope_parameters.as_ref())
    }

    fn check_layers(&self, checker: Checker) -> Checker {
        let Some(types) = &self.layer_types else { return checker };
        let known = |kind: &String| kind == "full_attention" || kind == "sliding_attention";
        checker
            .require(types.len() == self.num_hidden_layers, || {
                format!("layer_types names {} of {} layers", types.len(), self.num_hidden_layers)
            })
            .require(types.iter().all(known), || {
                "layer_types has others than full_attention and sliding_attention".into()
            })
    }
}

impl ModelConfig for LlamaConfig {
    const MODEL: &'static str = "llama";

    fn check(&self) -> Result<()> {
        const TYPES: [&str; 3] = ["llama", "mistral", "qwen2"];
        let checker = Checker::new::<Self>()
            .require(TYPES.contains(&self.model_type.as_str()), || {
                format!("model_type is {:?}; known are {}", self.model_type, TYPES.join(", "))
            })
            .size("vocab_size", self.vocab_size)
            .size("num_attention_heads", self.num_attention_heads)
            .size("hidden_size", self.hidden_size);
        let checker = match self.head_dim {
            Some(size) => checker.size("head_dim", size),
            None => checker.divides(
                "num_attention_heads",
                self.num_attention_heads,
                "hidden_size",
                self.hidden_size,
            ),
        };
        let checker = checker
            .require(self.head_size().is_multiple_of(2), || {
                format!("heads have {} features, which do not pair", self.head_size())
            })
            .divides(
                "num_key_value_heads",
                self.key_value_heads(),
                "num_attention_heads",
                self.num_attention_heads,
            )
            .layers("num_hidden_layers", self.num_hidden_layers)
            .size("intermediate_size", self.intermediate_size)
            .size("max_position_embeddings", self.max_position_embeddings)
            .require(self.sliding_window != Some(0), || "sliding_window is 0".into())
            .activation("hidden_act", &self.hidden_act)
            .probability("attention_dropout", self.attention_dropout)
            .deviation("initializer_range", self.initializer_range)
            .positive("rms_norm_eps", self.rms_norm_eps)
            .require(self.theta().is_finite() && self.theta() > 1.0, || {
                format!("rope_theta is {}; it must be above 1", self.theta())
            });
        let checker = self.check_layers(checker);
        match self.rope() {
            Some(rope) => rope.check(checker),
            None => checker,
        }
        .finish()
    }
}
