//! Llama and Qwen2 from GGUF files: one file with the configuration, the weights, often quantized, and
//! the tokenizer.
//!
//! The files order the rows of each head for rotary positions of neighbouring features: row `2 i` of the
//! file is row `i`, and row `2 i + 1` is row `i + D / 2`. Models here pair features as Hugging Face's
//! checkpoints do, so rows are put back; blocks move whole, and no number changes. Only the architecture
//! "llama" orders rows so.

use std::collections::BTreeMap;
use std::path::Path;

use crate::llama::{LlamaConfig, LlamaForCausalLanguageModel, RopeParameters};
use crate::{Error, ModelConfig, Pretrained, Result, error};
use gradloom_nn::StateDict;
use gradloom_tensor::{DType, Device};
use gradloom_weights::{Checkpoint, ReadOptions, Value};

impl LlamaConfig {
    /// The configuration that a GGUF file of the architecture "llama" or "qwen2" describes.
    ///
    /// # Errors
    /// If it is of another architecture, lacks a value, or describes no model.
    pub fn from_gguf(checkpoint: &Checkpoint) -> Result<Self> {
        let described = Described::new(checkpoint)?;
        let size = |name: &str| described.size(name);
        let has = |name: &str| checkpoint.entry(name).is_some();
        let heads = size("attention.head_count")?;
        let config = LlamaConfig {
            model_type: described.architecture.to_owned(),
            vocab_size: described.vocabulary(checkpoint)?,
            hidden_size: size("embedding_length")?,
            intermediate_size: size("feed_forward_length")?,
            num_hidden_layers: size("block_count")?,
            num_attention_heads: heads,
            num_key_value_heads: described.optional_size("attention.head_count_kv")?,
            head_dim: described.optional_size("attention.key_length")?,
            max_position_embeddings: size("context_length")?,
            rms_norm_eps: described.number("attention.layer_norm_rms_epsilon")?,
            tie_word_embeddings: !has("output.weight"),
            attention_bias: described.architecture == "llama" && has("blk.0.attn_q.bias"),
            mlp_bias: has("blk.0.ffn_gate.bias"),
            rope_parameters: Some(described.rope()?),
            ..LlamaConfig::default()
        };
        config.check()?;
        let turned = described.optional_size("rope.dimension_count")?;
        if turned.is_some_and(|turned| turned != config.head_size()) {
            let message = format!("rope.dimension_count is not the heads' {}", config.head_size());
            return Err(error::config(Self::MODEL, message));
        }
        Ok(config)
    }
}

/// The metadata of a file, by the keys of its architecture.
struct Described<'a> {
    metadata: &'a BTreeMap<String, Value>,
    architecture: &'a str,
}

impl<'a> Described<'a> {
    fn new(checkpoint: &'a Checkpoint) -> Result<Self> {
        let metadata = checkpoint.metadata();
        let architecture = metadata.get("general.architecture").and_then(Value::as_str);
        let wrong = |message: String| error::config(LlamaConfig::MODEL, message);
        let described = match architecture {
            Some(architecture @ ("llama" | "qwen2")) => Described { metadata, architecture },
            Some(other) => {
                return Err(wrong(format!(
                    "the architecture is {other:?}; known are llama, qwen2"
                )));
            }
            None => return Err(wrong("general.architecture is missing: no GGUF file".into())),
        };
        if described.optional_size("expert_count")?.unwrap_or(0) > 0 {
            return Err(wrong("expert_count is not 0; experts are not supported".into()));
        }
        Ok(described)
    }

