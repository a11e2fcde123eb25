//! [`Error`] with what can go wrong with published models: their configurations and their weights.
//!
//! A contract broken in the caller's own program (more tokens than a model has positions) panics at the
//! call instead.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

pub(crate) fn config(model: &'static str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Config, format!("{model} configuration: {}", message.into()))
}

pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Error {
    let context = format!("{}: reading failed", path.display());
    Error::caused(ErrorKind::of_io(&source), context, source)
}

pub(crate) fn weights(context: impl Into<String>, source: Error) -> Error {
    Error::caused(ErrorKind::Weights, context, source)
}

pub(crate) fn generation(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Generation, format!("generation: {}", message.into()))
}
