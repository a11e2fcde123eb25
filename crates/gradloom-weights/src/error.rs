//! [`Error`]: what can go wrong with weight files.
//!
//! Parsers know no file names. They say what is wrong as a [`Fault`], which becomes an `Error` where the
//! file is known.

/// Why reading or writing a weight file failed.
///
/// Opaque: ask the predicates, or print it.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Box<Kind>);

/// The message and what caused it, in one line: what a `main` that returns the error prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{file}: {message}")]
    Malformed { file: String, message: String },
    #[error("{file}: {message}")]
    Unsupported { file: String, message: String },
    #[error("{file}: {message}")]
    Missing { file: String, message: String },
    #[error("{file}: {action} failed: {source}")]
    Io {
        file: String,
        action: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}: {tensor}: {source}")]
    Tensor {
        file: String,
        tensor: String,
        #[source]
        source: gradloom_tensor::Error,
    },
}

/// What is wrong with a file whose name the parser does not know.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The content breaks its format.
    Malformed(String),
    /// The content is fine, but not for this crate.
    Unsupported(String),
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

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    pub(crate) fn of(file: &str, fault: Fault) -> Self {
        let file = file.to_owned();
        Error::new(match fault {
            Fault::Malformed(message) => Kind::Malformed { file, message },
            Fault::Unsupported(message) => Kind::Unsupported { file, message },
        })
    }

    pub(crate) fn malformed(file: &str, message: impl Into<String>) -> Self {
        Error::of(file, Fault::Malformed(message.into()))
    }

    pub(crate) fn unsupported(file: &str, message: impl Into<String>) -> Self {
        Error::of(file, Fault::Unsupported(message.into()))
    }

    pub(crate) fn missing(file: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Missing { file: file.to_owned(), message: message.into() })
    }

    pub(crate) fn io(file: &str, action: &'static str, source: std::io::Error) -> Self {
        Error::new(Kind::Io { file: file.to_owned(), action, source })
    }

    pub(crate) fn tensor(file: &str, tensor: &str, source: gradloom_tensor::Error) -> Self {
        Error::new(Kind::Tensor { file: file.to_owned(), tensor: tensor.to_owned(), source })
    }

    /// A file's content breaks its format: it is damaged, cut short, or hostile.
    pub fn is_malformed(&self) -> bool {
        matches!(&*self.0, Kind::Malformed { .. })
    }

    /// A file or tensor is of a kind that this crate does not read or write, or holds a number that the
    /// tensor's dtype cannot.
    pub fn is_unsupported(&self) -> bool {
        matches!(&*self.0, Kind::Unsupported { .. })
    }

    /// A file has no tensor of the name that was asked for.
    pub fn is_missing(&self) -> bool {
        matches!(&*self.0, Kind::Missing { .. })
    }

    /// A file cannot be read or written.
    pub fn is_io(&self) -> bool {
        matches!(&*self.0, Kind::Io { .. })
    }

    /// A file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(&*self.0, Kind::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// The device refused; the source is a [`gradloom_tensor::Error`].
    pub fn is_device(&self) -> bool {
        matches!(&*self.0, Kind::Tensor { .. })
    }
}
