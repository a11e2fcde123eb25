//! [`Error`] with what can go wrong with files, datasets and loaders.
//!
//! Messages name the file, the position, the fact, and what to do about it. A contract broken in the
//! caller's own program (a batch size of zero) panics at the call instead.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

pub(crate) fn not_found(file: impl Into<String>, advice: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, format!("{}: not found; {advice}", file.into()))
}

pub(crate) fn io(file: &str, position: u64, source: std::io::Error) -> Error {
    Error::caused(ErrorKind::Io, format!("{file}: reading failed at byte {position}"), source)
}

pub(crate) fn truncated(file: &str, position: u64, missing: impl Into<String>) -> Error {
    let missing = missing.into();
    let message = format!("{file}: ends at byte {position}, but {missing}; get the file again");
    Error::new(ErrorKind::Truncated, message)
}

pub(crate) fn malformed(file: &str, position: u64, message: impl Into<String>) -> Error {
    let message = message.into();
    Error::new(ErrorKind::Malformed, format!("{file}: byte {position}: {message}"))
}

pub(crate) fn table(
    file: &str,
    row: u64,
    column: Option<&str>,
    message: impl Into<String>,
) -> Error {
    let column = column.map(|name| format!(", column {name}")).unwrap_or_default();
    let message = message.into();
    Error::new(ErrorKind::Malformed, format!("{file}: row {row}{column}: {message}"))
}

pub(crate) fn too_large(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::TooLarge, format!("{file}: {}", message.into()))
}

pub(crate) fn worker_panic(
    during: impl std::fmt::Display,
    payload: &(dyn std::any::Any + Send),
) -> Error {
    let message = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "the panic has no message".to_owned());
    Error::new(ErrorKind::WorkerPanic, format!("loader: {during} panicked: {message}"))
}

pub(crate) fn thread(message: &str, source: std::io::Error) -> Error {
    Error::caused(ErrorKind::Other, format!("loader: {message}"), source)
}
