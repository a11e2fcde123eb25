//! Puts checked parts together to a [`Tokenizer`], and keeps panics of the `tokenizers` crate inside.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokenizers::models::ModelWrapper;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
};

use crate::pieces::Pieces;
use crate::tokenizer::Tokenizer;
use crate::{Error, Result};

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
        let refused = |error: tokenizers::Error| Error::malformed(name, error.to_string());
        library.with_normalizer(normalizer).map_err(refused)?;
        library.with_pre_tokenizer(pre_tokenizer);
        library.with_decoder(decoder);
        library.add_tokens(parts.added_tokens).map_err(refused)?;
        Ok((library, post_processor))
    });
    let (library, post_processor) =
        built.unwrap_or_else(|message| Err(Error::malformed(name, message)))?;
    Ok(Tokenizer::new(library, post_processor, pieces))
}

fn component<T: DeserializeOwned>(
    name: &str,
    slot: &str,
    value: Option<Value>,
) -> Result<Option<T>> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let parsed = serde_json::from_value(value);
    parsed.map(Some).map_err(|error| Error::malformed(name, format!("{slot}: {error}")))
}

/// Runs code of the `tokenizers` crate. A panic there comes back as its message.
///
/// The checks before are meant to leave it none; this is for what they miss, such as the tables inside a
/// `Precompiled` normalizer. Nothing is left half done behind a panic: the crate's only shared state is its
/// caches, whose entries are written whole.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned());
        format!("the tokenizer's tables contradict each other ({message})")
    })
}
