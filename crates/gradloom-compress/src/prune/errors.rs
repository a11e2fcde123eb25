//! What goes wrong when models are pruned.

use gradloom_tensor::{Error, ErrorKind};

pub(crate) fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
