//! [`Error`] with what can go wrong with weight files.
//!
//! Parsers know no file names. They say what is wrong as a [`Fault`], which becomes an `Error` where the
//! file is known.

use gradloom_tensor::ErrorKind;
pub use gradloom_tensor::{Error, Result};

/// What is wrong with a file whose name the parser does not know.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The content breaks its format.
    Malformed(String),
    /// The content is fine, but not for this crate.
    Unsupported(String),
}

impl Fault {
    /// The fault of a part of the file, which the message names.
    pub(crate) fn within(self, name: &str) -> Fault {
        match self {
            Fault::Malformed(message) => Fault::Malformed(format!("{name}: {message}")),
            Fault::Unsupported(message) => Fault::Unsupported(format!("{name}: {message}")),
        }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault::Malformed(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Fault::Malformed(message.to_owned())
    }
}

pub(crate) fn of(file: &str, fault: Fault) -> Error {
    match fault {
        Fault::Malformed(message) => malformed(file, message),
        Fault::Unsupported(message) => unsupported(file, message),
    }
}

pub(crate) fn malformed(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Malformed, format!("{file}: {}", message.into()))
}

pub(crate) fn unsupported(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, format!("{file}: {}", message.into()))
}

pub(crate) fn missing(file: &str, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Missing, format!("{file}: {}", message.into()))
}

pub(crate) fn io(file: &str, action: &'static str, source: std::io::Error) -> Error {
    Error::caused(ErrorKind::of_io(&source), format!("{file}: {action} failed"), source)
}

pub(crate) fn tensor(file: &str, tensor: &str, source: Error) -> Error {
    source.context(format!("{file}: {tensor}"))
}
