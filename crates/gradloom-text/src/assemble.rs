//! Puts checked parts together to a [`Tokenizer`].

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::models::ModelWrapper;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

use crate::guarded::guarded;
use crate::pieces::Pieces;
use crate::tokenizer::Tokenizer;
use crate::{Result, error};

/// The parts of a tokenizer, each as `tokenizer.json` writes it, except for the model.
pub(crate) struct Assembly {
    pub(crate) model: ModelWrapper,
    pub(crate) normalizer: Option<Value>,
    pub(crate) pre_tokenizer: Option<Value>,
    pub(crate) post_processor: Option<Value>,
    pub(crate) decoder: Option<Value>,
    pub(crate) added_tokens: Vec<AddedToken>,
}

/// Builds a tokenizer; `name` is what messages call the file.
pub(crate) fn assemble(name: &str, parts: Assembly) -> Result<Tokenizer> {
    let pieces = Pieces::of_decoder(parts.decoder.as_ref());
    let built = guarded(|| {
        let mut library = tokenizers::Tokenizer::new(parts.model);
        let normalizer: Option<NormalizerWrapper> =
            component(name, "normalizer", parts.normalizer)?;
        let pre_tokenizer: Option<PreTokenizerWrapper> =
            component(name, "pre-tokenizer", parts.pre_tokenizer)?;
        let decoder: Option<DecoderWrapper> = component(name, "decoder", parts.decoder)?;
        let post_processor: Option<PostProcessorWrapper> =
            component(name, "post-processor", parts.post_processor)?;
        let refused = |error: tokenizers::Error| error::malformed(name, error.to_string());
        library.with_normalizer(normalizer).map_err(refused)?;
        library.with_pre_tokenizer(pre_tokenizer);
        library.with_decoder(decoder);
        library.add_tokens(parts.added_tokens).map_err(refused)?;
        Ok((library, post_processor))
    });
    let (library, post_processor) =
        built.unwrap_or_else(|message| Err(error::malformed(name, message)))?;
    Ok(Tokenizer::new(library, post_processor, pieces))
}

fn component<T: DeserializeOwned>(
    name: &str,
    slot: &str,
    value: Option<Value>,
) -> Result<Option<T>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let parsed = serde_json::from_value(value);
    parsed.map(Some).map_err(|error| error::malformed(name, format!("{slot}: {error}")))
}