    fn get(&self, name: &str) -> Option<&'a Value> {
        self.metadata.get(&format!("{}.{name}", self.architecture))
    }

    fn wrong(&self, name: &str, what: &str) -> Error {
        error::config(LlamaConfig::MODEL, format!("{}.{name} {what}", self.architecture))
    }

    fn optional_size(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
        size.map(Some).ok_or_else(|| self.wrong(name, "is no size"))
    }

    fn size(&self, name: &str) -> Result<usize> {
        self.optional_size(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    fn optional_number(&self, name: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(name, "is no number"))
    }

    fn number(&self, name: &str) -> Result<f64> {
        self.optional_number(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    /// The rows of the table of tokens: files need not give their number elsewhere.
    fn vocabulary(&self, checkpoint: &Checkpoint) -> Result<usize> {
        let entry = checkpoint.entry("token_embd.weight");
        let rows = entry.and_then(|entry| entry.shape.first().copied());
        let missing = || error::config(LlamaConfig::MODEL, "token_embd.weight is missing");
        rows.ok_or_else(missing)
    }

    fn rope(&self) -> Result<RopeParameters> {
        let kind = self.get("rope.scaling.type").and_then(Value::as_str);
        Ok(RopeParameters {
            rope_type: kind.filter(|kind| *kind != "none").map(str::to_owned),
            rope_theta: self.optional_number("rope.freq_base")?,
            factor: self.optional_number("rope.scaling.factor")?,
            original_max_position_embeddings: self
                .optional_size("rope.scaling.original_context_length")?,
            ..RopeParameters::default()
        })
    }
}

impl LlamaForCausalLanguageModel {
    /// Reads a GGUF file of the architecture "llama" (also Mistral, SmolLM2) or "qwen2". Matrices in
    /// quantized blocks stay quantized, and are frozen.
    ///
    /// # Errors
    /// If the file is missing, damaged or of another architecture, or its weights do not fit.
    pub fn from_gguf(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Checkpoint::open(path).map_err(unreadable)?;
        let model = Self::from_gguf_checkpoint(&checkpoint, device);
        model.map_err(|error| error.context(path.display().to_string()))
    }

    /// As [`from_gguf`](Self::from_gguf), of a file that is open. Where
    /// [`Checkpoint::open_mapped`] has opened it, weights stay in the file until the model is used.
    ///
    /// # Errors
    /// As [`from_gguf`](Self::from_gguf).
    pub fn from_gguf_checkpoint(checkpoint: &Checkpoint, device: &Device) -> Result<Self> {
        load(checkpoint, device)
    }
}

fn unreadable(error: gradloom_nn::Error) -> Error {
    error::weights("loading llama", error)
}

fn load(checkpoint: &Checkpoint, device: &Device) -> Result<LlamaForCausalLanguageModel> {
    let config = LlamaConfig::from_gguf(checkpoint)?;
    let mut weights = StateDict::new();
    for name in checkpoint.names() {
        let heads = ordered_heads(&config, name);
        let rows = heads.and_then(|heads| halves(checkpoint, name, heads, config.head_size()));
        let options = match &rows {
            Some(rows) => ReadOptions::new().rows(rows),
            None => ReadOptions::new(),
        };
        let tensor = checkpoint.tensor_with(name, &options.floats_as_f32(), device);
        let tensor = tensor.map_err(unreadable)?;
        weights.insert(renamed(name), tensor);
    }
    let divisors = weights.remove("rope_freqs.weight");
    let mut model = LlamaForCausalLanguageModel::from_weights(&config, &weights, device)?;
    if let Some(divisors) = divisors {
        let divisors = divisors.cast(DType::F32).to_vec::<f32>();
        let divisors = divisors.map_err(|error| error.context("rope_freqs.weight"))?;
        let divisors: Vec<f64> = divisors.into_iter().map(f64::from).collect();
        let rotary = model.model.rotary.clone().divided_by(&divisors).map_err(unreadable)?;
        model.model.rotary = rotary;
    }
    Ok(model)
}

/// Names in files and in models.
pub(super) const WHOLE: [(&str, &str); 3] = [
    ("token_embd.weight", "model.embed_tokens.weight"),
    ("output_norm.weight", "model.norm.weight"),
    ("output.weight", "lm_head.weight"),
];
/// Names of parts of a layer.
pub(super) const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// The name in a model; a name that is unknown stays, and is reported as left over.
fn renamed(name: &str) -> String {
    if let Some((_, ours)) = WHOLE.iter().find(|(theirs, _)| *theirs == name) {
        return (*ours).to_owned();
    }
    let parts: Vec<&str> = name.split('.').collect();
    if let ["blk", layer, part, kind] = parts[..]
        && let Some((_, ours)) = PARTS.iter().find(|(theirs, _)| *theirs == part)
    {
        return format!("model.layers.{layer}.{ours}.{kind}");
    }
    name.to_owned()
}

/// The number of heads whose rows the file orders in pairs, if this is such a weight or bias.
fn ordered_heads(config: &LlamaConfig, name: &str) -> Option<usize> {
    if config.model_type != "llama" {
        return None;
    }
    match name.split('.').nth(2)? {
        "attn_q" => Some(config.num_attention_heads),
        "attn_k" => Some(config.key_value_heads()),
        _ => None,
    }
}

/// For each row in halves the one of the file, which has rows `[H * D, ..]` in pairs.
fn halves(checkpoint: &Checkpoint, name: &str, heads: usize, size: usize) -> Option<Vec<usize>> {
    let shape = &checkpoint.entry(name)?.shape;
    // A shape that does not fit is reported with the names of the others.
    if shape.first() != Some(&(heads * size)) {
        return None;
    }
    let row =
        |head: usize, half: usize| (0..size / 2).map(move |pair| head * size + 2 * pair + half);
    Some((0..heads).flat_map(|head| row(head, 0).chain(row(head, 1))).collect())
}
