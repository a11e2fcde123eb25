//! Llama to GGUF files: the reverse of [reading](super::gguf) them.

use std::path::Path;

use crate::llama::gguf::{PARTS, WHOLE};
use crate::llama::{LlamaConfig, LlamaForCausalLanguageModel};
use crate::{ModelConfig, Result, error};
use gradloom_nn::ModuleExt;
use gradloom_nn::layers::RotaryScaling;
use gradloom_tensor::{DType, Tensor};
use gradloom_weights::{Stored, Value, gguf};

impl LlamaForCausalLanguageModel {
    /// The name in a GGUF file of a parameter of this model; none for what has no place there.
    pub fn gguf_name(name: &str) -> Option<String> {
        if let Some((theirs, _)) = WHOLE.iter().find(|(_, ours)| *ours == name) {
            return Some((*theirs).to_owned());
        }
        let (layer, rest) = name.strip_prefix("model.layers.")?.split_once('.')?;
        let (part, kind) = rest.rsplit_once('.')?;
        let (theirs, _) = PARTS.iter().find(|(_, ours)| *ours == part)?;
        Some(format!("blk.{layer}.{theirs}.{kind}"))
    }

    /// Adds the model to a GGUF file: the configuration and the weights, matrices over blocks as they are, everything
    /// else in f32. What a tokenizer says is the caller's to add.
    ///
    /// # Errors
    /// If the configuration is not of Llama or Qwen2 or stretches the angles of positions, or a weight cannot be computed.
    pub fn write_gguf(&self, config: &LlamaConfig, writer: &mut gguf::Writer) -> Result<()> {
        let unsupported =
            |what: &str| Err(error::config(LlamaConfig::MODEL, format!("writing GGUF: {what}")));
        config.check()?;
        if !matches!(config.model_type.as_str(), "llama" | "qwen2") {
            return unsupported("only models of the types llama and qwen2 are written");
        }
        if config.scaling() != RotaryScaling::None {
            return unsupported("angles that are stretched are not written");
        }
        let architecture = config.model_type.as_str();
        let mut put = |key: &str, value: Value| {
            writer.metadata(format!("{architecture}.{key}"), value);
        };
        let size = |size: usize| Value::U32(u32::try_from(size).unwrap_or(u32::MAX));
        put("block_count", size(config.num_hidden_layers));
        put("context_length", size(config.max_position_embeddings));
        put("embedding_length", size(config.hidden_size));
        put("feed_forward_length", size(config.intermediate_size));
        put("attention.head_count", size(config.num_attention_heads));
        put("attention.head_count_kv", size(config.key_value_heads()));
        put("attention.key_length", size(config.head_size()));
        put("attention.value_length", size(config.head_size()));
        put("rope.dimension_count", size(config.head_size()));
        put("rope.freq_base", Value::F32(config.theta() as f32));
        put("attention.layer_norm_rms_epsilon", Value::F32(config.rms_norm_eps as f32));
        put("vocab_size", size(config.vocab_size));
        writer.metadata("general.architecture", architecture);
        for (name, parameter) in self.parameters() {
            let Some(theirs) = Self::gguf_name(&name) else {
                return unsupported(&format!("there is no place for {name}"));
            };
            let heads = match name.rsplit('.').nth(1) {
                Some("q_proj") if architecture == "llama" => Some(config.num_attention_heads),
                Some("k_proj") if architecture == "llama" => Some(config.key_value_heads()),
                _ => None,
            };
            put_weight(writer, &theirs, parameter, heads, config.head_size())
                .map_err(|error| error::weights(format!("writing {name}"), error))?;
        }
        Ok(())
    }

    /// Writes a GGUF file of the model and these entries of metadata, such as those of a tokenizer.
    ///
    /// # Errors
    /// As [`write_gguf`](Self::write_gguf), or if the file cannot be written.
    pub fn save_gguf(
        &self,
        config: &LlamaConfig,
        metadata: &[(&str, Value)],
        path: impl AsRef<Path>,
    ) -> Result<()> {
        let mut writer = gguf::Writer::new();
        self.write_gguf(config, &mut writer)?;
        for (key, value) in metadata {
            writer.metadata(*key, value.clone());
        }
        writer.save(path).map_err(|error| error::weights("writing GGUF", error))
    }
}

/// The rows of queries and keys in pairs: the inverse of what reading does.
fn put_weight(
    writer: &mut gguf::Writer,
    name: &str,
    weight: &Tensor,
    heads: Option<usize>,
    head_size: usize,
) -> gradloom_nn::Result<()> {
    let shape = weight.shape().to_vec();
    let (stored, bytes) = match weight.block_format() {
        Some(format) => (Stored::Blocks(format), weight.to_blocks()?.unwrap_or_default()),
        None => {
            let values = weight.detach().cast(DType::F32).to_vec::<f32>()?;
            (Stored::F32, values.into_iter().flat_map(f32::to_le_bytes).collect())
        }
    };
    let bytes = match heads {
        Some(heads) => {
            let row_bytes = bytes.len() / (heads * head_size);
            let rows = (0..heads * head_size).flat_map(|row| {
                let (head, place) = (row / head_size, row % head_size);
                let from = head * head_size + place % 2 * (head_size / 2) + place / 2;
                &bytes[from * row_bytes..(from + 1) * row_bytes]
            });
            rows.copied().collect()
        }
        None => bytes,
    };
    writer.stored(name, &shape, stored, bytes);
    Ok(())
}
