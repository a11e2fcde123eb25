//! [`Error`]: what can go wrong with tokenizers, streams and chat templates.
//!
//! Messages name the file or the call, the fact, and what to do about it.

/// Why reading a tokenizer or a template, encoding, decoding or rendering failed.
///
/// Opaque: ask the predicates, or print it.
#[derive(thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Box<Kind>);

/// The message and what caused it, in one line: what a `main` that returns the error prints.
impl std::fmt::Debug for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")?;
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            write!(formatter, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error("{file}: not found; {advice}")]
    NotFound { file: String, advice: String },
    #[error("{file}: reading failed: {source}")]
    Io {
        file: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}: {message}")]
    Malformed { file: String, message: String },
    #[error("{file}: {message}")]
    TooLarge { file: String, message: String },
    #[error("{file}: {message}")]
    Unsupported { file: String, message: String },
    #[error("{0}")]
    UnknownToken(String),
    #[error("{0}")]
    VocabularyMismatch(String),
    #[error("chat template: {0}")]
    Template(String),
    #[error("chat template: {0}")]
    Raised(String),
    #[error("chat template: {0}")]
    Limit(String),
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    fn new(kind: Kind) -> Self {
        Error(Box::new(kind))
    }

    pub(crate) fn read(file: &str, advice: &str, source: std::io::Error) -> Self {
        let file = file.to_owned();
        if source.kind() == std::io::ErrorKind::NotFound {
            return Error::new(Kind::NotFound { file, advice: advice.to_owned() });
        }
        Error::new(Kind::Io { file, source })
    }

    pub(crate) fn malformed(file: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Malformed { file: file.to_owned(), message: message.into() })
    }

    pub(crate) fn too_large(file: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::TooLarge { file: file.to_owned(), message: message.into() })
    }

    pub(crate) fn unsupported(file: &str, message: impl Into<String>) -> Self {
        Error::new(Kind::Unsupported { file: file.to_owned(), message: message.into() })
    }

    pub(crate) fn unknown_token(message: impl Into<String>) -> Self {
        Error::new(Kind::UnknownToken(message.into()))
    }

    pub(crate) fn vocabulary_mismatch(message: impl Into<String>) -> Self {
        Error::new(Kind::VocabularyMismatch(message.into()))
    }

    pub(crate) fn template(message: impl Into<String>) -> Self {
        Error::new(Kind::Template(message.into()))
    }

    pub(crate) fn raised(message: impl Into<String>) -> Self {
        Error::new(Kind::Raised(message.into()))
    }

    pub(crate) fn limit(message: impl Into<String>) -> Self {
        Error::new(Kind::Limit(message.into()))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Error::new(Kind::Invalid(message.into()))
    }

    /// A file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(*self.0, Kind::NotFound { .. })
    }

    /// The operating system failed to read.
    pub fn is_io(&self) -> bool {
        matches!(*self.0, Kind::Io { .. })
    }

    /// A file or vocabulary breaks its format.
    pub fn is_malformed(&self) -> bool {
        matches!(*self.0, Kind::Malformed { .. })
    }

    /// A file, vocabulary or template is larger, deeper or longer than the limit allows.
    pub fn is_too_large(&self) -> bool {
        matches!(*self.0, Kind::TooLarge { .. })
    }

    /// A file asks for a kind of tokenizer that this crate does not know.
    pub fn is_unsupported(&self) -> bool {
        matches!(*self.0, Kind::Unsupported { .. })
    }

    /// A token or id is not in the vocabulary, or text cannot be written with it.
    pub fn is_unknown_token(&self) -> bool {
        matches!(*self.0, Kind::UnknownToken(_))
    }

    /// Ids of the tokenizer do not fit a model or the file's own list of tokens.
    pub fn is_vocabulary_mismatch(&self) -> bool {
        matches!(*self.0, Kind::VocabularyMismatch(_))
    }

    /// A chat template has a fault, or does not fit the messages.
    pub fn is_template(&self) -> bool {
        matches!(*self.0, Kind::Template(_))
    }

    /// A chat template refused the messages by calling `raise_exception`.
    pub fn is_raised_by_template(&self) -> bool {
        matches!(*self.0, Kind::Raised(_))
    }

    /// A chat template ran too long, too deep or wrote too much.
    pub fn is_template_limit(&self) -> bool {
        matches!(*self.0, Kind::Limit(_))
    }

    /// An argument of the call makes no sense.
    pub fn is_invalid(&self) -> bool {
        matches!(*self.0, Kind::Invalid(_))
    }
}
