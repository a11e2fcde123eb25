//! [`Error`] with what can go wrong with weights, files and training.
//!
//! A contract broken in the caller's own program (sizes of layers that do not fit) panics at the call
//! instead.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

pub(crate) fn mismatch(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Mismatch, message)
}

pub(crate) fn not_finite(value: f64, step: u64) -> Error {
    let message = format!(
        "loss is {value} at step {step}: lower the learning rate, or run with GRADLOOM_CHECK=nan to find \
         the op that made it"
    );
    Error::new(ErrorKind::NotFinite, message)
}
