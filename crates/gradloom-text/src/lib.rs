//! Tokenizers, decoding streams, stop strings and chat templates.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod error;
mod guarded;
mod limits;

mod encoding;
mod options;
mod pieces;
mod special_tokens;
mod tokenizer;

mod assemble;
mod files;
mod folder;
mod gguf;
mod json;
mod formats;
mod plain;
mod reading;

mod decode_stream;
mod stop_strings;

mod chat;

pub use chat::{ChatMessage, ChatTemplate};
pub use decode_stream::DecodeStream;
pub use encoding::Encoding;
pub use error::{Error, Result};
pub use gguf::GgufVocabulary;
pub use options::{EncodeOptions, Padding};
pub use special_tokens::SpecialTokens;
pub use stop_strings::StopStrings;
pub use tokenizer::Tokenizer;
