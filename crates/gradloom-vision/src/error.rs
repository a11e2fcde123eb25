//! [`Error`] with what can go wrong with networks for pictures: their configurations and their weights.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

pub(crate) fn config(family: &'static str, message: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Config, format!("{family} configuration: {message}"))
}

pub(crate) fn weights(context: impl Into<String>, source: Error) -> Error {
    Error::caused(ErrorKind::Weights, context, source)
}
