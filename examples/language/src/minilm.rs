//! MiniLM from its folder, or in tiny mode a random model of a few numbers with a vocabulary learnt on
//! the spot.

use std::path::Path;

use gradloom::prelude::*;
use gradloom::text::Tokenizer;
use gradloom::zoo::{BertConfig, BertModel, Pretrained, config_in};

use examples::Failure;
use examples::options::Arguments;

use crate::vocabulary;

/// The encoder's configuration, the encoder, its tokenizer. The key and the texts are for tiny mode.
///
/// # Errors
/// If the model is not there; the message says how to get it.
pub fn load(
    arguments: &Arguments,
    key: Key,
    texts: &[&str],
    device: &Device,
) -> Result<(BertConfig, BertModel, Tokenizer), Failure> {
    if arguments.tiny() {
        let tokenizer = vocabulary::train(texts, 300)?;
        let config = BertConfig {
            vocab_size: tokenizer.vocabulary_len(),
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 64,
            max_position_embeddings: 128,
            ..BertConfig::default()
        };
        let model = BertModel::new(&config, &mut Init::new(key, device))?;
        return Ok((config, model, tokenizer));
    }
    let folder = Path::new(arguments.text("--data").unwrap_or("assets/minilm"));
    if !folder.join("model.safetensors").is_file() {
        let folder = folder.display();
        return Err(format!("{folder}: no model there; run `cargo xtask assets minilm`").into());
    }
    let model = BertModel::from_folder(folder, device)?;
    Ok((config_in(folder)?, model, Tokenizer::from_folder(folder)?))
}
