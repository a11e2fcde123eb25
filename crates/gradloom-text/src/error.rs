//! [`Error`] with what can go wrong with tokenizers, streams and chat templates.
//!
//! Messages name the file or the call, the fact, and what to do about it.

use gradloom_error::ErrorKind;
pub use gradloom_error::{Error, Result};

pub(crate) fn read(file: &str, advice: &str, source: std::io::Error) -> Error {
    match ErrorKind::of_io(&source) {
        ErrorKind::NotFound => {
            Error::new(ErrorKind::NotFound, format!("{file}: not found; {advice}"))
        }
        kind => Error::caused(kind, format!("{file}: reading failed"), source),
    }
}

pub(crate) fn malformed(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, format!("{file}: {}", message.into()))
}

pub(crate) fn too_large(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{file}: {}", message.into()))
}

pub(crate) fn unsupported(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{file}: {}", message.into()))
}

pub(crate) fn unknown_token(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::UnknownToken, message)
}

pub(crate) fn vocabulary_mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::VocabularyMismatch, message)
}

pub(crate) fn template(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Template, format!("chat template: {}", message.into()))
}

pub(crate) fn raised(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TemplateRaised, format!("chat template: {}", message.into()))
}

pub(crate) fn limit(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TemplateLimit, format!("chat template: {}", message.into()))
}
