//! [`Error`] with what can go wrong with a training run.
//!
//! Messages begin with the call or the part that was asked: `fit`, `early stopping`, `checkpoint`.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

pub(crate) fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

pub(crate) fn malformed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

pub(crate) fn not_finite(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::NotFinite, message)
}

pub(crate) fn io(doing: impl Into<String>, cause: std::io::Error) -> Error {
    Error::caused(ErrorKind::of_io(&cause), doing, cause)
}
