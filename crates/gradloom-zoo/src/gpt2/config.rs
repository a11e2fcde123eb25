//! [`Gpt2Config`]: sizes and switches of GPT-2.

use crate::config::Checker;
use crate::{ModelConfig, Result};
use serde::Deserialize;

/// Sizes and switches under the original's keys; what is left out is the small GPT-2.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct Gpt2Config {
    /// Must be `gpt2`.
    pub model_type: String,
    /// V: number of tokens.
    pub vocab_size: usize,
    /// Length of the longest text.
    pub n_positions: usize,
    /// E: features of a token.
    pub n_embd: usize,
    /// Number of layers.
    pub n_layer: usize,
    /// H: heads of each layer.
    pub n_head: usize,
    /// Features inside the feed-forward layers; `4 E` if none.
    pub n_inner: Option<usize>,
    /// Activation of the feed-forward layers.
    pub activation_function: String,
    /// Dropout of layers in training.
    pub resid_pdrop: f64,
    /// Dropout of the sum of embeddings in training.
    pub embd_pdrop: f64,
    /// Dropout of attention weights in training.
    pub attn_pdrop: f64,
    /// What keeps the root of layer norms from zero.
    pub layer_norm_epsilon: f64,
    /// Deviation of first values.
    pub initializer_range: f64,
    /// Whether scores are divided by the root of the features per head.
    pub scale_attn_weights: bool,
    /// Whether scores are divided by the number of the layer, too.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Must be false.
    pub add_cross_attention: bool,
    /// Must be true: logits use the table of tokens.
    pub tie_word_embeddings: bool,
}

impl Default for Gpt2Config {
    fn default() -> Self {
        Gpt2Config {
            model_type: "gpt2".to_owned(),
            vocab_size: 50257,
            n_positions: 1024,
            n_embd: 768,
            n_layer: 12,
            n_head: 12,
            n_inner: None,
            activation_function: "gelu_new".to_owned(),
            resid_pdrop: 0.1,
            embd_pdrop: 0.1,
            attn_pdrop: 0.1,
            layer_norm_epsilon: 1e-5,
            initializer_range: 0.02,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            add_cross_attention: false,
            tie_word_embeddings: true,
        }
    }
}

impl Gpt2Config {
    /// Features inside the feed-forward layers.
    pub fn inner_size(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }
}

impl ModelConfig for Gpt2Config {
    const MODEL: &'static str = "gpt2";

    fn check(&self) -> Result<()> {
        Checker::new::<Self>()
            .require(self.model_type == "gpt2", || {
                format!("model_type is {:?}, not gpt2", self.model_type)
            })
            .size("vocab_size", self.vocab_size)
            .size("n_positions", self.n_positions)
            .divides("n_head", self.n_head, "n_embd", self.n_embd)
            .layers("n_layer", self.n_layer)
            .size("n_inner", self.inner_size())
            .activation("activation_function", &self.activation_function)
            .probability("resid_pdrop", self.resid_pdrop)
            .probability("embd_pdrop", self.embd_pdrop)
            .probability("attn_pdrop", self.attn_pdrop)
            .positive("layer_norm_epsilon", self.layer_norm_epsilon)
            .deviation("initializer_range", self.initializer_range)
            .require(!self.add_cross_attention, || {
                "add_cross_attention is true, which is not supported".into()
            })
            .require(self.tie_word_embeddings, || {
                "tie_word_embeddings is false; only tied embeddings are supported".into()
            })
            .finish()
    }
}
